"""How much of the services' CPU is work on pixels.

One drive warms the services up, the other is measured: from when it begins to come in until nothing of it is under way, each service's
CPU-seconds, its JVM's and its shard children's included. The same captures go through the same handlers in this process, with streams,
objects, ledger and the detector's answers in memory: what that takes, once warm, is the pure functions' share. The anonymizer has a
stack of its own, whose Triton has learnt the answers (`recalled`), so that it is busy and does not wait for a CPU's inference.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import cv2

from benchmarks.chaos.drives import make
from benchmarks.load.recalled import Memorised, start_recalled, write_repository
from benchmarks.options import Tell
from console.demo.run import Drive, import_rig
from console.stack import stack as stacks
from panoveil.blobs import Blobs, MemoryBlobs
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import BlobRef, Bucket, Stream
from panoveil.contracts.messages import CaptureReady, PanoramaStitched, decode, encode
from panoveil.detection import TritonDetector
from panoveil.ledger import MemoryLedger, State
from panoveil.pixels.process import prepare
from panoveil.runtime import Connections, connect
from panoveil.streams import MemoryStreams, Outgoing
from services.agent.app import connect as agent_connect
from services.agent.app import upload_drive
from services.agent.notification import object_created
from services.agent.settings import AgentSettings
from services.anonymizer import app as anonymizer
from services.anonymizer import handler as anonymizing
from services.anonymizer.settings import AnonymizerSettings
from services.ingest import handler as ingesting
from services.ingest.app import handle_all
from services.ingest.events import parse_uploads
from services.stitcher import handler as stitching
from services.stitcher.settings import StitcherSettings

T = TypeVar("T")

_STAGES: Mapping[str, State] = {"ingest": State.READY, "stitcher": State.STITCHED, "anonymizer": State.PUBLISHED}
_LOOK_EVERY = 0.05
_SETTLE = 60.0
"""Seconds after which a JVM that has nothing to do has compiled what it does meanwhile."""
_PATIENCE = 1800.0
_DRAIN = 25.0
_PAST: Mapping[State, frozenset[State]] = {
    State.READY: frozenset({State.READY, State.STITCHED, State.PUBLISHED, State.HELD}),
    State.STITCHED: frozenset({State.STITCHED, State.PUBLISHED, State.HELD}),
    State.PUBLISHED: frozenset({State.PUBLISHED, State.HELD}),
}


async def measure(captures: int, width: int, idle_seconds: float, folder: Path, tell: Tell) -> dict[str, Any]:
    """Return CPU-seconds a panorama by stage, of the services and of the pure functions; and what the three cost when idle."""
    prepare()
    cv2.setNumThreads(1)
    tell(f"efficiency: photographing for panoramas of {width} pixels")
    drives = make(folder / "drives", 2 * captures, captures, width, seed=1)
    extra = {"PANOVEIL_STITCH__WIDTH": str(width), "PANOVEIL_INCOMPLETE_AFTER": "86400"}
    twin = Twin()
    async with stacks.running(folder / "logs", extra, services=()) as stack, connect(stack.settings) as world:
        idle = await _idle(stack, idle_seconds, tell)
        await twin.take_raw(drives, world)
        spent = await _busy(("ingest", "stitcher"), drives, lambda drive: _upload(drive, world), stack, world, tell)
        await twin.take_stitched(drives, world)
        pure = {"ingest": await _pure_ingest(drives, twin), "stitcher": await _pure_stitcher(drives, twin)}
        memory = await _learnt(drives, twin, tell)
    async with stacks.running(folder / "recalled-logs", extra, services=()) as stack, connect(stack.settings) as world:
        await asyncio.to_thread(stack.processes.pop("triton").stop, _DRAIN)
        await start_recalled(stack, write_repository(folder / "recalled", memory.answers))
        await twin.give_stitched(world)
        spent |= await _busy(("anonymizer",), drives, lambda drive: twin.send_stitched(drive, world), stack, world, tell)
        pure["anonymizer"] = await _pure_anonymizer(drives, twin, memory)
    return _figures(spent, pure) | {"idle_share_of_a_core": round(idle, 3), "width": width, "captures": captures}


def _figures(spent: Mapping[str, float], pure: Mapping[str, float]) -> dict[str, Any]:
    return {
        "efficiency": round(sum(pure.values()) / sum(spent.values()), 3),
        "services_cpu_s": {name: round(value, 3) for name, value in spent.items()},
        "pure_cpu_s": {name: round(value, 3) for name, value in pure.items()},
        "efficiency_by_stage": {name: round(pure[name] / spent[name], 3) for name in spent},
    }


async def _upload(drive: Drive, world: Connections) -> None:
    await import_rig(drive.folder, world)
    async with agent_connect(AgentSettings()) as ports:
        await upload_drive(drive.folder, ports, lambda _event: None)


async def _busy(
    names: Sequence[str],
    drives: Sequence[Drive],
    feed: Callable[[Drive], Awaitable[None]],
    stack: stacks.Stack,
    world: Connections,
    tell: Tell,
) -> dict[str, float]:
    """Return the services' CPU-seconds a capture of the second drive, before which they worked off the first; then stop them."""
    for name in names:
        stacks.start_service(stack, name)
    before: dict[str, float] = {}
    spent: dict[str, float] = {}
    for drive in drives:
        before = {name: stack.processes[name].cpu_seconds() for name in names}
        await feed(drive)
        for name in names:
            await _done(name, drive, stack, world)
            spent[name] = (stack.processes[name].cpu_seconds() - before[name]) / len(drive.captures)
    for name in names:
        await _stop(name, stack)
        tell(f"efficiency: {name} {spent[name]:.2f} CPU-s a panorama, JVM and shard children included")
    return spent


