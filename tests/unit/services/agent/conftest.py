"""A drive folder, the twins behind the agent's ports, and a switch that turns the car off at a given step."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from panoveil.blobs import Blobs, MemoryBlobs, StoredBlob
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import BlobRef, Stream
from panoveil.streams import Outgoing
from services.agent.events import Event
from services.agent.handler import Ports
from services.agent.patience import Backoff

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
LENSES = ("front", "left", "right")


def add_capture(folder: Path, name: str, *, minute: int = 0, lenses: Sequence[str] = LENSES, **changes: object) -> Path:
    """Photograph: write frames, then the manifest; `changes` go into the manifest."""
    place = folder / name
    place.mkdir(parents=True)
    frames = []
    for lens in lenses:
        data = f"{name}-{lens}".encode() * 50
        (place / f"{lens}.jpg").write_bytes(data)
        frames.append({"lens": lens, "file": f"{lens}.jpg", "sha256": hashlib.sha256(data).hexdigest()})
    manifest = {
        "survey": "dk",
        "drive": "d1",
        "capture": name,
        "rig_id": "rig-1",
        "captured_at": (START + timedelta(minutes=minute)).isoformat(),
        "pose": {"latitude": 55.7, "longitude": 12.5},
        "frames": frames,
    }
    (place / "capture.json").write_text(json.dumps({**manifest, **changes}))
    return place


def rewrite(place: Path, lens: str, data: bytes) -> None:
    """Put another picture in a frame's place, and its hash into the manifest."""
    (place / f"{lens}.jpg").write_bytes(data)
    manifest = json.loads((place / "capture.json").read_text())
    for frame in manifest["frames"]:
        if frame["lens"] == lens:
            frame["sha256"] = hashlib.sha256(data).hexdigest()
    (place / "capture.json").write_text(json.dumps(manifest))


class Off(Exception):
    """The car was switched off."""


@dataclass
class Car:
    """The world the agent sees. `off_after` steps (PUTs and sends, before or after their effect) it is switched off."""

    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    sent: list[Outgoing] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    steps: int = 0
    off_after: int | None = None
    kinesis_down: bool = False
    events: list[Event] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[], None] = lambda: None

    async def put(self, ref: BlobRef, data: bytes, content_type: str = "", *, sha256: str | None = None) -> StoredBlob:
        """Store, with a chance to be switched off on either side."""
        self._step()
        await asyncio.sleep(0)
        stored = await self.blobs.put(ref, data, content_type, sha256=sha256)
        self.log.append(("put", ref.key))
        self._step()
        return stored

    async def send(self, stream: Stream, records: Sequence[Outgoing]) -> None:
        """Send, with a chance to be switched off on either side."""
        assert stream is Stream.UPLOADS
        self._step()
        await asyncio.sleep(0)
        if self.kinesis_down:
            raise Unavailable("kinesis", "switched off")
        self.sent.extend(records)
        self.log += [("event", key) for key in map(key_of, records)]
        self._step()

    async def sleep(self, seconds: float) -> None:
        """Note the wait instead of waiting."""
        self.slept.append(seconds)
        self.on_sleep()
        await asyncio.sleep(0)

    def ports(self, parallel: int = 4, destination: str = "test", give_up_after: float = 60) -> Ports:
        """What the agent is given."""
        return Ports(
            cast("Blobs", self),  # of a store, the agent only puts
            self,
            "panoveil-raw",
            destination,
            parallel,
            Backoff(give_up_after=give_up_after),
            self.sleep,
            lambda: START + timedelta(milliseconds=len(self.log)),
            every=10.0,
        )

    def stored(self) -> set[str]:
        """Keys in the raw bucket."""
        return {ref.key for ref in self.blobs.objects}

    def announced(self) -> list[str]:
        """Keys on the stream, in order."""
        return [key_of(record) for record in self.sent]

    def _step(self) -> None:
        self.steps += 1
        if self.off_after is not None and self.steps > self.off_after:
            raise Off


def key_of(record: Outgoing) -> str:
    """The key a record announces."""
    key: str = json.loads(record.data)["Records"][0]["s3"]["object"]["key"]
    return key


@pytest.fixture
def car() -> Car:
    """A car whose connections work."""
    return Car()


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Three finished captures, the oldest in the folder that sorts last."""
    folder = tmp_path / "drive"
    for minute, name in enumerate(("c3", "c2", "c1")):
        add_capture(folder / "captures", name, minute=minute)
    return folder
