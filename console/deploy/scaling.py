"""The template of scaling: the policies' values as alarms and step scaling, one block for every service.

Lag is `AWS/Kinesis` `GetRecords.IteratorAgeMilliseconds`: each stream has one application, so a stream's figure is its application's. It
exists without anybody publishing it, and without a permission to; the KCL's own MillisBehindLatest would need both. A replay from a
stream reads that stream as well, from further back: for as long as it runs its stage grows, to the shards at most.
Nobody reads, so nothing is known of lag, while a stage has no task: what comes then wakes it.
"""

from collections.abc import Mapping
from typing import Any

from console.deploy.policy import CONSUMER, TRITON, Policy
from panoveil.quarantine import CONSUMES

Resource = dict[str, Any]
Resources = dict[str, Resource]

PERIOD_S = 60
MOST = {"ingest": 4, "stitcher": 12, "anonymizer": 12, "archivist": 4, "triton": 6}
"""Tasks at most: a stream's shards as data.yaml makes them; of Triton the instances that gpu.yaml allows."""

_ASKERS = ("stitcher", "anonymizer")


def template() -> dict[str, Any]:
    """Return the template."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Panoveil's scaling: each service in steps on its stream's lag, Triton on its queue, all of them to zero when nothing "
        "comes. Written by python -m console.deploy from console/deploy/policy.py. Needs services.yaml and gpu.yaml.",
        "Parameters": _parameters(),
        "Resources": _resources(),
    }


def _parameters() -> dict[str, Any]:
    most: dict[str, Any] = {
        f"{_title(name)}Most": {"Type": "Number", "Default": most, "MinValue": 1} for name, most in MOST.items()
    }
    most["Namespace"] = {"Type": "String", "Default": "panoveil", "AllowedPattern": "^[a-z0-9-]{3,32}$"}
    most["SweepAt"] = {
        "Type": "String",
        "Default": "cron(0 3 * * ? *)",
        "Description": "When every stage is woken once, UTC: what a task left unfinished when it went to sleep does not wait for the next car.",
    }
    most["SweepEnds"] = {"Type": "String", "Default": "cron(20 3 * * ? *)", "Description": "When they may sleep again."}
    return most


def _resources() -> Resources:
    found: Resources = {}
    for service, stream in CONSUMES.items():
        found |= _target(service) | _steps(service, CONSUMER, 1000) | _consumer_alarms(service, stream, CONSUMER)
    return found | _target("triton") | _steps("triton", TRITON, 1) | _triton_alarms(TRITON)


def _target(service: str) -> Resources:
    """Return what Application Auto Scaling knows of a service."""
    sweep = [("Sweep", "SweepAt", 1), ("SweepEnds", "SweepEnds", 0)]
    return {
        f"{_title(service)}Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {
                "ServiceNamespace": "ecs",
                "ScalableDimension": "ecs:service:DesiredCount",
                "ResourceId": {"Fn::Sub": "service/${Namespace}/${Namespace}-" + service},
                "MinCapacity": 0,
                "MaxCapacity": {"Ref": f"{_title(service)}Most"},
                "ScheduledActions": [
                    {"ScheduledActionName": name, "Schedule": {"Ref": when}, "ScalableTargetAction": {"MinCapacity": least}}
                    for name, when, least in sweep
                ],
            },
        }
    }


def _steps(service: str, policy: Policy, unit: float) -> Resources:
    """Return the four ways in which a service's size changes; `unit` is one second in the unit of its alarm's metric."""
    out, less = _out(policy, unit), [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": -policy.in_percent}]
    return {
        f"{_title(service)}Out": _policy(service, "out", "PercentChangeInCapacity", out, policy.out_cooldown_s, 1),
        f"{_title(service)}In": _policy(service, "in", "PercentChangeInCapacity", less, policy.in_cooldown_s, 1),
        f"{_title(service)}Sleep": _policy(
            service, "sleep", "ExactCapacity", [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": 0}], PERIOD_S
        ),
        f"{_title(service)}Wake": _policy(
            service, "wake", "ChangeInCapacity", [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}], policy.out_cooldown_s
        ),
    }


def _out(policy: Policy, unit: float) -> list[Resource]:
    """Return the steps relative to the alarm's threshold, which is the lowest step's."""
    lowest, steps = policy.steps[0].behind_s, []
    for step, above in zip(policy.steps, [*policy.steps[1:], None], strict=True):
        upper = {} if above is None else {"MetricIntervalUpperBound": _number((above.behind_s - lowest) * unit)}
        lower = {"MetricIntervalLowerBound": _number((step.behind_s - lowest) * unit)}
        steps.append({**lower, **upper, "ScalingAdjustment": step.percent})
    return steps


def _policy(service: str, name: str, kind: str, steps: list[Resource], cooldown: int, least: int | None = None) -> Resource:
    configuration: Resource = {
        "AdjustmentType": kind,
        "Cooldown": cooldown,
        "MetricAggregationType": "Maximum",
        "StepAdjustments": steps,
    }
    if least is not None:
        configuration["MinAdjustmentMagnitude"] = least
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": {"Fn::Sub": f"${{Namespace}}-{service}-{name}"},
            "PolicyType": "StepScaling",
            "ScalingTargetId": {"Ref": f"{_title(service)}Target"},
            "StepScalingPolicyConfiguration": configuration,
        },
    }


def _consumer_alarms(service: str, stream: str, policy: Policy) -> Resources:
    title = _title(service)
    age, incoming, running = _age(stream), _incoming(stream), _running(service)
    wakes = [{"Ref": f"{title}Wake"}, *([{"Ref": "TritonWake"}] if service in _ASKERS else [])]
    return {
        f"{title}Behind": _alarm([age], "age", ">=", policy.steps[0].behind_s * 1000, 1, [{"Ref": f"{title}Out"}]),
        # The last task goes only when nothing comes.
        f"{title}Calm": _alarm(
            [age, running, _math(f"IF(FILL(running, 1) > 1, age, {policy.low_s * 1000:.0f})")],
            "value", "<", policy.low_s * 1000, policy.in_cooldown_s // PERIOD_S, [{"Ref": f"{title}In"}],
        ),
        # Where nobody says how old what it reads is, nobody knows that nothing waits.
        f"{title}Quiet": _alarm(
            [age, incoming, _math("FILL(incoming, 0) + FILL(age, 1)")],
            "value", "<=", 0, policy.idle_s // PERIOD_S, [{"Ref": f"{title}Sleep"}],
        ),
        f"{title}Unread": _alarm([age, incoming, _math("IF(FILL(age, -1) < 0, incoming, 0)")], "value", ">", 0, 1, wakes),
    }  # fmt: skip


def _triton_alarms(policy: Policy) -> Resources:
    """Return Triton's: seconds a request waited on average in a minute; it sleeps where nobody is who could ask."""
    waited, asked = _triton("nv_inference_queue_duration_us", "waited"), _triton("nv_inference_request_success", "asked")
    mean = _math("waited / asked / 1000000")
    return {
        "TritonBehind": _alarm([waited, asked, mean], "value", ">=", policy.steps[0].behind_s, 1, [{"Ref": "TritonOut"}]),
        "TritonCalm": _alarm(
            [waited, asked, _running("triton"), _math(f"IF(FILL(running, 1) > 1, waited / asked / 1000000, {policy.low_s})")],
            "value", "<", policy.low_s, policy.in_cooldown_s // PERIOD_S, [{"Ref": "TritonIn"}],
        ),
        "TritonQuiet": _alarm(
            [*(_running(service, service) for service in _ASKERS), _math(" + ".join(f"FILL({each}, 1)" for each in _ASKERS))],
            "value", "<=", 0, policy.idle_s // PERIOD_S, [{"Ref": "TritonSleep"}],
        ),
    }  # fmt: skip