async def _done(name: str, drive: Drive, stack: stacks.Stack, world: Connections) -> None:
    """Return once every capture of the drive is past a stage."""
    deadline, past = time.monotonic() + _PATIENCE, _PAST[_STAGES[name]]
    while time.monotonic() < deadline:
        states = [state.state async for state in world.ledger.captures(drive.drive_id)]
        if sum(state in past for state in states) == len(drive.captures):
            return
        stack.require_running()
        await asyncio.sleep(_LOOK_EVERY)
    raise Unavailable(name, f"{drive.drive_id} was not done in {_PATIENCE:.0f} s")


async def _idle(stack: stacks.Stack, seconds: float, tell: Tell) -> float:
    """Start all three with nothing to do; return the share of one core that they take, and stop them."""
    for name in _STAGES:
        stacks.start_service(stack, name)
    tell(f"idle: all three services for {seconds:.0f} s, after {_SETTLE:.0f} s to settle")
    await asyncio.sleep(_SETTLE)
    services = [stack.processes[name] for name in _STAGES]
    before, began = sum(one.cpu_seconds() for one in services), time.monotonic()
    await asyncio.sleep(seconds)
    share = (sum(one.cpu_seconds() for one in services) - before) / (time.monotonic() - began)
    await asyncio.gather(*(_stop(name, stack) for name in _STAGES))
    return share


async def _stop(name: str, stack: stacks.Stack) -> None:
    await asyncio.to_thread(stack.processes.pop(name).stop, _DRAIN)


class Twin:
    """The world in memory, with what the cars uploaded, and what the stitcher made of it."""

    def __init__(self) -> None:
        """Nothing is there yet."""
        self.blobs, self.ledger, self.streams, self.stitched = MemoryBlobs(), MemoryLedger(), MemoryStreams(), MemoryBlobs()
        self.panoramas: dict[str, list[PanoramaStitched]] = {}

    async def take_raw(self, drives: Iterable[Drive], world: Connections) -> None:
        """Copy what an agent would upload, and the rigs."""
        for drive in drives:
            await import_rig(drive.folder, world)
            for path in (one for name in drive.captures for one in (drive.folder / name).iterdir()):
                await self.blobs.put(BlobRef(Bucket.RAW, f"{drive.drive_id}/{path.parent.name}/{path.name}"), path.read_bytes())
        await _copied(world.blobs, self.blobs, Bucket.REGISTRY)

    async def take_stitched(self, drives: Iterable[Drive], world: Connections) -> None:
        """Copy what the stitcher made and said."""
        await _copied(world.blobs, self.stitched, Bucket.STITCHED)
        for drive in drives:
            said = [decode(one.message) async for one in world.ledger.messages(drive.drive_id, stitching.STAGE)]
            self.panoramas[drive.drive_id] = [message for message in said if isinstance(message, PanoramaStitched)]

    async def give_stitched(self, world: Connections) -> None:
        """Copy the panoramas into another world."""
        await _copied(self.stitched, world.blobs, Bucket.STITCHED)

    async def send_stitched(self, drive: Drive, world: Connections) -> None:
        """Say there what the stitcher said of a drive."""
        said = [Outgoing(message.capture_id, encode(message)) for message in self.panoramas[drive.drive_id]]
        await world.sink.send(Stream.PANORAMAS, said)

    def captures(self) -> list[CaptureReady]:
        """What ingest said, of each capture once."""
        said = {record.partition_key: decode(record.data) for record in self.streams.records(Stream.CAPTURES)}
        return [message for message in said.values() if isinstance(message, CaptureReady)]


