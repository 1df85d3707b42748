"""Panoramas through the anonymizer's handler while a real Triton is killed, crippled, choked or lied to.

Whatever happens to it: no panorama is lost, none is published twice, and nothing is left to be seen in any that is published.
"""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest

from console.stack import triton
from console.stack.processes import Process
from panoveil import telemetry
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, stitched_key
from panoveil.contracts.messages import PanoramaPublished, PanoramaStitched, Pose, Quality, decode, encode
from panoveil.detection import KINDS, Retry, TritonDetector
from panoveil.ledger import MemoryLedger, State
from panoveil.pixels import jpeg
from panoveil.streams import Consumer, MemoryStreams, Outgoing, Record, RetryPolicy
from services.anonymizer.app import recipe_of
from services.anonymizer.handler import Ports, handle
from services.anonymizer.settings import AnonymizerSettings
from tests.images import standins

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-triton"
RECIPE_ID = "5f1c0a9be37d2468"
COUNT = 4
CHOKED = """
dynamic_batching { default_queue_policy { max_queue_size: 1 } }
"""

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not VENV.exists(), reason="Triton is not installed: make setup"),
]


def capture(number: int) -> CaptureId:
    return CaptureId("fyn-2026", "car7-0601", f"{number:06}")


def panorama(number: int) -> bytes:
    """A face and a plate, somewhere else in every panorama."""
    rough = np.random.default_rng(number).integers(90, 160, (16, 32, 3), dtype=np.uint8)
    picture = np.kron(rough, np.ones((16, 16, 1), np.uint8))
    for kind, y, height in (("face", 100, 20), ("plate", 140, 12)):
        x = 30 + (number * 61 + y) % 430
        picture[y : y + height, x : x + 24] = standins.COLOURS["face" if kind == "face" else "plate"]
    return jpeg.encode(picture, 95)


def stitched(number: int, data: bytes) -> PanoramaStitched:
    return PanoramaStitched(
        capture_id=str(capture(number)), rig_id="ring", recipe_id=RECIPE_ID, captured_at=datetime(2026, 6, 1, 12, tzinfo=UTC),
        pose=Pose(latitude=55.4, longitude=10.4, heading=12.0), key=stitched_key(str(capture(number)), RECIPE_ID).key,
        sha256=hashlib.sha256(data).hexdigest(), width=512, height=256,
        quality=Quality(sharpness=1, clipped_share=0, overlap_difference=0, coverage=1), carried=(), carried_elsewhere=None, hold=None,
    )  # fmt: skip


class Nowhere:
    """A quarantine that must stay empty."""

    async def put(self, record: Record, reason: str, detail: str, traceback: str, attempts: int) -> None:
        pytest.fail(f"{reason}: {detail} {traceback}")


@dataclass
class World:
    """The service over a real Triton, with everything else in memory."""

    detector: TritonDetector
    in_flight: int = 2
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    streams: MemoryStreams = field(default_factory=MemoryStreams)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, stream: Stream, records: Iterable[Outgoing]) -> None:
        """As the sink."""
        await self.streams.send(stream, list(records))
        if stream == Stream.PUBLICATIONS:
            self.first.set()

    async def work(self, count: int = COUNT) -> None:
        """Bring so many panoramas to their end, `in_flight` at a time."""
        settings = AnonymizerSettings(view_plan="fast")
        ports = Ports(self.blobs, self.ledger, self, self.detector, recipe_of(settings, self.detector))

        async def on_record(record: Record) -> None:
            message = decode(record.data)
            assert isinstance(message, PanoramaStitched)
            await handle(message, ports)

        source = self.streams.source(Stream.PANORAMAS, "anonymizer")
        consumer = Consumer("anonymizer", source, on_record, Nowhere(), policy=RetryPolicy(first_pause=0.05, longest_pause=0.4))
        slots = asyncio.Semaphore(self.in_flight)

        async def one(number: int) -> None:
            data = panorama(number)
            message = stitched(number, data)
            await self.blobs.put(BlobRef(Bucket.STITCHED, message.key), data)
            async with slots:
                await consumer.work(Record("shard", str(number), message.capture_id, encode(message), 0.0))

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))

    async def published(self) -> list[str]:
        keys = [blob.ref.key async for blob in self.blobs.list(Bucket.PUBLISHED)]
        return [key for key in keys if not key.endswith("/current.json")]

    async def require_all_published_and_clean(self, count: int = COUNT) -> None:
        told = [decode(record.data) for record in self.streams.records(Stream.PUBLICATIONS)]
        assert sorted(message.capture_id for message in told) == [str(capture(number)) for number in range(count)]
        for message in told:
            assert isinstance(message, PanoramaPublished)
            picture = jpeg.decode(await self.blobs.get(BlobRef(Bucket.PUBLISHED, message.key)))
            assert not any(standins.is_left(picture, kind) for kind in KINDS)
            assert {box.kind for box in message.boxes} == set(KINDS)
            state = await self.ledger.state(CaptureId.parse(message.capture_id))
            assert state is not None
            assert state.state == State.PUBLISHED
        assert len(await self.published()) == 4 * count
        assert len([entry async for entry in self.ledger.audit_chain(capture(0).drive_id)]) == count


@contextlib.asynccontextmanager
async def world_at(url: str, in_flight: int = 2, requests: int = 4, *, shared_memory: bool = False) -> AsyncIterator[World]:
    async with TritonDetector(
        url, AnonymizerSettings().models, in_flight=requests, deadline=30, retry=Retry(4, 0.05, 0.4), golden=standins.golden(),
        shared_memory=shared_memory,
    ) as detector:  # fmt: skip
        yield World(detector, in_flight)


def failures(cause: str) -> float:
    return sum(float(telemetry.DETECTOR_FAILURES.labels(kind, cause)._value.get()) for kind in KINDS)


