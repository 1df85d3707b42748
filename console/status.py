"""How drives and captures stand, from the ledger."""

import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from console.stack.stack import running_environment
from panoveil.contracts.errors import Misconfigured
from panoveil.ledger import CaptureState, Grade, Ledger, State
from panoveil.runtime import Connections, connect
from panoveil.settings import Settings

_Result = TypeVar("_Result")


def settings() -> Settings:
    """Return the environment's settings, or those of the pipeline that `panoveil up` or `panoveil demo` runs here now."""
    if Settings().endpoint_url is None and (found := running_environment()) is not None:
        os.environ.update(found)
    return Settings()


async def show(chosen: Settings, drive: str | None, console: Console, *, as_json: bool) -> None:
    """Print a row a drive, or a row a capture of `drive` and what is alarming about its rig; `Misconfigured` where it is unknown."""
    rows = await _rows(chosen, drive)
    if drive and not rows:
        raise Misconfigured(f"No drive {drive!r} is in the ledger; `panoveil status` lists those that are.")
    for line in map(json.dumps, rows) if as_json else ():
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    if not as_json:
        console.print(_table(rows) if rows else "Nothing has been uploaded yet.")
        for name, text in _alarms(rows, drive).items():
            console.print(f"Alarm, {name}: {text}", soft_wrap=True, markup=False, highlight=False)


async def _rows(chosen: Settings, drive: str | None) -> list[dict[str, Any]]:
    with asking(chosen):
        async with connect(chosen) as world:
            return [row async for row in (_captures(world.ledger, drive) if drive else _drives(world.ledger))]


@contextlib.contextmanager
def asking(chosen: Settings) -> Iterator[None]:
    """Say of a setting that is missing inside the block who was asked, where that may not be what was meant."""
    try:
        yield
    except Misconfigured as error:
        if chosen.endpoint_url is None:
            raise Misconfigured(f"{error}. No pipeline runs here (`panoveil up` starts one), so AWS was asked.") from error
        raise


def answer(work: Callable[[Connections], Awaitable[_Result]]) -> _Result:
    """Do a command's work on the pipeline that the settings lead to, and return what came of it."""
    chosen = settings()

    async def connected() -> _Result:
        async with connect(chosen) as world:
            return await work(world)

    with asking(chosen):
        return asyncio.run(connected())


async def _drives(ledger: Ledger) -> AsyncIterator[dict[str, Any]]:
    async for drive in ledger.drives():
        captures = [capture async for capture in ledger.captures(drive)]
        yield {"drive": drive, "captures": len(captures), **_counts(captures), **_grade(captures)}


def _counts(captures: list[CaptureState]) -> dict[str, int]:
    counts = Counter(capture.state for capture in captures)
    return {state.value: counts[state] for state in State}


def _grade(captures: Iterable[CaptureState]) -> dict[str, Any]:
    """Return a drive's mean score, and what was alarming last."""
    grades = [capture.grade for capture in captures]
    return {"score": mean_score(grades), "alarm": next((grade.alarm for grade in reversed(grades) if grade.alarm), "")}


def mean_score(grades: Iterable[Grade]) -> float | None:
    """Return the mean of those scores that there are, rounded; None where there are none."""
    scores = [grade.score for grade in grades if grade.score is not None]
    return round(sum(scores) / len(scores), 2) if scores else None


async def _captures(ledger: Ledger, drive: str) -> AsyncIterator[dict[str, Any]]:
    async for capture in ledger.captures(drive):
        yield {
            "capture": capture.capture_id.capture,
            "state": capture.state.value,
            "reason": capture.reason,
            "detail": capture.detail,
            "score": None if capture.grade.score is None else round(capture.grade.score, 2),
            "alarm": capture.grade.alarm,
            "since": datetime.fromtimestamp(capture.since, UTC).isoformat(timespec="seconds"),
        }


def _alarms(rows: Iterable[dict[str, Any]], drive: str | None) -> dict[str, str]:
    """Return by drive what was alarming about its rig last."""
    return {drive or row["drive"]: row["alarm"] for row in rows if row["alarm"]}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table()
    headings = [heading for heading in rows[0] if heading != "alarm"]  # sentences stand below
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*("" if row[heading] is None else str(row[heading]) for heading in headings))
    return table
