"""A whole, valid capture in memory, for tests to spoil."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest

from panoveil.blobs import MemoryBlobs
from panoveil.contracts.keys import BlobRef, CaptureId, Stream, raw_key, rig_key
from panoveil.contracts.messages import CaptureManifest, FrameEntry, Pose
from panoveil.contracts.rig import BrownConrady, Lens, Rig
from panoveil.ledger import MemoryLedger
from panoveil.pixels import jpeg
from panoveil.streams import MemoryStreams
from services.ingest.events import Uploaded
from services.ingest.handler import Ports

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CAPTURE = CaptureId("fyn-2026", "car7-0601", "000001")
_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def lens(name: str) -> Lens:
    return Lens(name=name, width=64, height=48, intrinsics=BrownConrady(fx=32, fy=32, cx=31.5, cy=23.5), rotation=_IDENTITY)


RIG = Rig(rig_id="two-v1", lenses=(lens("front"), lens("back")))


def picture(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return jpeg.encode(noise, 90)


@dataclass
class World:
    """Twins of all servers, holding an uploaded capture whose events have not been handled."""

    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    streams: MemoryStreams = field(default_factory=MemoryStreams)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def ports(self) -> Ports:
        return Ports(self.blobs, self.ledger, self.streams, lambda: NOW)

    def put(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.blobs.objects[raw_key(CAPTURE, name)] = data

    def put_manifest(self, **changes: object) -> None:
        self.put("capture.json", manifest(self.files).model_copy(update=changes).model_dump_json().encode())

    def event(self, name: str) -> Uploaded:
        return Uploaded(raw_key(CAPTURE, name).key, len(self.files[name]), hashlib.md5(self.files[name]).hexdigest())  # noqa: S324

    def announced(self) -> list[bytes]:
        return [record.data for record in self.streams.records(Stream.CAPTURES)]


def manifest(files: dict[str, bytes]) -> CaptureManifest:
    frames = tuple(
        FrameEntry(lens=name, file=f"{name}.jpg", sha256=hashlib.sha256(files[f"{name}.jpg"]).hexdigest())
        for name in ("front", "back")
    )
    return CaptureManifest(
        survey=CAPTURE.survey,
        drive=CAPTURE.drive,
        capture=CAPTURE.capture,
        rig_id=RIG.rig_id,
        captured_at=datetime(2026, 6, 1, 10, tzinfo=UTC),
        pose=Pose(latitude=55.4, longitude=10.4, heading=90),
        frames=frames,
    )


@pytest.fixture
def world() -> World:
    return whole_capture()


def whole_capture() -> World:
    made = World()
    made.blobs.objects[rig_key(RIG.rig_id)] = RIG.model_dump_json().encode()
    made.put("front.jpg", picture(1))
    made.put("back.jpg", picture(2))
    made.put_manifest()
    return made


def ref(name: str) -> BlobRef:
    return raw_key(CAPTURE, name)
