"""A published capture and everything around it, in memory."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from panoveil.blobs import MemoryBlobs
from panoveil.contracts import examples
from panoveil.contracts.archive import CaptureArchived
from panoveil.contracts.keys import MANIFEST_NAME, CaptureId, raw_key
from panoveil.contracts.messages import CaptureManifest, FrameEntry, PanoramaPublished, decode, encode, parse_manifest
from panoveil.keys import MemoryDriveKeys
from panoveil.ledger import MemoryLedger
from services.archivist.handler import Ports, archives, handle

DRIVE = "fyn-2026/car7-0601"
NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
FRAMES = {"front": b"front " * 1000, "back": b"back " * 1000}


def capture(number: int = 1) -> CaptureId:
    return CaptureId.parse(f"{DRIVE}/{number:06d}")


def manifest(capture_id: CaptureId, frames: Mapping[str, bytes] = FRAMES) -> bytes:
    entries = tuple(
        FrameEntry(lens=lens, file=f"{lens}.jpg", sha256=hashlib.sha256(data).hexdigest()) for lens, data in frames.items()
    )
    names = {"survey": capture_id.survey, "drive": capture_id.drive, "capture": capture_id.capture}
    told: CaptureManifest = parse_manifest(examples.read("capture.1")).model_copy(update={**names, "frames": entries})
    return encode(told)


def published(capture_id: CaptureId, **changes: Any) -> PanoramaPublished:
    message = decode(examples.read("panorama.published.2"))
    assert isinstance(message, PanoramaPublished)
    return message.model_copy(update={"capture_id": str(capture_id), **changes})


class World:
    """The twins behind the ports."""

    def __init__(self) -> None:
        self.blobs, self.ledger, self.keys = MemoryBlobs(restore_seconds=0.0), MemoryLedger(), MemoryDriveKeys()

    @property
    def ports(self) -> Ports:
        return Ports(self.blobs, self.ledger, self.keys, lambda: NOW)

    async def upload(self, capture_id: CaptureId, frames: Mapping[str, bytes] = FRAMES) -> dict[str, bytes]:
        files = {f"{lens}.jpg": data for lens, data in frames.items()} | {MANIFEST_NAME: manifest(capture_id, frames)}
        for name, data in files.items():
            await self.blobs.put(raw_key(capture_id, name), data)
        return files

    async def archive(self, capture_id: CaptureId) -> CaptureArchived:
        await handle(published(capture_id), self.ports)
        return (await archives(capture_id, self.ledger))[0]
