"""Removes what is due: noted in the drive's chain first, then object by object. What cannot be removed keeps nothing else from it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from console.retention.due import Due, Facts, due, facts_of
from console.retention.rules import Rules
from panoveil import publication
from panoveil.blobs import StoredBlob
from panoveil.contracts.audit import Expiry
from panoveil.contracts.keys import BlobRef, Bucket, parse_raw_key
from panoveil.ledger import Ledger, note
from panoveil.runtime import Connections

_AT_ONCE = 8
_KEYS_AN_ENTRY = 1000
"""An entry of the chain is an item of the ledger, of at most 400 KB."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of something due: what was removed, and a sentence for each object that had to stay."""

    due: Due
    problems: tuple[str, ...] = ()


async def drives(ledger: Ledger, survey: str | None, drive: str | None) -> list[str]:
    """Return the drives that are meant, ordered."""
    known = [one async for one in ledger.drives()]
    return [one for one in known if drive in {None, one} and survey in {None, one.split("/")[0]}]


async def plan(meant: list[str], rules: Rules, world: Connections, now: float) -> AsyncIterator[Due]:
    """Yield what is due of these drives, removing nothing."""
    for drive_id in meant:
        async for one in due(drive_id, rules, world, now):
            yield one


async def apply(meant: list[str], rules: Rules, by: str, world: Connections, now: Callable[[], datetime]) -> AsyncIterator[Done]:
    """Remove what is due of these drives, and yield what was. May be repeated, and killed: what is left is due the next time."""
    async for one in plan(meant, rules, world, now().timestamp()):
        yield await _apply(one, by, world, now())


async def _apply(one: Due, by: str, world: Connections, at: datetime) -> Done:
    verdicts: dict[BlobRef, str] = {}
    if one.data_class == "raw":
        facts = await facts_of(one.drive_id, world.ledger)
        verdicts = await _each(one, lambda stored: _must_stay(stored, facts, world))
    removable = replace(one, objects=tuple(stored for stored in one.objects if not verdicts.get(stored.ref)))
    if removable.objects:
        await _note(removable, by, at, world.ledger)
        await _each(removable, lambda stored: _remove(stored.ref, world))
    return Done(removable, tuple(text for text in verdicts.values() if text))


async def _must_stay(stored: StoredBlob, facts: Facts, world: Connections) -> str:
    """Say why an original must stay after all, "" where it may go: its very bytes lie in the archive, and the archive object is there."""
    capture_id, name = parse_raw_key(stored.ref.key)
    archived = facts.archive_of(capture_id, name, stored.size)
    if archived is None or await world.blobs.shelf(BlobRef(Bucket.ARCHIVE, archived.key)) is None:
        return f"{stored.ref} stays: its archive object is not there"
    promised = next(file.sha256 for file in archived.files if file.name == name)
    if await world.blobs.sha256(stored.ref) not in {promised, None}:
        return f"{stored.ref} stays: it is not what was archived"
    return ""


async def _note(one: Due, by: str, at: datetime, ledger: Ledger) -> None:
    """Note the decision before anything goes: a publication that is gone without it would look as if somebody had taken it."""
    gone = [stored.ref.key for stored in one.objects if stored.ref.bucket is Bucket.PUBLISHED]
    entry = Expiry(
        at=at, drive_id=one.drive_id, by=by, data_class=one.data_class, keep=one.keep, objects=len(one.objects), size=one.size
    )
    for begin in range(0, max(len(gone), 1), _KEYS_AN_ENTRY):
        await note(ledger, entry.model_copy(update={"withdrawn": tuple(gone[begin : begin + _KEYS_AN_ENTRY])}))


async def _remove(ref: BlobRef, world: Connections) -> str:
    """Remove an object; before a publication goes, nothing may point to it any more."""
    if ref.bucket is Bucket.PUBLISHED and ref.key.endswith(".jpg"):
        capture_id, name = parse_raw_key(ref.key)
        await publication.untell(str(capture_id), name.removesuffix(".jpg"), world.blobs)
    await world.blobs.delete(ref)
    return ""


async def _each(one: Due, deed: Callable[[StoredBlob], Awaitable[str]]) -> dict[BlobRef, str]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def done(stored: StoredBlob) -> tuple[BlobRef, str]:
        async with slots:
            return stored.ref, await deed(stored)

    return dict(await asyncio.gather(*map(done, one.objects)))
