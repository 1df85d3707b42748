"""Brings originals back from the archive: asked for, waited for, opened, put where they were.

What stands where is asked of the store every time, so whoever was killed in between goes on with the same command. When something was asked
for, and when it should be there, is noted in the ledger.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from console.archive.costs import retrieval
from console.archive.scope import Scope
from console.side_by_side import each
from panoveil.blobs import Access, StoredBlob, Tier
from panoveil.contracts.archive import CaptureArchived, CaptureRestored, RestoreRequested, parse_archived
from panoveil.contracts.audit import AuditedObject, OperatorAction, Restoration
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import MANIFEST_NAME, BlobRef, Bucket, CaptureId, raw_key
from panoveil.contracts.messages import encode
from panoveil.contracts.reasons import Reason
from panoveil.keys import DriveKeys
from panoveil.ledger import Ledger, note
from panoveil.runtime import Connections
from services.archivist.bundle import unpack
from services.archivist.handler import STAGE as ARCHIVIST
from services.archivist.seal import unseal

STAGE, RESTORED = "restore", "restored"
_OPENED_AT_ONCE = 4
"""Captures held in memory, each several times."""


class Standing(StrEnum):
    """Where a capture's originals are. `MISSING`: the archive object is not where the ledger says."""

    HOT = "hot"
    READY = "ready"
    RESTORING = "restoring"
    ARCHIVED = "archived"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Found:
    """An archived capture, where its originals are, and what was asked for last, where anything was."""

    archived: CaptureArchived
    standing: Standing
    requested: RestoreRequested | None = None

    @property
    def capture_id(self) -> CaptureId:
        """The capture."""
        return CaptureId.parse(self.archived.capture_id)

    @property
    def ref(self) -> BlobRef:
        """The archive object."""
        return BlobRef(Bucket.ARCHIVE, self.archived.key)


@dataclass(frozen=True, slots=True)
class Wish:
    """How quickly, for how many days, who asks and why; `now` tells the time."""

    tier: Tier
    days: int
    by: str
    because: str
    now: Callable[[], datetime]


async def look(scope: Scope, world: Connections, keys: DriveKeys) -> list[Found]:
    """Say of every archived capture that is meant where its originals are.

    `Misconfigured` where nothing is known or nothing archived, `Rejected(ERASED)` and `Rejected(KEY_GONE)` where nothing can be brought back.
    """
    await _require_readable(scope, world.ledger, keys)
    archived = [one for drive in scope.drives for one in (await _archived(drive, scope, world.ledger)).values()]
    if not archived:
        raise Misconfigured(
            f"Nothing of {scope.drive or scope.captures[0]} is archived: its originals are where they were, or gone."
        )
    requested = {one.capture_id: one for drive in scope.drives for one in await _requests(drive, world.ledger)}
    hot = {stored.ref.key: stored for drive in scope.drives async for stored in world.blobs.list(Bucket.RAW, f"{drive}/")}
    known = {key: etags for drive in scope.drives for key, etags in (await known_etags(drive, world.ledger)).items()}

    async def found(one: CaptureArchived) -> Found:
        return Found(one, await _standing(one, hot, known, world), requested.get(one.capture_id))

    return await each(archived, found)


async def _require_readable(scope: Scope, ledger: Ledger, keys: DriveKeys) -> None:
    if erased := await scope.erased(ledger):
        raise Rejected(Reason.ERASED, f"{erased[0]} was erased: nothing of it can be brought back")
    for drive in scope.drives:
        if await anext(ledger.messages(drive, ARCHIVIST), None) is not None:
            await keys.existing(drive)


async def _archived(drive: str, scope: Scope, ledger: Ledger) -> dict[CaptureId, CaptureArchived]:
    """Return of each capture that is meant what was archived of it; of several the one with most files."""
    chosen: dict[CaptureId, CaptureArchived] = {}
    async for one in ledger.messages(drive, ARCHIVIST):
        found = parse_archived(one.message)
        before = chosen.get(one.capture_id)
        if scope.means(one.capture_id) and (before is None or len(found.files) > len(before.files)):
            chosen[one.capture_id] = found
    return chosen


async def _requests(drive: str, ledger: Ledger) -> list[RestoreRequested]:
    """Return what was asked for last of each capture."""
    noted = [RestoreRequested.model_validate_json(one.message) async for one in ledger.messages(drive, STAGE)]
    ordered = sorted(noted, key=lambda one: (one.capture_id, one.requested_at))
    return [list(several)[-1] for _, several in groupby(ordered, key=lambda one: one.capture_id)]


async def known_etags(drive: str, ledger: Ledger) -> Mapping[str, set[str]]:
    """Return by key which ETags a drive's originals may have: those with which they were archived, or put back."""
    noted = [(one.capture_id, parse_archived(one.message).etags) async for one in ledger.messages(drive, ARCHIVIST)]
    noted += [
        (one.capture_id, CaptureRestored.model_validate_json(one.message).etags) async for one in ledger.messages(drive, RESTORED)
    ]
    known: defaultdict[str, set[str]] = defaultdict(set)
    for capture_id, etags in noted:
        for name, etag in etags.items():
            known[raw_key(capture_id, name).key].add(etag)
    return known


