"""CloudFormation templates read for what they grant: intrinsic functions become the strings they stand for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "k8s-or-ecs" / "cloudformation"
PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "eu-north-1", "AWS::AccountId": "1", "Namespace": "panoveil"}


class _Loader(yaml.SafeLoader):
    """Reads the short forms of intrinsic functions."""


def _short(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {suffix: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _short)


def template(name: str) -> dict[str, Any]:
    """Return a template of the folder by its file's stem."""
    loaded: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return loaded


def resources(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of a template's resources of one type, by logical id."""
    found = template(name)["Resources"].items()
    return {logical: each.get("Properties", {}) for logical, each in found if each["Type"] == kind}


def text(value: Any) -> str:
    """Return what a string with `Sub`, `Ref` or `ImportValue` stands for; other resources by their logical id."""
    if isinstance(value, Mapping):
        kind, inner = next(iter(value.items()))
        return PSEUDO.get(str(inner), str(inner)) if kind == "Ref" else text(inner)
    for name, known in PSEUDO.items():
        value = value.replace(f"${{{name}}}", known)
    return str(value)


def listed(value: Any) -> list[Any]:
    """Return a value that may stand alone as a list."""
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Role:
    """A role's own statements, all of them `Allow`; what no statement allows is denied."""

    name: str
    statements: tuple[Mapping[str, Any], ...]

    def may(self, action: str, resource: str) -> bool:
        """Return whether a statement allows the action on the resource."""
        return any(
            fnmatchcase(action, allowed) and fnmatchcase(resource, text(on))
            for statement in self.statements
            for allowed in listed(statement["Action"])
            for on in listed(statement["Resource"])
        )


def roles() -> Iterator[Role]:
    """Yield every role that works with Panoveil's data."""
    for name in ("services", "access", "gpu"):
        for properties in resources(name, "AWS::IAM::Role").values():
            if "RoleName" in properties:
                statements = [each for policy in properties["Policies"] for each in policy["PolicyDocument"]["Statement"]]
                assert {each["Effect"] for each in statements} == {"Allow"}
                yield Role(text(properties["RoleName"]).removeprefix("panoveil-"), tuple(statements))
