"""GPU capacity, and who reaches Triton on it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.templates import listed, resources, template

TEMPLATES = ("network", "services", "gpu", "observe")
GRPC = 8001


def _rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what may come in: the group's logical id or import, and the rule."""
    for name in TEMPLATES:
        for group, properties in resources(name, "AWS::EC2::SecurityGroup").items():
            yield from ((group, rule) for rule in properties.get("SecurityGroupIngress", []))
        for properties in resources(name, "AWS::EC2::SecurityGroupIngress").values():
            yield _imported(properties["GroupId"]), properties


def _imported(value: dict[str, Any]) -> str:
    return str(value.get("Ref") or value.get("Fn::ImportValue", {}).get("Sub"))


def _lets_in(port: int) -> list[tuple[str, str]]:
    return [
        (group, _imported(rule.get("SourceSecurityGroupId", {"Ref": rule.get("CidrIp")})))
        for group, rule in _rules()
        if rule["FromPort"] <= port <= rule["ToPort"]
    ]


def test_only_askers_reach_tritons_grpc_and_only_prometheus_its_metrics() -> None:
    assert _lets_in(GRPC) == [("TritonGroup", "AskersGroup")]
    assert _lets_in(8002) == [("TritonGroup", "ScrapersGroup")]


def _groups(name: str) -> dict[str, list[Any]]:
    services = resources(name, "AWS::ECS::Service")
    return {
        service: listed(each["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"])
        for service, each in services.items()
        if "NetworkConfiguration" in each
    }


def test_the_anonymizer_asks_and_the_stitcher_only_where_it_looks_at_frames() -> None:
    asker = {"Fn::ImportValue": {"Sub": "${Namespace}-askers-group"}}
    found = {name: groups for template_ in TEMPLATES for name, groups in _groups(template_).items()}
    assert {name for name, groups in found.items() if asker in groups} == {"Anonymizer"}
    sometimes = {"If": ["StitcherAsks", asker, {"Ref": "AWS::NoValue"}]}
    assert {name for name, groups in found.items() if sometimes in groups} == {"Stitcher"}
    assert template("services")["Conditions"]["StitcherAsks"] == {"Not": [{"Equals": [{"Ref": "SecondSource"}, "off"]}]}


def test_no_other_task_may_even_send_to_triton() -> None:
    sending = {
        group
        for name in TEMPLATES
        for group, each in resources(name, "AWS::EC2::SecurityGroup").items()
        for rule in each["SecurityGroupEgress"]
        if rule.get("FromPort", 0) <= GRPC <= rule.get("ToPort", -1)
    }
    assert sending == {"AskersGroup"}


def test_the_first_instance_is_bought_and_the_others_are_spot() -> None:
    (group,) = resources("gpu", "AWS::AutoScaling::AutoScalingGroup").values()
    mixed = group["MixedInstancesPolicy"]["InstancesDistribution"]
    assert mixed["OnDemandBaseCapacity"] == {"Ref": "OnDemandBase"}
    assert template("gpu")["Parameters"]["OnDemandBase"]["Default"] == 1
    assert mixed["OnDemandPercentageAboveBaseCapacity"] == 0
    assert group["MinSize"] == "0", "at night nothing is paid for"


def test_an_instance_goes_only_when_its_tasks_are_gone() -> None:
    (provider,) = resources("gpu", "AWS::ECS::CapacityProvider").values()
    managed = provider["AutoScalingGroupProvider"]
    assert (managed["ManagedTerminationProtection"], managed["ManagedDraining"]) == ("ENABLED", "ENABLED")
    (group,) = resources("gpu", "AWS::AutoScaling::AutoScalingGroup").values()
    assert group["NewInstancesProtectedFromScaleIn"] is True
    (machine,) = resources("gpu", "AWS::EC2::LaunchTemplate").values()
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in machine["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Sub"]


def test_a_spot_instance_has_time_to_drain() -> None:
    assert template("gpu")["Parameters"]["DrainSeconds"]["MaxValue"] < 120


@pytest.mark.parametrize("name", ["services", "gpu", "observe"])
def test_no_setting_of_a_task_names_loopback(name: str) -> None:
    for task in resources(name, "AWS::ECS::TaskDefinition").values():
        for container in task["ContainerDefinitions"]:
            assert not [each for each in container.get("Environment", []) if "127.0.0.1" in str(each["Value"])]
