"""How much of the services' CPU is work on pixels.

Every stage works off a backlog of real captures as a service of its own, behind the KCL; its CPU-seconds, its JVM's and its shard
children's are counted from its first captures to its last. The same captures then go through the same handlers in this process, with
streams, objects, ledger and the detector's answers in memory: what that takes is the pure functions' share.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import cv2

from benchmarks.chaos.drives import make
from benchmarks.options import Tell
from console.demo.run import Drive, import_rig
from console.stack import stack as stacks
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import Bucket, Stream
from panoveil.contracts.messages import CaptureReady, PanoramaStitched, decode
from panoveil.detection import Detections, Detector, Images, Kind, TritonDetector
from panoveil.ledger import MemoryLedger, State
from panoveil.pixels.process import prepare
from panoveil.runtime import Connections, connect
from panoveil.streams import MemoryStreams
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
_WARM = 0.4
"""Share of a stage's captures after which its service, a JVM above all, is warm."""
_MANY = {"ingest": 6, "stitcher": 3, "anonymizer": 1}
"""How many times `captures` a stage works off: quick ones more, to be measured as long."""
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
    tell(f"efficiency: photographing for panoramas of {width} pixels")
    total = captures * max(_MANY.values())
    (drive,) = make(folder / "drives", total, total, width, seed=1)
    async with AsyncExitStack() as closing:
        extra = {"PANOVEIL_STITCH__WIDTH": str(width), "PANOVEIL_INCOMPLETE_AFTER": "86400"}
        stack = await closing.enter_async_context(stacks.running(folder / "logs", extra, services=()))
        world = await closing.enter_async_context(connect(stack.settings))
        idle = await _idle(stack, idle_seconds, tell)
        await _upload(drive, world)
        spent = {name: await _busy(name, captures * _MANY[name], drive, stack, world, tell) for name in _STAGES}
        pure = await _pure(drive, captures, world, tell)
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


async def _busy(name: str, captures: int, drive: Drive, stack: stacks.Stack, world: Connections, tell: Tell) -> float:
    """Start a service on its backlog; return its CPU-seconds a capture once it is warm, and stop it after so many."""
    stacks.start_service(stack, name)
    process = stack.processes[name]
    first = await _reached(round(_WARM * captures), name, drive, stack, world)
    before = process.cpu_seconds()
    last = await _reached(captures, name, drive, stack, world)
    spent = (process.cpu_seconds() - before) / (last - first)
    await _stop(name, stack)
    tell(f"efficiency: {name} {spent:.2f} CPU-s a panorama, JVM and shard children included")
    return spent


async def _reached(count: int, name: str, drive: Drive, stack: stacks.Stack, world: Connections) -> int:
    """Return how many captures are past a stage once at least `count` are."""
    deadline, past = time.monotonic() + _PATIENCE, _PAST[_STAGES[name]]
    while time.monotonic() < deadline:
        states = [state.state async for state in world.ledger.captures(drive.drive_id)]
        if (done := sum(state in past for state in states)) >= count:
            return done
        stack.require_running()
        await asyncio.sleep(_LOOK_EVERY)
    raise Unavailable(name, f"{count} captures were not done in {_PATIENCE:.0f} s")


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


@dataclass
class Memorised:
    """Answers as the detector did, from memory; asks it where it has not been asked yet."""

    detector: Detector
    answers: dict[tuple[Any, ...], list[Detections]] = field(default_factory=dict)
    interruptions: int = 0

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        """Return what the detector said of the same images; a thousandth of their pixels tells them apart."""
        key = (kind, images.shape, images[:, ::29, ::31].tobytes())
        if key not in self.answers:
            self.answers[key] = await self.detector.detect(kind, images)
        return self.answers[key]

    async def prove(self, since: int | None = None) -> None:
        """Believe it."""


