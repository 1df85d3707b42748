"""The scaling template: what the policy says, in the words of AWS; and both decide alike on recorded traces."""

from itertools import pairwise
from typing import Any

import pytest

from console.deploy.__main__ import WRITTEN
from console.deploy.__main__ import text as text_of
from console.deploy.policy import CONSUMER, TRITON, Policy, Seen, desired
from panoveil.quarantine import CONSUMES
from tests.deploy.autoscaling import MINUTE, Service, trace
from tests.deploy.templates import FOLDER, resources, template, text

POLICIES = [*((service.capitalize(), CONSUMER, 1000) for service in CONSUMES), ("Triton", TRITON, 1)]
TRACES = ("ingest", "stitcher")
MOST = 12


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_from_the_code_is_up_to_date(name: str) -> None:
    assert (FOLDER / f"{name}.yaml").read_text() == text_of(WRITTEN[name]()), "python -m console.deploy writes it"


def _configuration(name: str) -> dict[str, Any]:
    found: dict[str, Any] = resources("scaling", "AWS::ApplicationAutoScaling::ScalingPolicy")[name][
        "StepScalingPolicyConfiguration"
    ]
    return found


@pytest.mark.parametrize(("title", "policy", "unit"), POLICIES)
def test_the_steps_are_the_policys(title: str, policy: Policy, unit: float) -> None:
    threshold, out = resources("scaling", "AWS::CloudWatch::Alarm")[f"{title}Behind"]["Threshold"], _configuration(f"{title}Out")
    steps = [(threshold + step["MetricIntervalLowerBound"], step["ScalingAdjustment"]) for step in out["StepAdjustments"]]
    assert steps == [(pytest.approx(step.behind_s * unit), step.percent) for step in policy.steps]
    assert out["Cooldown"] == policy.out_cooldown_s
    less = _configuration(f"{title}In")
    assert [step["ScalingAdjustment"] for step in less["StepAdjustments"]] == [-policy.in_percent]
    assert less["Cooldown"] == policy.in_cooldown_s


@pytest.mark.parametrize(("title", "policy", "unit"), POLICIES)
def test_steps_leave_no_gap_and_do_not_overlap(title: str, policy: Policy, unit: float) -> None:
    steps = _configuration(f"{title}Out")["StepAdjustments"]
    assert steps[0]["MetricIntervalLowerBound"] == 0
    assert "MetricIntervalUpperBound" not in steps[-1]
    assert all(one["MetricIntervalUpperBound"] == other["MetricIntervalLowerBound"] for one, other in pairwise(steps))


def _by_policy(minutes: list[tuple[float, float]]) -> list[int]:
    tasks, counts = 0, []
    busy_at = late_at = changed_at = -1e9
    for minute, (incoming, behind) in enumerate(minutes):
        now = minute * MINUTE
        busy_at = now if incoming or behind else busy_at
        late_at = now if behind >= CONSUMER.low_s else late_at
        wanted = desired(CONSUMER, tasks, Seen(behind, now - busy_at, now - late_at, now - changed_at), MOST)
        changed_at = now if wanted != tasks else changed_at
        tasks = wanted
        counts.append(tasks)
    return counts


def _by_template(minutes: list[tuple[float, float]]) -> list[int]:
    """Kinesis tells nothing of a stream into which nothing comes, nor of lag where nobody reads."""
    service, counts = Service("Stitcher", MOST), []
    for minute, (incoming, behind) in enumerate(minutes):
        age = behind * 1000 if service.tasks else None
        service.minute(minute * MINUTE, {"age": age, "incoming": incoming or None, "running": service.tasks})
        counts.append(service.tasks)
    return counts


@pytest.mark.parametrize("name", TRACES)
def test_the_template_decides_as_the_policy_on_what_was_recorded(name: str) -> None:
    assert _by_template(trace(name)) == _by_policy(trace(name))


@pytest.mark.parametrize("name", TRACES)
def test_on_what_was_recorded_a_stage_works_by_day_and_sleeps_by_night(name: str) -> None:
    minutes = trace(name)
    counts = _by_policy(minutes)
    assert max(counts) == MOST
    assert all(tasks for tasks, (incoming, _) in zip(counts, minutes, strict=True) if incoming)
    quiet = [all(not any(minute) for minute in minutes[at - 15 : at + 1]) for at in range(len(minutes))]
    assert [tasks for tasks, still in zip(counts[15:], quiet[15:], strict=True) if still] == [0] * sum(quiet[15:])
    assert sum(quiet[15:]) > 600


@pytest.mark.parametrize("name", TRACES)
def test_on_what_was_recorded_sizes_do_not_flap(name: str) -> None:
    """More and fewer tasks take turns a few times a day, not every few minutes."""
    changes = [other - one for one, other in pairwise(_by_policy(trace(name))) if other != one]
    assert sum(one * other < 0 for one, other in pairwise(changes)) <= 20


def test_every_consumer_is_scaled_on_the_stream_that_it_reads() -> None:
    services = {text(each["ServiceName"]) for each in resources("services", "AWS::ECS::Service").values()}
    services |= {text(each["ServiceName"]) for each in resources("gpu", "AWS::ECS::Service").values()}
    targets = resources("scaling", "AWS::ApplicationAutoScaling::ScalableTarget").values()
    named = {text(next(iter(each["ResourceId"].values()))) for each in targets}
    assert named == {f"service/panoveil/{service}" for service in services}


def _streams(alarm: dict[str, Any]) -> set[str]:
    metrics = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]
    return {
        text(next(iter(each["Value"].values())))
        for metric in metrics
        for each in metric["Dimensions"]
        if each["Name"] == "StreamName"
    }


@pytest.mark.parametrize(("service", "stream"), sorted(CONSUMES.items()))
def test_lag_is_that_of_the_services_own_stream(service: str, stream: str) -> None:
    alarms = resources("scaling", "AWS::CloudWatch::Alarm")
    for name in ("Behind", "Calm", "Quiet", "Unread"):
        assert _streams(alarms[f"{service.capitalize()}{name}"]) == {f"panoveil-{stream}"}


def test_there_are_never_more_tasks_than_shards_nor_tritons_than_instances() -> None:
    most = {name: each["Default"] for name, each in template("scaling")["Parameters"].items() if name.endswith("Most")}
    data = template("data")["Parameters"]
    assert most["IngestMost"] <= data["UploadShards"]["Default"]
    assert max(most["StitcherMost"], most["AnonymizerMost"], most["ArchivistMost"]) <= data["HeavyShards"]["Default"]
    assert most["TritonMost"] <= template("gpu")["Parameters"]["Instances"]["Default"]


def test_triton_wakes_with_whoever_asks_it_and_sleeps_after_the_last() -> None:
    alarms = resources("scaling", "AWS::CloudWatch::Alarm")
    waking = {name for name, each in alarms.items() if {"Ref": "TritonWake"} in each["AlarmActions"]}
    assert waking == {"StitcherUnread", "AnonymizerUnread"}
    triton = Service("Triton", 6, tasks=1)
    nothing = {"waited": None, "asked": None, "running": 1}
    for minute in range(20):
        triton.minute(minute * MINUTE, {**nothing, "stitcher": 0, "anonymizer": 1})
    assert triton.tasks == 1
    for minute in range(20, 40):
        triton.minute(minute * MINUTE, {**nothing, "stitcher": 0, "anonymizer": 0})
    assert triton.tasks == 0
