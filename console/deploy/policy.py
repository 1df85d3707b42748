"""How many tasks a stage should have: steps on its lag, with cool-downs, to zero when nothing comes.

Pure: the season's simulation asks it, and `console.deploy.scaling` writes the same values into a template as step scaling. It rounds as
Application Auto Scaling does: a change is at least one task, and a fraction of one more is none. A stage without tasks has nobody who
reads, so it has no lag: what wakes it is a record that comes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """From this lag on, so many per cent more tasks."""

    behind_s: float
    percent: int


@dataclass(frozen=True, slots=True)
class Policy:
    """Steps in rising order of lag; what is waited for between changes; `low_s` is the lag below which tasks may go."""

    steps: tuple[Step, ...] = (Step(45, 25), Step(120, 50), Step(600, 100))
    low_s: float = 15
    in_percent: int = 15
    out_cooldown_s: int = 120
    in_cooldown_s: int = 600
    idle_s: int = 900


CONSUMER = Policy()
"""Of a service that works off a stream: lag is the age of what it read last."""

TRITON = Policy(steps=(Step(0.2, 50), Step(1, 100)), low_s=0.02, in_percent=25, out_cooldown_s=300, in_cooldown_s=900)
"""Of Triton: lag is how long a request waits for a GPU. An instance takes four minutes to come, so it is waited for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a stage: its lag; for how long nothing came or waited, lag was low, and its size was not changed."""

    behind_s: float
    quiet_s: float
    calm_s: float
    unchanged_s: float


def desired(policy: Policy, tasks: int, seen: Seen, most: int) -> int:
    """Return how many tasks there should be, 0..most, when there are `tasks` of them now."""
    if tasks == 0:
        return min(1, most) if seen.quiet_s == 0 else 0
    if seen.quiet_s >= policy.idle_s:
        return 0
    if percent := _percent(policy, seen):
        return min(most, tasks + _share(tasks, percent))
    if min(seen.calm_s, seen.unchanged_s) >= policy.in_cooldown_s:
        return min(most, max(1, tasks - _share(tasks, policy.in_percent)))
    return min(tasks, most)


def _percent(policy: Policy, seen: Seen) -> int:
    """Return the highest step that applies, 0 for none."""
    if seen.unchanged_s < policy.out_cooldown_s:
        return 0
    return max((step.percent for step in policy.steps if seen.behind_s >= step.behind_s), default=0)


def _share(tasks: int, percent: int) -> int:
    return max(1, tasks * percent // 100)
