"""What a stage worked on, as the ledger knows it: the messages of the stage before."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from itertools import count, groupby
from typing import Literal, TypeVar

from console.replay.scope import Scope
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import CaptureReady, PanoramaPublished, PanoramaStitched, decode, outcome
from panoveil.ledger import Finished, Ledger
from panoveil.streams import Record
from services.anonymizer.app import stitched

Stage = Literal["stitcher", "anonymizer"]
Message = TypeVar("Message", CaptureReady, PanoramaStitched)


async def records(stage: Stage, scope: Scope, ledger: Ledger, found: Callable[[int], None]) -> AsyncIterator[Record]:
    """Yield a record for each capture that is meant; `found` is told of each drive how many there are."""
    numbers = count(1)
    async for drive_id in scope.drives(ledger):
        meant = await (_ready(drive_id, scope, ledger) if stage == "stitcher" else _stitched(drive_id, scope, ledger))
        found(len(meant))
        for capture_id, data in meant.items():
            yield Record("ledger", str(next(numbers)), str(capture_id), data, time.time())


async def _ready(drive_id: str, scope: Scope, ledger: Ledger) -> dict[CaptureId, bytes]:
    """Return what ingest announced of each capture; of several the one with most of its frames."""
    announced = [one async for one in _messages(drive_id, "ingest", scope, ledger)]
    chosen: dict[CaptureId, bytes] = {}
    for capture_id, several in groupby(announced, key=lambda one: one.capture_id):
        parsed = [(one, message) for one in several if isinstance(message := decode(one.message), CaptureReady)]
        one, message = min(parsed, key=lambda pair: (len(pair[1].missing), pair[0].recipe_id))
        if scope.covers(message):
            chosen[capture_id] = one.message
    return chosen


async def _stitched(drive_id: str, scope: Scope, ledger: Ledger) -> dict[CaptureId, bytes]:
    """Return what was stitched of each capture; of several what its current publication was made from, else the one with most frames."""
    current = await _current_stitches(drive_id, ledger)
    made = [one async for one in _messages(drive_id, "stitcher", scope, ledger)]
    chosen: dict[CaptureId, bytes] = {}
    for capture_id, several in groupby(made, key=lambda one: one.capture_id):
        one, message = _best(several, current.get(capture_id))
        if scope.covers(message):
            chosen[capture_id] = one.message
    return chosen


def _best(several: Iterable[Finished], current: str | None) -> tuple[Finished, PanoramaStitched]:
    parsed = [(one, stitched(one.message)) for one in several]
    return min(parsed, key=lambda pair: (pair[0].recipe_id != current, len(pair[1].missing), pair[0].recipe_id))


async def _current_stitches(drive_id: str, ledger: Ledger) -> Mapping[CaptureId, str]:
    """Return the stitch recipe behind the current publication of each capture that has one."""
    pointers = {pointer.capture_id: pointer.recipe_id async for pointer in ledger.pointers(drive_id)}
    behind: dict[CaptureId, str] = {}
    async for one in ledger.messages(drive_id, "anonymizer"):
        if pointers.get(one.capture_id) == one.recipe_id and isinstance(found := outcome(one.message), PanoramaPublished):
            behind[one.capture_id] = found.stitch_recipe_id
    return behind


async def _messages(drive_id: str, stage: str, scope: Scope, ledger: Ledger) -> AsyncIterator[Finished]:
    names = sorted(capture.capture for capture in scope.captures if capture.drive_id == drive_id)
    for name in names or (None,):
        async for one in ledger.messages(drive_id, stage, name):
            if scope.names(one.capture_id):
                yield one
