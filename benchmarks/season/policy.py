"""How many tasks a stage should have: steps on MillisBehindLatest, with cool-downs, to zero when nothing comes.

Pure: the simulation asks it, and templates of step scaling are to be derived from the same values. A stage without tasks has nobody
who could report its lag, so what wakes it is the stream's IncomingRecords.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """From this lag on, so many times as many tasks."""

    behind_s: float
    factor: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Steps in rising order of lag; what is waited for between changes; `low_s` is the lag below which a task may go."""

    steps: tuple[Step, ...] = (Step(45, 1.25), Step(120, 1.5), Step(600, 2.0))
    low_s: float = 15
    in_factor: float = 0.85
    out_cooldown_s: float = 120
    in_cooldown_s: float = 600
    idle_s: float = 900


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a stage: its lag, for how long nothing has come or waited, how long ago its size was changed."""

    behind_s: float
    quiet_s: float
    unchanged_s: float


def desired(policy: Policy, tasks: int, seen: Seen, most: int) -> int:
    """Return how many tasks there should be, 0..most, when there are `tasks` of them now."""
    if tasks == 0:
        return min(1, most) if seen.quiet_s == 0 else 0
    if seen.quiet_s >= policy.idle_s:
        return 0
    if factor := _factor(policy, seen):
        return min(most, max(tasks + 1, math.ceil(tasks * factor)))
    if seen.behind_s < policy.low_s and seen.unchanged_s >= policy.in_cooldown_s:
        return min(most, max(1, math.floor(tasks * policy.in_factor)))
    return min(tasks, most)


def _factor(policy: Policy, seen: Seen) -> float:
    """Return the highest step that applies, 0 for none."""
    if seen.unchanged_s < policy.out_cooldown_s:
        return 0.0
    return max((step.factor for step in policy.steps if seen.behind_s >= step.behind_s), default=0.0)
