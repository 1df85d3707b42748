"""`python -m console.deploy` writes what the templates take from the code."""

from typing import Any

import yaml

from console.deploy import rules, scaling
from console.stack.stack import HOME

FOLDER = HOME / "k8s-or-ecs" / "cloudformation"


class _Dumper(yaml.SafeDumper):
    """Writes everything out, for CloudFormation reads no aliases, and what has lines in lines."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - yaml asks so
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_str)
WRITTEN = {"scaling": scaling.template, "rules": rules.template}
"""Templates by name, and what returns them."""


def text(of: dict[str, Any]) -> str:
    """Return a template as it is written into its file."""
    return yaml.dump(of, Dumper=_Dumper, sort_keys=False, width=150)


if __name__ == "__main__":
    for name, template in WRITTEN.items():
        (FOLDER / f"{name}.yaml").write_text(text(template()))
