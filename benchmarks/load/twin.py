"""The services' handlers alone: in this process, with streams, objects, ledger and the detector's answers in memory."""

import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from typing import Self, TypeVar

from benchmarks.load.recalled import Memorised
from console.demo.run import Drive, import_rig
from panoveil.blobs import Blobs, MemoryBlobs
from panoveil.contracts.keys import BlobRef, Bucket, Stream
from panoveil.contracts.messages import CaptureReady, PanoramaStitched, decode, encode
from panoveil.detection import TritonDetector
from panoveil.ledger import MemoryLedger
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams, Outgoing
from services.agent.notification import object_created
from services.anonymizer import app as anonymizer
from services.anonymizer import handler as anonymizing
from services.anonymizer.settings import AnonymizerSettings
from services.ingest import handler as ingesting
from services.ingest.app import handle_all
from services.ingest.events import parse_uploads
from services.stitcher import handler as stitching
from services.stitcher.settings import StitcherSettings

T = TypeVar("T")


class Twin:
    """The world in memory, with what the cars uploaded, and the handlers in it; open it as a context manager.

    `ingest`, `stitch` and `anonymize` work off a drive, in this order, and return the CPU-seconds that it took.
    """

    def __init__(self) -> None:
        """Nothing is there yet."""
        self.blobs, self.ledger, self.streams, self.stitched = MemoryBlobs(), MemoryLedger(), MemoryStreams(), MemoryBlobs()
        self.panoramas: dict[str, list[PanoramaStitched]] = {}
        self.memory = Memorised()
        self._workers = ThreadPoolExecutor(StitcherSettings().threads, "strip")
        self._ingest = ingesting.Ports(self.blobs, self.ledger, self.streams, lambda: datetime.now(UTC))

    @cached_property
    def _stitch(self) -> stitching.Ports:
        settings = StitcherSettings()  # as the stack, which must be running by now, tells its services
        rigs = stitching.Rigs(self.blobs, settings.stitch, settings.tables)
        return stitching.Ports(self.blobs, self.ledger, self.streams, _answering(settings.stitch), rigs, self._workers)

    def __enter__(self) -> Self:
        """Return the twin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End its threads."""
        self._workers.shutdown()

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

    async def ingest(self, drive: Drive) -> float:
        """Announce the drive's captures."""
        events = [
            object_created("raw", blob.ref.key, blob.size, blob.etag, datetime.now(UTC))
            async for blob in self.blobs.list(Bucket.RAW, f"{drive.drive_id}/")
        ]
        before = time.process_time()
        for data in events:
            await handle_all(parse_uploads(data), self._ingest)
        return time.process_time() - before

    async def stitch(self, drive: Drive) -> float:
        """Stitch what was announced, each capture once."""
        said = {record.partition_key: decode(record.data) for record in self.streams.records(Stream.CAPTURES)}
        before = time.process_time()
        for name, message in said.items():
            if name.startswith(f"{drive.drive_id}/") and isinstance(message, CaptureReady):
                await stitching.handle(message, self._stitch)
        return time.process_time() - before

    async def anonymize(self, drive: Drive) -> float:
        """Anonymise what the service stitched; what is published is thrown away."""
        async with TritonDetector.of(AnonymizerSettings()) as detector:
            recipe = await anonymizer.recipe_of(AnonymizerSettings(), detector)()
        sealed = MemoryBlobs()
        await _copied(self.stitched, sealed, Bucket.STITCHED, f"{drive.drive_id}/")
        ports = anonymizing.Ports(sealed, MemoryLedger(), MemoryStreams(), self.memory, _answering(recipe))
        before = time.process_time()
        for message in self.panoramas[drive.drive_id]:
            await anonymizing.handle(message, ports)
        return time.process_time() - before


def _answering(value: T) -> Callable[[], Awaitable[T]]:
    async def answer() -> T:
        return value

    return answer


async def _copied(source: Blobs, target: Blobs, bucket: Bucket, prefix: str = "") -> None:
    async for blob in source.list(bucket, prefix):
        await target.put(blob.ref, await source.get(blob.ref))