_OPERATORS = {
    ">=": "GreaterThanOrEqualToThreshold",
    ">": "GreaterThanThreshold",
    "<=": "LessThanOrEqualToThreshold",
    "<": "LessThanThreshold",
}


def _alarm(
    metrics: list[Resource], returned: str, operator: str, threshold: float, periods: int, actions: list[Resource]
) -> Resource:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "ComparisonOperator": _OPERATORS[operator],
            "Threshold": _number(threshold),
            "EvaluationPeriods": periods,
            "TreatMissingData": "notBreaching",
            "AlarmActions": actions,
            "Metrics": [{**each, "ReturnData": each["Id"] == returned} for each in metrics],
        },
    }


def _math(expression: str) -> Resource:
    return {"Id": "value", "Expression": expression}


def _age(stream: str) -> Resource:
    return _metric(
        "age", "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "Maximum", {"StreamName": "${Namespace}-" + stream}
    )


def _incoming(stream: str) -> Resource:
    return _metric("incoming", "AWS/Kinesis", "IncomingRecords", "Sum", {"StreamName": "${Namespace}-" + stream})


def _running(service: str, name: str = "running") -> Resource:
    dimensions = {"ClusterName": "${Namespace}", "ServiceName": "${Namespace}-" + service}
    return _metric(name, "ECS/ContainerInsights", "RunningTaskCount", "Maximum", dimensions)


def _triton(metric: str, name: str) -> Resource:
    return _metric(name, "Panoveil/Triton", metric, "Sum", {"Namespace": "${Namespace}"})


def _metric(name: str, namespace: str, metric: str, stat: str, dimensions: Mapping[str, str]) -> Resource:
    listed = [{"Name": each, "Value": {"Fn::Sub": value}} for each, value in dimensions.items()]
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": listed},
            "Period": PERIOD_S,
            "Stat": stat,
        },
    }


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, 6)


def _title(service: str) -> str:
    return service.capitalize()