class Twin:
    """The world in memory, with what the car uploaded."""

    def __init__(self) -> None:
        """Nothing is there yet."""
        self.blobs, self.ledger, self.streams = MemoryBlobs(), MemoryLedger(), MemoryStreams()

    async def take(self, world: Connections, drive: Drive, captures: int) -> None:
        """Copy the raw objects of so many captures of a drive, and the rigs."""
        wanted = [(Bucket.RAW, f"{drive.drive_id}/{name}/") for name in sorted(drive.captures)[:captures]]
        for bucket, prefix in (*wanted, (Bucket.REGISTRY, "")):
            async for blob in world.blobs.list(bucket, prefix):
                await self.blobs.put(blob.ref, await world.blobs.get(blob.ref))

    def messages(self, stream: Stream) -> list[Any]:
        """What was sent, each capture once."""
        return list({record.partition_key: decode(record.data) for record in self.streams.records(stream)}.values())


async def _pure(drive: Drive, captures: int, world: Connections, tell: Tell) -> dict[str, float]:
    """Return CPU-seconds a capture of the handlers alone, warm."""
    prepare()
    cv2.setNumThreads(1)
    twin = Twin()
    await twin.take(world, drive, captures)
    spent = {"ingest": await _pure_ingest(drive, twin), "stitcher": await _pure_stitcher(twin)}
    tell("efficiency: the detector's answers are learnt, then the anonymizer goes without it")
    return spent | {"anonymizer": await _pure_anonymizer(twin)}


async def _pure_ingest(drive: Drive, twin: Twin) -> float:
    ports = ingesting.Ports(twin.blobs, twin.ledger, twin.streams, lambda: datetime.now(UTC))
    events = [_events(sorted(blobs)) for blobs in (await _by_capture(drive, twin)).values()]

    async def whole(capture: list[bytes]) -> None:
        for data in capture:
            await handle_all(parse_uploads(data), ports)

    return await _per_capture(events, whole)


async def _by_capture(drive: Drive, twin: Twin) -> dict[str, list[tuple[str, int, str]]]:
    found: dict[str, list[tuple[str, int, str]]] = {}
    async for blob in twin.blobs.list(Bucket.RAW, f"{drive.drive_id}/"):
        found.setdefault(blob.ref.key.rsplit("/", 1)[0], []).append((blob.ref.key, blob.size, blob.etag))
    return found


def _events(blobs: list[tuple[str, int, str]]) -> list[bytes]:
    return [object_created("raw", key, size, etag, datetime.now(UTC)) for key, size, etag in blobs]


async def _pure_stitcher(twin: Twin) -> float:
    settings = StitcherSettings()

    async def recipe() -> Any:
        return settings.stitch

    with ThreadPoolExecutor(settings.threads, "strip") as workers:
        rigs = stitching.Rigs(twin.blobs, settings.stitch, settings.tables)
        ports = stitching.Ports(twin.blobs, twin.ledger, twin.streams, recipe, rigs, workers)

        async def one(message: CaptureReady) -> None:
            await stitching.handle(message, ports)

        return await _per_capture(twin.messages(Stream.CAPTURES), one)


async def _pure_anonymizer(twin: Twin) -> float:
    settings = AnonymizerSettings()
    async with TritonDetector.of(settings) as detector:
        memorised = Memorised(detector)
        known = await anonymizer.recipe_of(settings, detector)()

        async def recipe() -> Any:
            return known

        async def one(message: PanoramaStitched, ledger: MemoryLedger, blobs: MemoryBlobs) -> None:
            await anonymizing.handle(message, anonymizing.Ports(blobs, ledger, MemoryStreams(), memorised, recipe))

        messages = twin.messages(Stream.PANORAMAS)
        for message in messages:
            await one(message, MemoryLedger(), await _sealed(twin))
        return await _per_capture(messages, lambda message: one(message, twin.ledger, twin.blobs))


async def _sealed(twin: Twin) -> MemoryBlobs:
    """Return the stitched bucket alone: what is published there is thrown away."""
    copy = MemoryBlobs()
    async for blob in twin.blobs.list(Bucket.STITCHED):
        await copy.put(blob.ref, await twin.blobs.get(blob.ref))
    return copy


async def _per_capture(items: list[T], work: Callable[[T], Awaitable[None]]) -> float:
    before, warm = 0.0, round(_WARM * len(items))
    for number, item in enumerate(items):
        if number == warm:
            before = time.process_time()
        await work(item)
    return (time.process_time() - before) / (len(items) - warm)
