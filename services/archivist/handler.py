"""One published capture at a time: its originals packed, sealed, put into cold storage and proven to be there."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from panoveil import telemetry
from panoveil.blobs import Blobs
from panoveil.contracts.archive import CaptureArchived, StorageClass, parse_archived
from panoveil.contracts.audit import Archival, AuditedObject
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import MANIFEST_NAME, BlobRef, Bucket, CaptureId, archive_key, raw_key
from panoveil.contracts.limits import LARGEST_PICTURE, LONGEST_MANIFEST
from panoveil.contracts.messages import PanoramaPublished, encode, parse_manifest
from panoveil.contracts.reasons import Reason
from panoveil.keys import DataKey, DriveKeys
from panoveil.ledger import Ledger, note
from services.archivist.bundle import Bundle, pack, unpack
from services.archivist.seal import seal, unseal

STAGE = "archivist"


@dataclass(frozen=True, slots=True)
class Original:
    """A file as its manifest promises it and as the store has it: SHA-256, in hex, and ETag."""

    sha256: str
    etag: str


@dataclass(frozen=True)
class Ports:
    """What the handler needs of the world."""

    blobs: Blobs
    ledger: Ledger
    keys: DriveKeys
    now: Callable[[], datetime]
    storage_class: StorageClass = StorageClass.DEEP_ARCHIVE


async def handle(message: PanoramaPublished, ports: Ports) -> None:
    """Archive the capture's originals, once for everything that it consists of. What is archived already is left alone.

    Nothing is removed here: originals stay until a retention rule says so, and that looks for what is noted at the end of this.
    """
    capture_id = CaptureId.parse(message.capture_id)
    originals = await _originals(capture_id, ports)
    if originals is None or await _is_archived(capture_id, originals, ports.ledger):
        return
    bundle = await _packed(capture_id, originals, ports)
    key = await ports.keys.obtain(capture_id.drive_id)
    archived = await _put(bundle, key, {name: original.etag for name, original in originals.items()}, ports)
    await note(ports.ledger, _evidence(capture_id, archived, ports.now()))
    await ports.ledger.finish(capture_id, STAGE, bundle.index_id, encode(archived))
    telemetry.ARCHIVED_CAPTURES.inc()
    telemetry.ARCHIVED_BYTES.inc(archived.size)


async def _originals(capture_id: CaptureId, ports: Ports) -> dict[str, Original] | None:
    """Return the manifest and those frames of it that are there, by name; None where all of it expired, archived."""
    try:
        text = await ports.blobs.get(raw_key(capture_id, MANIFEST_NAME), LONGEST_MANIFEST)
    except Rejected:
        if await archives(capture_id, ports.ledger):
            return None
        raise
    there = {stored.ref.key.rsplit("/", 1)[1]: stored.etag async for stored in ports.blobs.list(Bucket.RAW, f"{capture_id}/")}
    promised = {frame.file: frame.sha256 for frame in parse_manifest(text).frames} | {
        MANIFEST_NAME: hashlib.sha256(text).hexdigest()
    }
    return {name: Original(sha256, there[name]) for name, sha256 in promised.items() if name in there}


async def _is_archived(capture_id: CaptureId, originals: Mapping[str, Original], ledger: Ledger) -> bool:
    """Say whether one archive object holds all of these files."""
    promised = {name: original.sha256 for name, original in originals.items()}
    for archived in await archives(capture_id, ledger):
        if promised.items() <= {file.name: file.sha256 for file in archived.files}.items():
            return True
    return False


async def archives(capture_id: CaptureId, ledger: Ledger) -> list[CaptureArchived]:
    """Return what was archived of a capture, the fullest first."""
    noted = [one.message async for one in ledger.messages(capture_id.drive_id, STAGE, capture_id.capture)]
    return sorted(map(parse_archived, noted), key=lambda archived: len(archived.files), reverse=True)


async def _packed(capture_id: CaptureId, originals: Mapping[str, Original], ports: Ports) -> Bundle:
    contents = {name: await _read(raw_key(capture_id, name), one.sha256, ports.blobs) for name, one in originals.items()}
    return await asyncio.to_thread(_measured_pack, str(capture_id), contents)


async def _read(ref: BlobRef, sha256: str, blobs: Blobs) -> bytes:
    data = await blobs.get(ref, LARGEST_PICTURE)
    telemetry.BYTES.labels(STAGE, "read").inc(len(data))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Rejected(Reason.HASH_MISMATCH, f"{ref} is not what its manifest promises: it is not archived")
    return data


def _measured_pack(capture_id: str, contents: Mapping[str, bytes]) -> Bundle:
    with telemetry.measured(STAGE, "pack"):
        return pack(capture_id, contents)


async def _put(bundle: Bundle, key: DataKey, etags: dict[str, str], ports: Ports) -> CaptureArchived:
    """Put the sealed bundle; `Unavailable` until the store's checksum of it is that of what was sealed here."""
    data = await asyncio.to_thread(_sealed, bundle, key)
    ref = archive_key(bundle.capture_id, bundle.index_id)
    await ports.blobs.put(ref, data, storage_class=ports.storage_class)
    if not await ports.blobs.holds(ref, data):
        raise Unavailable("s3", f"{ref}: its checksum is not that of what was put there")
    telemetry.BYTES.labels(STAGE, "written").inc(len(data))
    return CaptureArchived(
        capture_id=bundle.capture_id,
        key=ref.key,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        storage_class=ports.storage_class,
        index_sha256=bundle.index_sha256,
        key_sha256=key.fingerprint,
        files=bundle.files,
        etags=etags,
        archived_at=ports.now(),
    )


def _sealed(bundle: Bundle, key: DataKey) -> bytes:
    """Encrypt, and open it once more: what cannot be opened here cannot be opened when the originals are gone."""
    about = (key.secret, bundle.capture_id, bundle.index_sha256)
    with telemetry.measured(STAGE, "seal"):
        data = seal(bundle.tar, *about)
        unpack(unseal(data, *about), bundle.capture_id)
    return data


def _evidence(capture_id: CaptureId, archived: CaptureArchived, at: datetime) -> Archival:
    return Archival(
        at=at,
        drive_id=capture_id.drive_id,
        capture_id=archived.capture_id,
        inputs=tuple(
            AuditedObject(bucket=Bucket.RAW, key=raw_key(capture_id, file.name).key, sha256=file.sha256)
            for file in archived.files
        ),
        archived=AuditedObject(bucket=Bucket.ARCHIVE, key=archived.key, sha256=archived.sha256),
        index_sha256=archived.index_sha256,
        key_sha256=archived.key_sha256,
    )
