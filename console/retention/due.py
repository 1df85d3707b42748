"""What is due: every object of a drive, its class, the rule for it, and when its time ends."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from console.archive.restore import known_etags
from console.retention.rules import DataClass, Rules
from panoveil.blobs import StoredBlob
from panoveil.contracts.archive import CaptureArchived, parse_archived
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import Bucket, CaptureId, parse_raw_key
from panoveil.ledger import Ledger, State
from panoveil.runtime import Connections
from services.archivist.handler import STAGE as ARCHIVIST

DueClass = DataClass | Literal["erased"]
_PLACES: Mapping[Bucket, tuple[DataClass, str]] = {
    Bucket.RAW: ("raw", ""),
    Bucket.STITCHED: ("stitched", ""),
    Bucket.PUBLISHED: ("published", ""),
    Bucket.ARCHIVE: ("archive", ""),
    Bucket.QUARANTINE: ("quarantine", "entries/"),
}
"""The class of what lies in a bucket, and what stands before `<survey>/<drive>/` there. Rigs are no personal data, keys end by erasure."""
_NEVER_PUBLISHED = frozenset({State.HELD, State.QUARANTINED})
_ERASED: tuple[DueClass, str] = ("erased", "0d")


@dataclass(frozen=True, slots=True)
class Due:
    """Objects of a drive whose time has ended by one rule; `keep` is its term, `oldest` epoch seconds."""

    drive_id: str
    data_class: DueClass
    keep: str
    objects: tuple[StoredBlob, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(stored.size for stored in self.objects)

    @property
    def oldest(self) -> float:
        """When the oldest was written, epoch seconds."""
        return min(stored.written for stored in self.objects)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger knows of a drive: how its captures stand, what was archived of them, and the ETags of those originals, by key."""

    drive_erased: bool
    states: Mapping[CaptureId, State]
    archived: Mapping[CaptureId, Sequence[CaptureArchived]]
    etags: Mapping[str, set[str]]

    def erased(self, capture_id: CaptureId) -> bool:
        """Say whether a capture, or its drive, was erased."""
        return self.drive_erased or self.states.get(capture_id) is State.ERASED

    def archive_of(self, capture_id: CaptureId, stored: StoredBlob) -> CaptureArchived | None:
        """Return an archive that holds an original, by name and size."""
        for one in self.archived.get(capture_id, ()):
            if any((file.name, file.size) == (_name(stored), stored.size) for file in one.files):
                return one
        return None

    def knows(self, stored: StoredBlob) -> bool:
        """Say whether an original is the very object that was archived, or that a restore put back."""
        return stored.etag in self.etags.get(stored.ref.key, ())


async def facts_of(drive_id: str, ledger: Ledger) -> Facts:
    """Read them."""
    archived: defaultdict[CaptureId, list[CaptureArchived]] = defaultdict(list)
    async for one in ledger.messages(drive_id, ARCHIVIST):
        archived[one.capture_id].append(parse_archived(one.message))
    states = {state.capture_id: state.state async for state in ledger.captures(drive_id)}
    return Facts(await ledger.drive_erased(drive_id), states, archived, await known_etags(drive_id, ledger))


async def due(drive_id: str, rules: Rules, world: Connections, now: float) -> AsyncIterator[Due]:
    """Yield what of a drive is due at a time (epoch seconds), by class."""
    facts = await facts_of(drive_id, world.ledger)
    survey = drive_id.split("/", maxsplit=1)[0]
    found: defaultdict[tuple[DueClass, str], list[StoredBlob]] = defaultdict(list)
    for bucket, (_, before) in _PLACES.items():
        async for stored in world.blobs.list(bucket, f"{before}{drive_id}/"):
            rule = _ended(stored, before, facts, rules, survey, now)
            if rule is not None:
                found[rule].append(stored)
    for (data_class, keep), objects in found.items():
        yield Due(drive_id, data_class, keep, tuple(objects))


def _ended(stored: StoredBlob, before: str, facts: Facts, rules: Rules, survey: str, now: float) -> tuple[DueClass, str] | None:
    """Return class and term of the rule by which an object's time has ended, None where it has not."""
    capture_id = _capture_of(stored.ref.key.removeprefix(before))
    if capture_id is None:
        return None
    if facts.erased(capture_id):
        return _ERASED
    judged = _judged(stored, capture_id, facts)
    if judged is None:
        return None
    data_class, since = judged
    rule = rules.of(data_class, survey)
    ends = rule.seconds is not None and since + rule.seconds <= now
    return (data_class, rule.keep) if ends else None


def _judged(stored: StoredBlob, capture_id: CaptureId, facts: Facts) -> tuple[DataClass, float] | None:
    """Return an object's class and when its time began; None of originals that must stay: not archived, or worked on."""
    if stored.ref.bucket is not Bucket.RAW:
        return _PLACES[stored.ref.bucket][0], stored.written
    if facts.states.get(capture_id) in _NEVER_PUBLISHED:
        return "quarantine", stored.written
    archived = facts.archive_of(capture_id, stored)
    return None if archived is None else ("raw", max(stored.written, archived.archived_at.timestamp()))


def _name(stored: StoredBlob) -> str:
    return stored.ref.key.rsplit("/", 1)[1]


def _capture_of(key: str) -> CaptureId | None:
    try:
        return parse_raw_key(key)[0]
    except Rejected:
        return None
