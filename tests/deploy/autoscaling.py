"""The scaling template read as CloudWatch and Application Auto Scaling read it, once a minute.

Simplified: any change of a service begins all cool-downs, where AWS lets a larger step through while a smaller one cools down; and of two
that take tasks away the one that takes more counts.
"""

import csv
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deploy.templates import resources

MINUTE = 60
Figures = Mapping[str, float | None]
_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
_MATH = {"FILL": lambda value, instead: instead if value is None else value, "IF": lambda cond, yes, no: yes if cond else no}


def trace(name: str) -> list[tuple[float, float]]:
    """Return (records that came, lag in seconds) of every minute: `python -m benchmarks.season.trace` wrote it."""
    with (Path(__file__).parent / "traces" / f"{name}.csv").open() as lines:
        return [(float(row["incoming"]), float(row["behind_s"])) for row in csv.DictReader(lines)]


@dataclass
class Alarm:
    """One alarm and the policies it calls; `values` are those of its last periods."""

    properties: Mapping[str, Any]
    values: list[float | None] = field(default_factory=list)

    def see(self, figures: Figures) -> float | None:
        """Take a minute's figures in; return how far from the threshold the last one is while it is in alarm."""
        periods, threshold = self.properties["EvaluationPeriods"], self.properties["Threshold"]
        self.values = [*self.values, self._value(figures)][-periods:]
        breaches = _BREACHES[self.properties["ComparisonOperator"]]
        known = [value for value in self.values if value is not None and breaches(value, threshold)]
        return known[-1] - threshold if len(known) == periods else None

    def _value(self, figures: Figures) -> float | None:
        (returned,) = (each for each in self.properties["Metrics"] if each["ReturnData"])
        if "Expression" not in returned:
            return figures[returned["Id"]]
        try:
            return float(eval(returned["Expression"], {}, {**_MATH, **figures}))  # noqa: S307 - our own template's
        except TypeError:  # nothing is known where anything is missing
            return None


@dataclass
class Service:
    """A service as the template scales it; `tasks` is how many it has."""

    title: str
    most: int
    tasks: int = 0
    changed_at: float = -1e9
    alarms: dict[str, Alarm] = field(default_factory=dict)

    policies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = resources("scaling", "AWS::CloudWatch::Alarm")
        self.alarms = {name: Alarm(each) for name, each in found.items() if name.startswith(self.title)}
        self.policies = resources("scaling", "AWS::ApplicationAutoScaling::ScalingPolicy")

    def minute(self, now: float, figures: Figures) -> None:
        """Look at all alarms at once and change what the policies say that they call."""
        asked = [
            self._asked(self.policies[action["Ref"]], beyond, now)
            for alarm in self.alarms.values()
            if (beyond := alarm.see(figures)) is not None
            for action in alarm.properties["AlarmActions"]
            if action["Ref"].startswith(self.title)
        ]
        wanted = max(asked, default=self.tasks) if max(asked, default=0) > self.tasks else min(asked, default=self.tasks)
        if wanted != self.tasks:
            self.tasks, self.changed_at = wanted, now

    def _asked(self, policy: Mapping[str, Any], beyond: float, now: float) -> int:
        configuration = policy["StepScalingPolicyConfiguration"]
        cooling = now - self.changed_at < configuration["Cooldown"]
        (step,) = (each for each in configuration["StepAdjustments"] if _applies(each, beyond))
        wanted = _changed(self.tasks, configuration, step["ScalingAdjustment"])
        return self.tasks if cooling else max(0, min(self.most, wanted))


def _applies(step: Mapping[str, float], beyond: float) -> bool:
    """Above the threshold a step begins with its lower bound, below it ends with its upper one."""
    lower, upper = step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")
    if lower is None:
        return upper is not None and beyond <= upper
    return lower <= beyond and (upper is None or beyond < upper)


def _changed(tasks: int, configuration: Mapping[str, Any], adjustment: int) -> int:
    kind = configuration["AdjustmentType"]
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return tasks + adjustment
    size: int = max(configuration["MinAdjustmentMagnitude"], int(tasks * abs(adjustment) / 100))
    return tasks + (size if adjustment > 0 else -size)
