"""What the demo found out, for a person and for a program."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from console.status import mean_score
from panoveil.contracts.archive import CaptureArchived
from panoveil.contracts.reasons import ADVICE, Reason
from panoveil.ledger import ENDS, CaptureState, State


@dataclass(frozen=True)
class Truth:
    """Objects the virtual car knows it photographed, and those of them that are obfuscated to 90 %, by kind and height."""

    objects_by_height: Mapping[str, int]
    covered_by_height: Mapping[str, int]

    @property
    def objects(self) -> int:
        """All of them."""
        return sum(self.objects_by_height.values())

    @property
    def covered(self) -> int:
        """All that are covered."""
        return sum(self.covered_by_height.values())

    @property
    def by_height(self) -> dict[str, tuple[int, int]]:
        """(objects, covered) by kind and height, small before tall."""
        heights = sorted(
            self.objects_by_height, key=lambda name: (name.split()[0], int(name.split()[1].rstrip("+").split("-")[0]))
        )
        return {name: (self.objects_by_height[name], self.covered_by_height.get(name, 0)) for name in heights}


@dataclass(frozen=True)
class Summary:
    """A finished demo; `seconds` from the first upload to the last end, CPU seconds by process over the same time."""

    captures: frozenset[str]
    skipped: Mapping[str, int]
    states: Sequence[CaptureState]
    seconds: float
    cpu_seconds: Mapping[str, float]
    step_seconds: Mapping[str, float]
    truth: Truth
    pictures: Path
    archived: Sequence[CaptureArchived] | None = None

    def count(self, state: State) -> int:
        """Captures that ended so."""
        return sum(capture.state is state for capture in self.states)

    @property
    def lost(self) -> int:
        """Captures that could be uploaded and of which the ledger knows no end."""
        return len(self.captures - {state.capture_id.capture for state in self.states if state.state in ENDS})

    @property
    def reasons(self) -> dict[str, int]:
        """Captures held or quarantined, by reason."""
        unhappy = (capture for capture in self.states if capture.state in {State.HELD, State.QUARANTINED})
        return dict(Counter(capture.reason for capture in unhappy))

    @property
    def score(self) -> float | None:
        """The mean quality score of the panoramas."""
        return mean_score(capture.grade for capture in self.states)

    @property
    def alarms(self) -> dict[str, int]:
        """Captures by what was alarming about their rig."""
        return dict(Counter(capture.grade.alarm for capture in self.states if capture.grade.alarm))

    @property
    def cpu_seconds_per_panorama(self) -> dict[str, float]:
        """CPU seconds of each process divided by the panoramas that went through."""
        panoramas = max(1, self.count(State.PUBLISHED) + self.count(State.HELD))
        return {name: round(seconds / panoramas, 2) for name, seconds in self.cpu_seconds.items()}

    @property
    def archived_bytes(self) -> int:
        """Bytes of the archive objects."""
        return sum(one.size for one in self.archived or ())

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        return {
            "captures": len(self.captures),
            "published": self.count(State.PUBLISHED),
            "held": self.count(State.HELD),
            "quarantined": self.count(State.QUARANTINED),
            "skipped": dict(self.skipped),
            "lost": self.lost,
            "reasons": self.reasons,
            "score": self.score,
            "alarms": self.alarms,
            "seconds": round(self.seconds, 1),
            "cpu_seconds_per_panorama": self.cpu_seconds_per_panorama,
            "step_seconds": {name: round(seconds, 3) for name, seconds in self.step_seconds.items()},
            "truth": {"objects": self.truth.objects, "covered": self.truth.covered, "by_height": self.truth.by_height},
            "pictures": str(self.pictures),
            **({} if self.archived is None else {"archived": len(self.archived), "archived_bytes": self.archived_bytes}),
        }


def show(summary: Summary, console: Console) -> None:
    """Print the summary for a person."""
    console.print(_outcomes(summary))
    console.print(_costs(summary))
    for reason, count in sorted(summary.reasons.items()):
        console.print(f"  {count} × {reason}: {ADVICE[Reason(reason)]}", soft_wrap=True)
    for text, count in summary.alarms.items():
        console.print(f"  Alarm in {count}: {text}", soft_wrap=True)
    for reason, count in sorted(summary.skipped.items()):
        console.print(f"  {count} × left in the car: {reason}")
    console.print(f"Truth: {summary.truth.covered} of {summary.truth.objects} objects are obfuscated to 90 % or more. By height:")
    for name, (objects, covered) in summary.truth.by_height.items():
        console.print(f"  {name:<16}{covered:>4} of {objects:>4}")
    if summary.archived is not None:
        console.print(f"Archive: {len(summary.archived)} captures in cold storage, {summary.archived_bytes / 1e6:.1f} MB.")
    console.print(f"Pictures: {summary.pictures}", soft_wrap=True)
    if summary.count(State.PUBLISHED):
        console.print(f"Walk along them: panoveil view --folder {summary.pictures}", soft_wrap=True)


def _outcomes(summary: Summary) -> Table:
    table = Table(title="Captures", title_justify="left")
    row = [str(len(summary.captures)), *(str(summary.count(state)) for state in (State.PUBLISHED, State.HELD, State.QUARANTINED))]
    for heading in ("driven", "published", "held", "quarantined", "lost", "score", "seconds"):
        table.add_column(heading, justify="right")
    score = "-" if summary.score is None else f"{summary.score:.2f}"
    table.add_row(*row, str(summary.lost), score, f"{summary.seconds:.0f}")
    return table


def _costs(summary: Summary) -> Table:
    table = Table(title="CPU seconds a panorama, and seconds a step", title_justify="left")
    for heading in ("process", "CPU-s", "steps (mean seconds)"):
        table.add_column(heading)
    for name, seconds in summary.cpu_seconds_per_panorama.items():
        steps = {step.split("/")[1]: mean for step, mean in summary.step_seconds.items() if step.startswith(f"{name}/")}
        table.add_row(name, f"{seconds:.2f}", ", ".join(f"{step} {mean:.2f}" for step, mean in steps.items()))
    return table
