"""A drive in memory, published live under one recipe, and replays of it under another."""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from console.recipes.document import running
from console.replay import app
from console.replay.redo import Anonymizing, Operator, Redo
from console.replay.report import Event, Tally
from console.replay.scope import Scope
from console.replay.source import LedgerSource, Pace
from panoveil.blobs import Blobs, MemoryBlobs
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, current_key
from panoveil.contracts.messages import CurrentPublication, PanoramaPublished, PanoramaStitched, decode, encode
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import Detector, RectangleDetector
from panoveil.ledger import Ledger, MemoryLedger
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams, RecordSink, RetryPolicy
from services.anonymizer.handler import Ports, handle
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer import test_handler as anonymizers

DRIVE = "fyn-2026/car7-0601"
STITCH = "5f1c0a9be37d2468"
BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)
OPERATOR = Operator("operator-4", "a wider margin", lambda: datetime(2026, 11, 1, tzinfo=UTC))


def capture(number: int) -> CaptureId:
    return CaptureId.parse(f"{DRIVE}/{number:06d}")


class Killed(BaseException):
    """The process is gone: nothing catches that."""


class Mortal:
    """Passes calls on to a store until the process dies, before or after the last one took effect."""

    def __init__(self, store: object, life: "Life") -> None:
        self._store, self._life = store, life

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        async def mortal(*arguments: Any, **more: Any) -> Any:
            self._life.tick()
            result = await call(*arguments, **more)
            self._life.tick()
            return result

        # What yields is read before anything is done: dying there is dying before the first call.
        return call if name in {"messages", "pointers", "drives", "audit_chain"} else mortal


class Life:
    """So many ticks are left."""

    def __init__(self, ticks: int) -> None:
        self.ticks = ticks

    def tick(self) -> None:
        self.ticks -= 1
        if self.ticks < 0:
            raise Killed


class World:
    """The twins behind the ports, with a drive whose captures are stitched."""

    def __init__(self, captures: int = 3) -> None:
        self.blobs, self.ledger, self.streams = MemoryBlobs(), MemoryLedger(), MemoryStreams()
        self.captures = [capture(number) for number in range(captures)]

    async def stitched(self) -> "World":
        data = anonymizers.panorama()
        for number, capture_id in enumerate(self.captures):
            await self.put(message_of(data, capture_id, captured_at=BEGAN + timedelta(seconds=number)), data)
        return self

    async def put(self, message: PanoramaStitched, data: bytes) -> None:
        await self.blobs.put(BlobRef(Bucket.STITCHED, message.key), data)
        await self.ledger.finish(CaptureId.parse(message.capture_id), "stitcher", message.recipe_id, encode(message))

    async def live(self, detector: Detector | None = None) -> "World":
        """Publish everything as live traffic does."""
        for capture_id in self.captures:
            message = decode(await self.stitched_message(capture_id))
            assert isinstance(message, PanoramaStitched)
            await handle(message, self.ports(0.2, detector or RectangleDetector()))
        return self

    async def stitched_message(self, capture_id: CaptureId) -> bytes:
        found = await self.ledger.finished(capture_id, "stitcher", STITCH)
        assert found is not None
        return found

    def ports(self, margin: float, detector: Detector, **more: Any) -> Ports:
        async def recipe() -> AnonymizeRecipe:
            return scenes.HASTY.model_copy(update={"margin": margin})

        return Ports(self.blobs, self.ledger, self.streams, detector, recipe, **more)

    def recipe_id(self, margin: float) -> str:
        return scenes.HASTY.model_copy(update={"margin": margin, "stitch_recipe_id": STITCH}).recipe_id

    def connections(self) -> Connections:
        return Connections(self.blobs, self.ledger, self.streams)

    async def current(self) -> list[str]:
        """Which recipe each capture's current.json names."""
        texts = [await self.blobs.get(current_key(str(capture_id))) for capture_id in self.captures]
        return [CurrentPublication.model_validate_json(text).recipe_id for text in texts]

    def told(self) -> list[PanoramaPublished]:
        messages = [decode(record.data) for record in self.streams.records(Stream.PUBLICATIONS)]
        return [message for message in messages if isinstance(message, PanoramaPublished)]

    async def replay(
        self, margin: float = 0.5, *, detector: Detector | None = None, flip: bool = True, life: Life | None = None,
        scope: Scope | None = None, dry_run: bool = False,
    ) -> "Heard":  # fmt: skip
        """Replay the anonymizer over what the ledger knows, in this process."""
        ports = self.ports(margin, detector or RectangleDetector(), fills_gaps=False)
        if life is not None:
            ports = replace(
                ports,
                blobs=cast("Blobs", Mortal(self.blobs, life)),
                ledger=cast("Ledger", Mortal(self.ledger, life)),
                sink=cast("RecordSink", Mortal(self.streams, life)),
            )
        redo = Anonymizing(ports, OPERATOR if flip else None)
        wish = app.Wish("anonymizer", scope or Scope(drive=DRIVE), running(), OPERATOR, parallel=2, dry_run=dry_run)
        return await self.run(wish, redo.look if dry_run else redo)

    async def run(self, wish: app.Wish, redo: Redo) -> "Heard":
        heard = Heard()
        source = app.ledger_source(wish, self.connections(), heard)
        await app.run(wish, source, redo, heard, asyncio.Event(), RetryPolicy(first_pause=0.0))
        return heard


class Heard(Tally):
    """Counts, and keeps what was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self.events.append(event)


def message_of(data: bytes, capture_id: CaptureId, **changes: Any) -> PanoramaStitched:
    recipe_id = changes.get("recipe_id", STITCH)
    facts = {"capture_id": str(capture_id), "key": f"{capture_id}/{recipe_id}.jpg", "sha256": hashlib.sha256(data).hexdigest()}
    return anonymizers.stitched(data, **facts | changes)


def source_of(records: Iterable[Any], parallel: int, pace: Pace) -> LedgerSource:
    async def all_of() -> Any:
        for record in records:
            yield record

    return LedgerSource(all_of(), parallel, pace)
