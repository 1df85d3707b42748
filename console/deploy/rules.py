"""The template of alerts: the rules of k8s-or-ecs/observe, word for word, as Amazon Managed Prometheus takes them."""

from typing import Any

from console.observe.prometheus import RULES


def template() -> dict[str, Any]:
    """Return the template: a namespace of rules a file."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Panoveil's alerts and objectives. Written by python -m console.deploy from k8s-or-ecs/observe/rules. Needs observe.yaml.",
        "Parameters": {"Namespace": {"Type": "String", "Default": "panoveil", "AllowedPattern": "^[a-z0-9-]{3,32}$"}},
        "Resources": {path.stem.capitalize(): _namespace(path.stem, path.read_text()) for path in sorted(RULES.glob("*.yml"))},
    }


def _namespace(name: str, rules: str) -> dict[str, Any]:
    workspace = {"Fn::ImportValue": {"Fn::Sub": "${Namespace}-metrics"}}
    return {"Type": "AWS::APS::RuleGroupsNamespace", "Properties": {"Name": name, "Workspace": workspace, "Data": rules}}
