"""The season itself: from one look at the clock to the next, every stage works at a constant rate, and what it finishes goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import Tell
from benchmarks.season.assumptions import Assumptions
from benchmarks.season.demand import DAY, HOUR, Demand
from benchmarks.season.queueing import Batch, Fifo
from benchmarks.season.supply import STAGES, Fleet, Outages, Work, gpus, zone_share
from console.deploy.policy import Policy, Seen, desired

Floats = NDArray[np.float64]

SAMPLE_S = 600.0
"""Between two points of the picture."""

_TOLD_DAYS = 30


@dataclass(slots=True)
class Stage:
    """A stage at work, and what it came to."""

    work: Work
    fleet: Fleet
    queue: Fifo = field(default_factory=Fifo)
    changed_at: float = -1e9
    busy_at: float = -1e9
    late_at: float = -1e9
    stalled_until: float = -1e9
    stalled_share: float = 0.0
    task_s: float = 0.0
    peak: int = 0
    backlog_max: float = 0.0
    behind_max: float = 0.0
    lost: int = 0
    ages: list[float] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What a season came to: stages, ages of every published batch, GPU seconds, and samples [time, backlog…, tasks…, gpus]."""

    stages: dict[str, Stage]
    since_upload: list[float] = field(default_factory=list)
    since_capture: list[float] = field(default_factory=list)
    published: list[float] = field(default_factory=list)
    gpu_s: float = 0.0
    gpu_peak: int = 0
    gpu_lost: int = 0
    ended: float = 0.0
    samples: list[tuple[float, ...]] = field(default_factory=list)


