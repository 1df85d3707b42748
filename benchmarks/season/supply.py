"""What works off the season: shards and tasks as planned, a fleet that starts slowly and loses tasks, and the outages of a season."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.season.assumptions import Assumptions, Measured
from benchmarks.season.demand import DAY, HOUR, Demand

STAGES = ("ingest", "stitcher", "anonymizer")
STREAMS = dict(zip(STAGES, ("uploads", "captures", "panoramas"), strict=True))
_ZONES = 3
_OUTAGE_S, _DEPENDENCY_S = HOUR, 1200.0


@dataclass(frozen=True, slots=True)
class Work:
    """A stage: panoramas a second of one task, seconds of one panorama alone, vCPU, tasks at most, shards of its stream."""

    rate: float
    alone_s: float
    vcpu: float
    most: int
    shards: int


def planned(demand: Demand, assumptions: Assumptions, measured: Measured) -> dict[str, Work]:
    """Return each stage sized for the busiest day within `drain_h`; shards are as many as tasks, or as bandwidth wants."""
    per_s = demand.busiest(DAY) / (assumptions.drain_h * HOUR) * assumptions.headroom
    records = demand.busiest(60) / 60
    works = {}
    for stage in STAGES:
        cpu, vcpu = getattr(measured, f"{stage}_cpu_s") * assumptions.cpu_factor, getattr(assumptions, f"{stage}_vcpu")
        rate = vcpu * assumptions.efficiency / cpu
        most = math.ceil(per_s / rate)
        into = records * (assumptions.records_per_capture if stage == "ingest" else 1)
        width = max(into / assumptions.shard_records, into * assumptions.record_kb / 1000 / assumptions.shard_mb)
        works[stage] = Work(rate, cpu + assumptions.io_s + _gpu_s(stage, assumptions), vcpu, most, max(most, math.ceil(width)))
    return works


def _gpu_s(stage: str, assumptions: Assumptions) -> float:
    return assumptions.gpu_s if stage == "anonymizer" else 0.0


@dataclass(slots=True)
class Fleet:
    """Machines of one kind: wanted, running, and on their way with the time at which they will run."""

    start_s: float
    wanted: int = 0
    running: int = 0
    coming: list[tuple[float, int]] = field(default_factory=list)

    def want(self, number: int, now: float) -> None:
        """Start what is lacking, stop what is too much: those on their way first."""
        self.wanted = number
        lacking = number - self.running - sum(each for _, each in self.coming)
        if lacking > 0:
            self.coming.append((now + self.start_s, lacking))
        for _ in range(-lacking):
            self._drop()

    def arrive(self, now: float) -> None:
        """Let those run whose time has come."""
        self.running += sum(number for ready, number in self.coming if ready <= now)
        self.coming = [(ready, number) for ready, number in self.coming if ready > now]

    def lose(self, number: int, back_at: float) -> int:
        """Lose running ones; as many come back then. Return how many there were to lose."""
        lost = min(number, self.running)
        if lost:
            self.running -= lost
            self.coming.append((back_at, lost))
        return lost

    def _drop(self) -> None:
        if not self.coming:
            self.running -= 1
            return
        ready, number = self.coming.pop()
        if number > 1:
            self.coming.append((ready, number - 1))


@dataclass(frozen=True, slots=True)
class Outages:
    """When a zone goes away, and when a dependency does: starts, seconds."""

    zones: tuple[float, ...]
    dependencies: tuple[float, ...]

    @classmethod
    def drawn(cls, assumptions: Assumptions, demand: Demand, seed: int) -> "Outages":
        """Draw them from the hours at which panoramas arrive: an outage on an idle night would show nothing."""
        rng = np.random.default_rng((seed, 3))
        reached = np.cumsum(demand.count)
        starts = [
            demand.arrived[np.searchsorted(reached, rng.uniform(0, reached[-1], round(number)))].tolist()
            for number in (assumptions.zone_outages, assumptions.dependency_outages)
        ]
        return cls(tuple(starts[0]), tuple(starts[1]))

    def zone_began(self, start: float, end: float) -> bool:
        """Whether a zone went away between the two."""
        return any(start <= time < end for time in self.zones)

    def without_zone(self, now: float) -> float:
        """Return the share of GPUs that cannot be had; Fargate's tasks are placed elsewhere."""
        return 1 / _ZONES if any(time <= now < time + _OUTAGE_S for time in self.zones) else 0.0

    def stand_still(self, now: float) -> bool:
        """Whether a dependency is away."""
        return any(time <= now < time + _DEPENDENCY_S for time in self.dependencies)


def zone_share(tasks: int) -> int:
    """Return how many of so many lie in one zone."""
    return math.ceil(tasks / _ZONES)


def gpus(tasks: Mapping[str, int], works: Mapping[str, Work], assumptions: Assumptions) -> int:
    """Return how many GPUs keep pace with the anonymizer's tasks."""
    return math.ceil(tasks["anonymizer"] * works["anonymizer"].rate * assumptions.gpu_s - 1e-9)