async def _copied(source: Blobs, target: Blobs, bucket: Bucket) -> None:
    async for blob in source.list(bucket):
        await target.put(blob.ref, await source.get(blob.ref))


async def _pure_ingest(drives: Sequence[Drive], twin: Twin) -> float:
    """Return CPU-seconds a capture of the handler alone; the first drive warms it up, as with all of them."""
    ports = ingesting.Ports(twin.blobs, twin.ledger, twin.streams, lambda: datetime.now(UTC))

    async def whole(capture: list[bytes]) -> None:
        for data in capture:
            await handle_all(parse_uploads(data), ports)

    return await _last_drive([await _events(drive, twin) for drive in drives], whole)


async def _events(drive: Drive, twin: Twin) -> list[list[bytes]]:
    found: dict[str, list[bytes]] = {}
    async for blob in twin.blobs.list(Bucket.RAW, f"{drive.drive_id}/"):
        event = object_created("raw", blob.ref.key, blob.size, blob.etag, datetime.now(UTC))
        found.setdefault(blob.ref.key.rsplit("/", 1)[0], []).append(event)
    return list(found.values())


async def _pure_stitcher(drives: Sequence[Drive], twin: Twin) -> float:
    settings = StitcherSettings()

    async def recipe() -> Any:
        return settings.stitch

    with ThreadPoolExecutor(settings.threads, "strip") as workers:
        rigs = stitching.Rigs(twin.blobs, settings.stitch, settings.tables)
        ports = stitching.Ports(twin.blobs, twin.ledger, twin.streams, recipe, rigs, workers)

        async def one(message: CaptureReady) -> None:
            await stitching.handle(message, ports)

        return await _last_drive(_by_drive(twin.captures(), drives), one)


async def _learnt(drives: Sequence[Drive], twin: Twin, tell: Tell) -> Memorised:
    """Have the detector tell of every panorama."""
    tell("efficiency: the detector tells what is in every panorama")
    async with TritonDetector.of(AnonymizerSettings()) as detector:
        memory = Memorised(detector)
        await memory.learn_golden()
        await _pure_anonymizer(drives, twin, memory)
    return memory


async def _pure_anonymizer(drives: Sequence[Drive], twin: Twin, memory: Memorised) -> float:
    settings, sealed = AnonymizerSettings(), MemoryBlobs()
    await _copied(twin.stitched, sealed, Bucket.STITCHED)
    async with TritonDetector.of(settings) as detector:
        known = await anonymizer.recipe_of(settings, detector)()

    async def recipe() -> Any:
        return known

    ports = anonymizing.Ports(sealed, MemoryLedger(), MemoryStreams(), memory, recipe)

    async def one(message: PanoramaStitched) -> None:
        await anonymizing.handle(message, ports)

    return await _last_drive([twin.panoramas[drive.drive_id] for drive in drives], one)


def _by_drive(messages: Iterable[CaptureReady], drives: Sequence[Drive]) -> list[list[CaptureReady]]:
    of = list(messages)
    return [[one for one in of if one.capture_id.startswith(f"{drive.drive_id}/")] for drive in drives]


async def _last_drive(drives: Sequence[Sequence[T]], work: Callable[[T], Awaitable[None]]) -> float:
    """Return CPU-seconds a capture of the last drive."""
    spent = 0.0
    for captures in drives:
        before = time.process_time()
        for capture in captures:
            await work(capture)
        spent = (time.process_time() - before) / len(captures)
    return spent