class Season:
    """A season under way; `run` works it off."""

    def __init__(
        self, demand: Demand, works: Mapping[str, Work], assumptions: Assumptions, seed: int, policy: Policy | None = None
    ) -> None:
        self._demand, self._assumptions, self._policy = demand, assumptions, policy or Policy()
        self._works = works
        self._rng = np.random.default_rng((seed, 4))
        self._outages = Outages.drawn(assumptions, demand, seed)
        self._stages = {name: Stage(work, Fleet(assumptions.task_start_s)) for name, work in works.items()}
        self._gpus = Fleet(assumptions.gpu_start_s)
        self._outcome = Outcome(self._stages)
        self._next = 0

    def run(self, tell: Tell) -> Outcome:
        """Go on until everything is published."""
        now, tick, told = 0.0, self._assumptions.tick_s, 0
        arrived = self._demand.arrived
        while self._next < len(arrived) or any(stage.queue.backlog > 0.5 for stage in self._stages.values()):
            if self._asleep():
                now = max(now, float(arrived[self._next]) // tick * tick)
            self._step(now, now + tick)
            now += tick
            if now // (_TOLD_DAYS * DAY) > told:
                told = int(now // (_TOLD_DAYS * DAY))
                tell(f"day {int(now // DAY)}: {sum(self._outcome.published):,.0f} published")
        self._outcome.ended = now
        return self._outcome

    def _asleep(self) -> bool:
        tasks = self._gpus.wanted + sum(stage.fleet.wanted for stage in self._stages.values())
        return not tasks and all(stage.queue.backlog < 0.5 for stage in self._stages.values())

    def _step(self, start: float, end: float) -> None:
        self._take_in(end)
        self._fail(start, end)
        for fleet in (*(stage.fleet for stage in self._stages.values()), self._gpus):
            fleet.arrive(start)
        for position, (name, stage) in enumerate(self._stages.items()):
            self._work_on(position, name, stage, start, end)
        for stage in self._stages.values():
            self._scale(stage, end)
        self._gpus.want(
            gpus({name: each.fleet.wanted for name, each in self._stages.items()}, self._works, self._assumptions), end
        )
        self._note(start, end)

    def _take_in(self, end: float) -> None:
        """Put what arrives until then into the first stage's queue."""
        demand, first = self._demand, self._stages[STAGES[0]].queue
        until = int(np.searchsorted(demand.arrived, end))
        for at in range(self._next, until):
            time = float(demand.arrived[at])
            first.put(Batch(time, at, float(demand.count[at]), float(demand.captured[at]), time))
        self._next = until

    def _work_on(self, position: int, name: str, stage: Stage, start: float, end: float) -> None:
        for ready, batch in stage.queue.serve(start, end, self._rate(name, stage, start)):
            finish = self._held_up(stage, ready) + stage.work.alone_s
            stage.ages.append(finish - batch.arrived)
            stage.counts.append(batch.panoramas)
            if position + 1 < len(STAGES):
                self._stages[STAGES[position + 1]].queue.put(batch._replace(arrived=finish))
            else:
                self._publish(finish, batch)

    def _rate(self, name: str, stage: Stage, now: float) -> float:
        if self._outages.stand_still(now):
            return 0.0
        rate = stage.fleet.running * stage.work.rate
        if name != STAGES[-1]:
            return rate
        usable = self._gpus.running * (1 - self._outages.without_zone(now))
        return min(rate, usable / self._assumptions.gpu_s)

    def _held_up(self, stage: Stage, ready: float) -> float:
        """Shards of a task that crashed wait for another one to take their leases."""
        if ready < stage.stalled_until and self._rng.random() < stage.stalled_share:
            return stage.stalled_until
        return ready

    def _publish(self, finish: float, batch: Batch) -> None:
        self._outcome.since_upload.append(finish - batch.uploaded)
        self._outcome.since_capture.append(finish - batch.captured)
        self._outcome.published.append(batch.panoramas)

    def _fail(self, start: float, end: float) -> None:
        hours, zone = (end - start) / HOUR, self._outages.zone_began(start, end)
        for stage in self._stages.values():
            running = stage.fleet.running
            gone = int(self._rng.binomial(running, min(1.0, self._assumptions.spot_per_h * hours)))
            crashed = int(self._rng.binomial(running, min(1.0, self._assumptions.crash_per_h * hours)))
            crashed += zone_share(running) if zone else 0
            stage.lost += stage.fleet.lose(gone + crashed, end + self._assumptions.task_start_s)
            if crashed:
                stage.queue.repeat(crashed * self._assumptions.in_flight)
                stage.stalled_until, stage.stalled_share = start + self._assumptions.lease_takeover_s, min(1.0, crashed / running)
        lost = int(self._rng.binomial(self._gpus.running, min(1.0, self._assumptions.spot_per_h * hours)))
        self._outcome.gpu_lost += self._gpus.lose(lost, end + self._assumptions.gpu_start_s)

    def _scale(self, stage: Stage, now: float) -> None:
        """Ask the policy; lag is what the KCL would report of the stage's stream."""
        if stage.queue.backlog > 0.5:
            stage.busy_at = now
        behind = stage.queue.behind(now)
        if behind >= self._policy.low_s:
            stage.late_at = now
        seen = Seen(behind, now - stage.busy_at, now - stage.late_at, now - stage.changed_at)
        wanted = desired(self._policy, stage.fleet.wanted, seen, stage.work.most)
        if wanted != stage.fleet.wanted:
            stage.changed_at = now
            stage.fleet.want(wanted, now)
        stage.behind_max = max(stage.behind_max, seen.behind_s)

    def _note(self, start: float, end: float) -> None:
        for stage in self._stages.values():
            stage.task_s += stage.fleet.running * (end - start)
            stage.peak = max(stage.peak, stage.fleet.running)
            stage.backlog_max = max(stage.backlog_max, stage.queue.backlog)
        self._outcome.gpu_s += self._gpus.running * (end - start)
        self._outcome.gpu_peak = max(self._outcome.gpu_peak, self._gpus.running)
        if end // SAMPLE_S > start // SAMPLE_S:
            stages = self._stages.values()
            backlog, tasks = [each.queue.backlog for each in stages], [float(each.fleet.running) for each in stages]
            self._outcome.samples.append((end, *backlog, *tasks, float(self._gpus.running)))
