"""`python -m console.deploy` writes what the templates take from the code."""

from typing import Any

import yaml

from console.deploy.scaling import template
from console.stack.stack import HOME

FOLDER = HOME / "k8s-or-ecs" / "cloudformation"


class _Dumper(yaml.SafeDumper):
    """Writes everything out: CloudFormation reads no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text(of: dict[str, Any]) -> str:
    """Return a template as it is written into its file."""
    return yaml.dump(of, Dumper=_Dumper, sort_keys=False, width=150)


if __name__ == "__main__":
    (FOLDER / "scaling.yaml").write_text(text(template()))