def test_the_panoramas_hold_what_must_not_be_published() -> None:
    for number in range(COUNT):
        assert all(standins.is_left(jpeg.decode(panorama(number)), kind) for kind in KINDS)


@dataclass
class Server:
    """A Triton, and how to start it again."""

    command: triton.Command
    process: Process

    async def ready(self) -> str:
        await triton.wait_ready(self.command.http_port, lambda: self.process.running)
        return self.command.grpc_url

    async def kill_and_restart(self) -> None:
        family = psutil.Process(self.process.popen.pid).children(recursive=True)
        self.process.popen.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.process.popen.wait)
        # What they leave bears the names that the next server gives: it must be gone before.
        await asyncio.to_thread(psutil.wait_procs, family, 30)
        self.process = Process.start("again", self.command.argv, self.command.env, self.process.log.parent)

    def kill_stubs(self) -> None:
        for child in psutil.Process(self.process.popen.pid).children(recursive=True):
            if "triton_python" in child.name():
                os.kill(child.pid, signal.SIGKILL)


@contextlib.contextmanager
def serving(models: Path, folder: Path, tampering: str = "") -> Iterator[Server]:
    """Serve the models; `tampering` is added to the backend's code."""
    command = triton.command(models, VENV, folder)
    with (folder / "backends" / "onnxruntime" / "model.py").open("a") as shim:
        shim.write(tampering)
    server = Server(command, Process.start("triton", command.argv, command.env, folder))
    try:
        yield server
    finally:
        server.process.stop(0.1)
        triton.remove_stale_regions(command.shm_prefix)


@pytest.mark.parametrize("shared_memory", [False, True], ids=["grpc", "shared memory"])
async def test_a_server_killed_under_load_and_started_again(tmp_path: Path, *, shared_memory: bool) -> None:
    with serving(standins.repository(tmp_path / "models"), tmp_path) as server:
        async with world_at(await server.ready(), shared_memory=shared_memory) as world, asyncio.timeout(800):
            work = asyncio.create_task(world.work())
            await world.first.wait()
            await server.kill_and_restart()
            await work
    assert world.detector.interruptions
    await world.require_all_published_and_clean()


async def test_a_stub_killed_under_load(tmp_path: Path) -> None:
    crashes = failures("crashed")
    with serving(standins.repository(tmp_path / "models"), tmp_path) as server:
        async with world_at(await server.ready()) as world, asyncio.timeout(800):
            work = asyncio.create_task(world.work())
            await world.first.wait()
            server.kill_stubs()
            await work
    assert failures("crashed") > crashes
    await world.require_all_published_and_clean()


_CLIENT = """
import asyncio, os, signal, sys
from panoveil.detection import TritonDetector
from tests.images import standins

async def main():
    detector = TritonDetector(sys.argv[1], golden=standins.golden(), shared_memory=True)
    await detector.prove()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_killed_clients_shared_memory_is_forgotten_by_the_next_one(tmp_path: Path) -> None:
    with serving(standins.repository(tmp_path / "models"), tmp_path) as server:
        url = await server.ready()
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", _CLIENT, url, cwd=ROOT)
        assert await client.wait() == -signal.SIGKILL
        left = f"panoveil-views-{client.pid}-"
        assert list(Path("/dev/shm").glob(f"{left}*")) == []  # noqa: S108 - where its regions would lie
        async with world_at(url, shared_memory=True) as world:
            assert any(name.startswith(left) for name in await regions_known(world))
            await world.detector.prove()
            assert not any(name.startswith(left) for name in await regions_known(world))
        async with world_at(url) as world:
            assert await regions_known(world) == []


async def regions_known(world: World) -> list[str]:
    return list((await world.detector._client.get_system_shared_memory_status()).regions)


async def test_a_queue_that_is_full(tmp_path: Path) -> None:
    refused = failures("busy")
    with serving(standins.repository(tmp_path / "models", CHOKED), tmp_path) as server:
        async with world_at(await server.ready(), in_flight=COUNT, requests=16) as world, asyncio.timeout(800):
            await world.work()
    assert failures("busy") > refused
    assert not world.detector.interruptions
    await world.require_all_published_and_clean()


async def test_a_model_that_answers_nan_publishes_nothing(tmp_path: Path) -> None:
    with serving(standins.repository(tmp_path / "models", widest=400), tmp_path) as server:
        async with world_at(await server.ready()) as world:
            await world.detector.prove()
            await never_published(world, "nonsense")


_EMPTYING = """

class TritonPythonModel(TritonPythonModel):
    def _answer(self, request):
        response = super()._answer(request)
        empty = [pb_utils.Tensor(tensor.name(), np.zeros_like(tensor.as_numpy())) for tensor in response.output_tensors()]
        return pb_utils.InferenceResponse(output_tensors=empty)
"""
"""What numpy 2 in the server's environment does to tensors, in a server that nobody's launcher has checked."""


async def test_a_server_that_empties_every_tensor_publishes_nothing(tmp_path: Path) -> None:
    with serving(standins.repository(tmp_path / "models"), tmp_path, _EMPTYING) as server:
        async with world_at(await server.ready()) as world:
            await never_published(world, "blind")


async def never_published(world: World, cause: str) -> None:
    """Let the service try until it has failed a few times; what it has left is nothing."""
    before, tries = failures(cause), 3
    work = asyncio.create_task(world.work())
    while failures(cause) < before + tries:
        done, _ = await asyncio.wait([work], timeout=0.05)
        assert not done
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    assert await world.published() == []
    assert world.streams.records(Stream.PUBLICATIONS) == []
    with pytest.raises(Unavailable):
        await world.detector.detect("face", np.zeros((1, 320, 640, 3), np.uint8))
