"""What the buckets hold of a drive: names, sizes and times of what is in them, no contents."""

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from panoveil.blobs import Blobs, StoredBlob
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, destroyed_key, parse_raw_key, suffix
from panoveil.ledger import NO_DRIVE

_CURRENT = "current"
_ENTRIES = "entries/"
_HOLD_CAPTURES = (Bucket.RAW, Bucket.STITCHED, Bucket.PUBLISHED, Bucket.ARCHIVE)


@dataclass
class Inventory:
    """By capture: originals by name; the recipes whose JSON is published; when it was stitched last; then what is of no capture.

    `pointed` are the captures with a `current.json`, `archived` those with an archive object, `odd` keys that nobody of us writes.
    """

    drive_id: str
    raw: dict[CaptureId, dict[str, StoredBlob]] = field(default_factory=lambda: defaultdict(dict))
    publications: dict[CaptureId, list[str]] = field(default_factory=lambda: defaultdict(list))
    pointed: set[CaptureId] = field(default_factory=set)
    stitched: dict[CaptureId, float] = field(default_factory=dict)
    archived: set[CaptureId] = field(default_factory=set)
    entries: list[BlobRef] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    destroyed: bool = False

    @property
    def captures(self) -> list[CaptureId]:
        """Every capture of which there is anything but an archive object, ordered."""
        return sorted({*self.raw, *self.publications, *self.stitched}, key=str)

    def add(self, blob: StoredBlob) -> None:
        """Take an object in."""
        try:
            capture_id, name = parse_raw_key(blob.ref.key)
        except Rejected:
            self.odd.append(str(blob.ref))
            return
        match blob.ref.bucket:
            case Bucket.RAW:
                self.raw[capture_id][name] = blob
            case Bucket.STITCHED:
                self.stitched[capture_id] = max(blob.written, self.stitched.get(capture_id, 0.0))
            case Bucket.ARCHIVE:
                self.archived.add(capture_id)
            case _ if suffix(blob.ref.key) == "." + "json":
                self._add_json(capture_id, name.removesuffix(".json"))

    def _add_json(self, capture_id: CaptureId, recipe_id: str) -> None:
        if recipe_id == _CURRENT:
            self.pointed.add(capture_id)
        else:
            self.publications[capture_id].append(recipe_id)


async def of_drive(drive_id: str, blobs: Blobs) -> Inventory:
    """List what there is of a drive; of `NO_DRIVE` what lies in quarantine and names no capture."""
    found = Inventory(drive_id)
    for bucket in () if drive_id == NO_DRIVE else _HOLD_CAPTURES:
        async for blob in blobs.list(bucket, f"{drive_id}/"):
            found.add(blob)
    prefix = f"{_ENTRIES}{drive_id}/"
    found.entries = [blob.ref async for blob in blobs.list(Bucket.QUARANTINE, prefix)]
    found.destroyed = drive_id != NO_DRIVE and await blobs.head(destroyed_key(drive_id)) is not None
    return found


async def drives(survey: str | None, blobs: Blobs) -> list[str]:
    """Return every drive of which any bucket holds anything, of one survey or of all; `NO_DRIVE` among all."""
    prefix = f"{survey}/" if survey else ""
    found: set[str] = set()
    for bucket in (*_HOLD_CAPTURES, Bucket.KEYS):
        found |= {drive async for drive in _drives(bucket, prefix, "", blobs)}
    found |= {drive async for drive in _drives(Bucket.QUARANTINE, f"{_ENTRIES}{prefix}", _ENTRIES, blobs)}
    return sorted(found)


async def _drives(bucket: Bucket, prefix: str, before: str, blobs: Blobs) -> AsyncIterator[str]:
    async for blob in blobs.list(bucket, prefix):
        survey, _, rest = blob.ref.key.removeprefix(before).partition("/")
        if survey == NO_DRIVE:
            yield NO_DRIVE
        elif rest and not survey.startswith("_"):
            yield f"{survey}/{rest.split('/', 1)[0]}"