async def _standing(
    archived: CaptureArchived, hot: Mapping[str, StoredBlob], known: Mapping[str, set[str]], world: Connections
) -> Standing:
    """Say where originals are. Those that nobody noted are put back once more where that can be done: whoever did it died before the end."""
    there = [hot.get(raw_key(archived.capture_id, file.name).key) for file in archived.files]
    whole = all(one is not None and one.size == file.size for one, file in zip(there, archived.files, strict=True))
    if whole and all(one is not None and one.etag in known.get(one.ref.key, ()) for one in there):
        return Standing.HOT
    shelf = await world.blobs.shelf(BlobRef(Bucket.ARCHIVE, archived.key))
    if whole and (shelf is None or shelf.access is not Access.READABLE):
        return Standing.HOT
    if shelf is None:
        return Standing.MISSING
    return {Access.READABLE: Standing.READY, Access.RESTORING: Standing.RESTORING, Access.ARCHIVED: Standing.ARCHIVED}[
        shelf.access
    ]


async def ask(found: Sequence[Found], wish: Wish, world: Connections) -> int:
    """Ask for everything that is archived and was not asked for; return how many. May be repeated."""
    wanted = [one for one in found if one.standing is Standing.ARCHIVED]
    for drive in sorted({one.capture_id.drive_id for one in wanted}):
        await note(world.ledger, OperatorAction(at=wish.now(), drive_id=drive, action="restore-request", by=wish.by))
    await each(wanted, lambda one: _ask(one, wish, world))
    return len(wanted)


async def _ask(one: Found, wish: Wish, world: Connections) -> None:
    """Note it first: a request that is noted and was never made is made again, one that was made and not noted has no known end."""
    at = wish.now()
    request = RestoreRequested(
        capture_id=one.archived.capture_id,
        key=one.archived.key,
        tier=wish.tier,
        days=wish.days,
        by=wish.by,
        requested_at=at,
        expected_at=at + retrieval(one.archived.storage_class, wish.tier).takes,
    )
    await world.ledger.finish(one.capture_id, STAGE, _stamp(at), encode(request))
    await world.blobs.restore(one.ref, wish.tier, wish.days)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%S.%fZ")


async def bring_back(found: Sequence[Found], wish: Wish, world: Connections, keys: DriveKeys) -> dict[CaptureId, str]:
    """Put the originals of everything that can be read where they were. May be repeated.

    Return of each capture "", or the sentence why that could not be done; one that cannot keeps nobody from the others.
    """

    async def told(one: Found) -> tuple[CaptureId, str]:
        try:
            await _bring_back(one, wish, world, keys)
        except Rejected as error:
            return one.capture_id, str(error)
        return one.capture_id, ""

    return dict(await each([one for one in found if one.standing is Standing.READY], told, _OPENED_AT_ONCE))


async def _bring_back(one: Found, wish: Wish, world: Connections, keys: DriveKeys) -> None:
    """The manifest last, as the agent delivers; the same bytes as ever, so whoever reads meanwhile reads the same."""
    contents = await opened(one.archived, world, keys)
    if await world.ledger.erased(one.capture_id):
        raise Rejected(Reason.ERASED, f"{one.capture_id} was erased meanwhile")
    promised = {file.name: file.sha256 for file in one.archived.files}
    etags: dict[str, str] = {}
    for name in sorted(promised, key=lambda name: (name == MANIFEST_NAME, name)):
        kind = "application/json" if name == MANIFEST_NAME else "image/jpeg"
        stored = await world.blobs.put(raw_key(one.capture_id, name), contents[name], kind, sha256=promised[name])
        etags[name] = stored.etag
    at = wish.now()
    restored = CaptureRestored(capture_id=one.archived.capture_id, key=one.archived.key, etags=etags, restored_at=at)
    await world.ledger.finish(one.capture_id, RESTORED, _stamp(at), encode(restored))
    await note(world.ledger, _evidence(one, wish))


async def opened(archived: CaptureArchived, world: Connections, keys: DriveKeys) -> dict[str, bytes]:
    """Return the originals in an archive object by name, each with the SHA-256 that the ledger noted.

    `Rejected` with `CORRUPT_ARCHIVE`, `KEY_GONE`, or `OBJECT_GONE` where it is not restored yet.
    """
    capture_id = CaptureId.parse(archived.capture_id)
    data = await world.blobs.get(BlobRef(Bucket.ARCHIVE, archived.key))
    key = await keys.existing(capture_id.drive_id)
    return await asyncio.to_thread(_opened, data, key.secret, archived)


def _opened(data: bytes, secret: bytes, archived: CaptureArchived) -> dict[str, bytes]:
    if hashlib.sha256(data).hexdigest() != archived.sha256:
        raise Rejected(
            Reason.CORRUPT_ARCHIVE, f"the archive object of {archived.capture_id} is not the one that the ledger knows"
        )
    return unpack(unseal(data, secret, archived.capture_id, archived.index_sha256), archived.capture_id)


def _evidence(one: Found, wish: Wish) -> Restoration:
    return Restoration(
        at=wish.now(),
        drive_id=one.capture_id.drive_id,
        by=wish.by,
        because=wish.because,
        capture_id=one.archived.capture_id,
        archived=AuditedObject(bucket=Bucket.ARCHIVE, key=one.archived.key, sha256=one.archived.sha256),
        outputs=tuple(
            AuditedObject(bucket=Bucket.RAW, key=raw_key(one.capture_id, file.name).key, sha256=file.sha256)
            for file in one.archived.files
        ),
    )
