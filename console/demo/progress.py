"""The live view of a drive on its way through the pipeline."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from panoveil.ledger import CaptureState, State

_RARE = {"held", "quarantined", "skipped"}
_ORDER = (State.RECEIVING, State.READY, State.STITCHED, State.PUBLISHED)


@dataclass(frozen=True)
class Counts:
    """How many captures have got at least this far, and how they ended."""

    captures: int
    skipped: int
    uploaded: int
    ready: int
    stitched: int
    published: int
    held: int
    quarantined: int

    @classmethod
    def of(cls, captures: int, skipped: int, states: Iterable[CaptureState]) -> Self:
        """Count a drive's captures as the ledger knows them; `skipped` ones never left the car."""
        by_state = Counter(capture.state for capture in states)
        reached = [sum(by_state[state] for state in _ORDER[index:]) + by_state[State.HELD] for index in range(len(_ORDER))]
        ends = (by_state[State.PUBLISHED], by_state[State.HELD], by_state[State.QUARANTINED])
        return cls(captures, skipped, by_state.total(), reached[1], reached[2], *ends)


class View(Protocol):
    """Something that shows how far the drive has got."""

    def say(self, text: str) -> None:
        """Tell what begins now."""
        ...

    def show(self, counts: Counts) -> None:
        """Show the newest counts."""
        ...

    def close(self) -> None:
        """Leave the last picture standing."""
        ...


class Bars:
    """Bars that move, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("  {task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._tasks = {name: self._progress.add_task(name, total=None, visible=False) for name in Counts.__dataclass_fields__}
        self._progress.start()

    def say(self, text: str) -> None:
        """Print above the bars."""
        self._progress.print(text)

    def show(self, counts: Counts) -> None:
        """Move the bars; the unhappy ones appear when there are some."""
        for name, task in self._tasks.items():
            value = getattr(counts, name)
            visible = name != "captures" and (bool(value) or name not in _RARE)
            self._progress.update(task, total=counts.captures, completed=value, visible=visible)

    def close(self) -> None:
        """Stop redrawing."""
        self._progress.stop()


class Lines:
    """A line whenever something has changed, where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: Counts | None = None

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(text)

    def show(self, counts: Counts) -> None:
        """Print the counts if they differ from the last ones."""
        if counts != self._last:
            self._last = counts
            shown = {name: getattr(counts, name) for name in Counts.__dataclass_fields__}
            text = "  ".join(f"{name} {count}" for name, count in shown.items() if count or name not in _RARE)
            self._console.print(f"  {text}", soft_wrap=True)

    def close(self) -> None:
        """Nothing to stop."""


def view(console: Console) -> View:
    """Bars on a terminal, lines elsewhere."""
    return Bars(console) if console.is_terminal else Lines(console)
