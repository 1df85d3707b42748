"""Removes what is due: noted in the drive's chain first, then object by object. What cannot be removed keeps nothing else from it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from console.retention.due import Due, Facts, due, facts_of
from console.retention.rules import Rules
from console.side_by_side import each
from panoveil import publication
from panoveil.blobs import StoredBlob
from panoveil.contracts.audit import Expiry
from panoveil.contracts.keys import BlobRef, Bucket, catalogue_key, parse_raw_key
from panoveil.ledger import Ledger, note
from panoveil.runtime import Connections

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
    problems = await _problems(one, world) if one.data_class == "raw" else {}
    removable = replace(one, objects=tuple(stored for stored in one.objects if stored.ref not in problems))
    if removable.objects:
        await _note(removable, by, at, world.ledger)
        await each(removable.objects, lambda stored: _remove(stored.ref, world))
    if removable.objects and one.data_class == "published":
        # It tells where each panorama was taken; whoever publishes catalogues publishes one of what is left.
        await world.blobs.purge(Bucket.PUBLISHED, catalogue_key(one.drive_id, "").key)
    return Done(removable, tuple(problems.values()))


async def _problems(one: Due, world: Connections) -> dict[BlobRef, str]:
    """Return why originals must stay after all: the archive object that should hold them is not there, or they are not what it holds.

    Looked at as lists tell it: whoever removes originals need not be able to read them.
    """
    facts = await facts_of(one.drive_id, world.ledger)
    there = {stored.ref.key: stored.size async for stored in world.blobs.list(Bucket.ARCHIVE, f"{one.drive_id}/")}
    verdicts = {stored.ref: _must_stay(stored, facts, there) for stored in one.objects}
    return {ref: text for ref, text in verdicts.items() if text}


def _must_stay(stored: StoredBlob, facts: Facts, there: Mapping[str, int]) -> str:
    capture_id, _ = parse_raw_key(stored.ref.key)
    archived = facts.archive_of(capture_id, stored)
    if archived is None or there.get(archived.key) != archived.size:
        return f"{stored.ref} stays: its archive object is not there"
    return "" if facts.knows(stored) else f"{stored.ref} stays: it was written again since it was archived"


async def _note(one: Due, by: str, at: datetime, ledger: Ledger) -> None:
    """Note the decision before anything goes: a publication that is gone without it would look as if somebody had taken it."""
    gone = [stored.ref.key for stored in one.objects if stored.ref.bucket is Bucket.PUBLISHED]
    entry = Expiry(
        at=at, drive_id=one.drive_id, by=by, data_class=one.data_class, keep=one.keep, objects=len(one.objects), size=one.size
    )
    for begin in range(0, max(len(gone), 1), _KEYS_AN_ENTRY):
        await note(ledger, entry.model_copy(update={"withdrawn": tuple(gone[begin : begin + _KEYS_AN_ENTRY])}))


async def _remove(ref: BlobRef, world: Connections) -> None:
    """Remove an object; before a publication goes, nothing may point to it any more."""
    if ref.bucket is Bucket.PUBLISHED and ref.key.endswith(".jpg"):
        capture_id, name = parse_raw_key(ref.key)
        await publication.untell(str(capture_id), name.removesuffix(".jpg"), world.blobs)
    await world.blobs.delete(ref)
