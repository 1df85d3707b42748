"""How a replay goes: events for bars, lines and counts."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from console.replay.advice import advice
from console.replay.redo import Kind, Outcome
from panoveil import telemetry

KINDS: tuple[Kind, ...] = ("redone", "skipped", "held", "failed")


@dataclass(frozen=True, slots=True)
class Found:
    """So many captures more are meant."""

    captures: int


Event = Found | Outcome


class Listener(Protocol):
    """Hears of everything that happens."""

    def __call__(self, event: Event) -> None:
        """Take note of it."""
        ...


@dataclass
class Tally:
    """What came of all captures so far."""

    counts: Counter[Kind] = field(default_factory=Counter)
    flipped: int = 0

    def __call__(self, event: Event) -> None:
        """Count an outcome."""
        if isinstance(event, Outcome):
            self.counts[event.kind] += 1
            self.flipped += event.flipped

    def as_json(self) -> dict[str, int]:
        """The keys programs rely on."""
        return {kind: self.counts[kind] for kind in KINDS} | {"flipped": self.flipped}

    def __str__(self) -> str:
        """`12 redone, 3 skipped, 0 held, 1 failed; 15 flipped`."""
        return ", ".join(f"{self.counts[kind]} {kind}" for kind in KINDS) + f"; {self.flipped} flipped"


def metered(stage: str, models: Iterable[str]) -> Listener:
    """Return what counts events into the replay's metrics, which begin at 0, as do those of the handlers with these models."""
    telemetry.prepare("replay")
    telemetry.prepare_anonymizer(models)
    telemetry.prepare_replay(stage, KINDS)

    def heard(event: Event) -> None:
        if isinstance(event, Found):
            telemetry.REPLAY_FOUND.labels(stage).inc(event.captures)
        else:
            telemetry.REPLAYED.labels(stage, event.kind).inc()

    return heard


class Bar:
    """A bar that moves, and a line for each capture that a person has to see to."""

    def __init__(self, stage: str, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._stage, self.progress = stage, Progress(*columns, console=console)
        self._task = self.progress.add_task("replaying", total=0)
        self._total = 0

    def __call__(self, event: Event) -> None:
        """Move."""
        if isinstance(event, Found):
            self._total += event.captures
            self.progress.update(self._task, total=self._total)
            return
        self.progress.advance(self._task)
        if event.kind in {"held", "failed"}:
            self.progress.console.print(line(self._stage, event), soft_wrap=True, markup=False, highlight=False)


def line(stage: str, outcome: Outcome) -> str:
    """Return what is said of a capture that was held or failed."""
    told = f"{outcome.capture_id} {outcome.kind}: {outcome.reason}: {outcome.detail}".rstrip(": ")
    kept = " What was published before stays." if outcome.kind == "held" else ""
    todo = advice(stage, outcome.capture_id, outcome.reason, outcome.detail) if outcome.kind == "failed" else ""
    return f"{told}.{kept} {todo}".rstrip()


def json_lines(stage: str, write: Callable[[str], object]) -> Listener:
    """Return what writes a JSON line a capture."""

    def heard(event: Event) -> None:
        if isinstance(event, Outcome):
            write(json.dumps(facts(stage, event)))

    return heard


def facts(stage: str, outcome: Outcome) -> dict[str, Any]:
    """Return the keys programs rely on."""
    todo = advice(stage, outcome.capture_id, outcome.reason, outcome.detail) if outcome.kind == "failed" else ""
    fields = asdict(outcome)
    return {"capture": fields.pop("capture_id"), "outcome": fields.pop("kind"), "stage": stage, **fields, "advice": todo}
