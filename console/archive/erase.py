"""Erases a capture or a drive: what is published, what is hot, what is archived, and with a drive its key; the audit chain proves it.

In this order, so that whoever is killed in between does the rest with the same command and nothing comes back: the decision is noted; the
ledger says erased, after which no service works on it; the drive's key is destroyed, after which nobody can read its archive; objects go; the
end is noted, with everything that the chain had said was published; it is looked whether anything is left.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.archive.scope import Scope
from console.audit import standing
from console.side_by_side import each
from panoveil.blobs import StoredBlob
from panoveil.contracts.audit import Erasure
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import Bucket, CaptureId, catalogue_key
from panoveil.contracts.reasons import Reason
from panoveil.keys import DriveKeys
from panoveil.ledger import Ledger, State, note
from panoveil.runtime import Connections

_PREFIXES: Mapping[Bucket, str] = {
    Bucket.PUBLISHED: "",
    Bucket.STITCHED: "",
    Bucket.RAW: "",
    Bucket.ARCHIVE: "",
    Bucket.QUARANTINE: "entries/",
}
"""Where a drive's objects lie: what stands before `<survey>/<drive>/`. Rigs are no drive's, and the key is destroyed by itself."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who erases, and why: goes to auditors, so it names nobody and no place. `now` tells the time."""

    by: str
    because: str
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Look:
    """What there is to erase: captures, those of them that were not erased yet, objects by bucket, and whether there is a key."""

    captures: tuple[CaptureId, ...]
    living: int
    objects: Mapping[Bucket, int]
    key: bool


@dataclass
class Erased:
    """What was done: captures, objects removed by bucket, and the SHA-256 of the wrapped key that was destroyed."""

    captures: int = 0
    removed: dict[Bucket, int] = field(default_factory=dict)
    key_sha256: str | None = None


async def look(scope: Scope, world: Connections, keys: DriveKeys) -> Look:
    """Say what would be erased, changing nothing; `Misconfigured` where nothing is known of it."""
    captures = [state.capture_id for state in await scope.known(world.ledger)]
    living = len(captures) - len(await scope.erased(world.ledger))
    objects = Counter([stored.ref.bucket async for stored in _there(scope, world)])
    key = scope.drive is not None and await keys.fingerprint(scope.drive) is not None
    return Look(tuple(captures), living, objects, key)


async def erase(scope: Scope, wish: Wish, world: Connections, keys: DriveKeys) -> Erased:
    """Erase what is meant. May be repeated: what is gone already is passed over.

    `Unavailable` where something came in while this ran: the same command erases that too.
    """
    captures = [state.capture_id for state in await scope.known(world.ledger)]
    done = Erased(len(captures))
    await _begin(scope, wish, world.ledger, keys)
    await _mark(captures, scope, wish, world.ledger)
    if scope.drive is not None:
        await keys.destroy(scope.drive)
    removed = await _purge(scope, world)
    done.removed = {bucket: len(found) for bucket, found in removed.items()}
    for drive in scope.drives:
        done.key_sha256 = await _prove(drive, captures, removed, scope, wish, world.ledger)
    await _require_nothing_left(scope, world)
    return done


async def _begin(scope: Scope, wish: Wish, ledger: Ledger, keys: DriveKeys) -> None:
    """Note the decision, and with a drive which key is to be destroyed: afterwards nobody can say."""
    about: dict[str, Any] = {"step": "begun", "by": wish.by, "because": wish.because}
    if scope.drive is not None:
        key_sha256 = await keys.fingerprint(scope.drive)
        await note(ledger, Erasure(at=wish.now(), drive_id=scope.drive, key_sha256=key_sha256, **about))
    for capture_id in scope.captures:
        await note(ledger, Erasure(at=wish.now(), drive_id=capture_id.drive_id, capture_id=str(capture_id), **about))


async def _mark(captures: Sequence[CaptureId], scope: Scope, wish: Wish, ledger: Ledger) -> None:
    if scope.drive is not None:
        await ledger.end_drive(scope.drive)
    await each(captures, lambda capture_id: ledger.move(capture_id, State.ERASED, Reason.ERASED, wish.because))


def _places(scope: Scope) -> list[tuple[Bucket, str]]:
    """Everything of theirs; and their drives' catalogues, which tell of them: whoever published one publishes it again."""
    whose = [scope.drive] if scope.drive else [str(capture) for capture in scope.captures]
    catalogues = [(Bucket.PUBLISHED, catalogue_key(drive, "").key) for drive in scope.drives]
    return [(bucket, f"{before}{name}/") for name in whose for bucket, before in _PREFIXES.items()] + catalogues


async def _purge(scope: Scope, world: Connections) -> dict[Bucket, list[str]]:
    removed: dict[Bucket, list[str]] = {bucket: [] for bucket in _PREFIXES}
    for bucket, prefix in _places(scope):
        removed[bucket] += await world.blobs.purge(bucket, prefix)
    return removed


async def _prove(
    drive: str, captures: Sequence[CaptureId], removed: Mapping[Bucket, Sequence[str]], scope: Scope, wish: Wish, ledger: Ledger
) -> str | None:
    """Note the end of every capture that has none yet, or of which something was removed just now; then that of the drive.

    Return the SHA-256 of the drive's wrapped key, where there ever was one and it was to be destroyed.
    """
    chain = [entry async for entry in ledger.audit_chain(drive)]
    told = [entry.body for entry in chain if entry.body.get("kind") == "erasure"]
    ended = {body.get("capture_id") for body in told if body.get("step") == "done"}
    removals, promises = _by_capture(removed), _by_capture({Bucket.PUBLISHED: list(standing(chain))})
    about: dict[str, Any] = {"drive_id": drive, "step": "done", "by": wish.by, "because": wish.because}
    for capture_id in (capture_id for capture_id in captures if capture_id.drive_id == drive):
        counts = {bucket: len(keys) for bucket, keys in removals[str(capture_id)].items()}
        withdrawn = tuple(promises[str(capture_id)].get(Bucket.PUBLISHED, ()))
        if counts or withdrawn or str(capture_id) not in ended:
            facts = {"capture_id": str(capture_id), "removed": counts, "withdrawn": withdrawn}
            await note(ledger, Erasure(at=wish.now(), **facts, **about))
    if scope.drive is None:
        return None
    key_sha256 = next((str(body["key_sha256"]) for body in reversed(told) if body.get("key_sha256")), None)
    if None not in ended or any(removed.values()):
        totals = {bucket: len(keys) for bucket, keys in removed.items() if keys}
        await note(ledger, Erasure(at=wish.now(), removed=totals, key_sha256=key_sha256, **about))
    return key_sha256


def _by_capture(keys: Mapping[Bucket, Sequence[str]]) -> Mapping[str, Mapping[Bucket, list[str]]]:
    """Return keys by capture, then by bucket."""
    found: defaultdict[str, defaultdict[Bucket, list[str]]] = defaultdict(lambda: defaultdict(list))
    for bucket, several in keys.items():
        for key in several:
            found["/".join(key.removeprefix(_PREFIXES[bucket]).split("/")[:3])][bucket].append(key)
    return found


async def _require_nothing_left(scope: Scope, world: Connections) -> None:
    left = [one.ref async for one in _there(scope, world)]
    if left:
        told = f"{left[0]} and {len(left) - 1} more" if len(left) > 1 else str(left[0])
        raise Unavailable("erasure", f"while this ran there came in {told}; run the same command again")


async def _there(scope: Scope, world: Connections) -> AsyncIterator[StoredBlob]:
    for bucket, prefix in _places(scope):
        async for stored in world.blobs.list(bucket, prefix):
            yield stored
