"""A drive in memory of which something is held, and a service that works off at once what is sent again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from console.holds.cases import Case, find
from console.holds.deeds import Ended, Operator, Release, Wish, awaited, known_recipes, planned, release
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, stitched_key
from panoveil.contracts.messages import PanoramaStitched, decode, encode
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import Detector
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams, Outgoing
from services.anonymizer.handler import Ports, handle
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer import test_handler as handlers
from tests.unit.services.anonymizer.test_anonymize import Forgetful
from tests.unit.services.anonymizer.test_handler import CAPTURE, panorama, stitched
from tests.unit.services.anonymizer.test_reviewed import LATE

DRIVE = CAPTURE.drive_id
OTHER = CaptureId.parse(f"{DRIVE}/000002")
NOW = datetime(2026, 6, 3, tzinfo=UTC)
BY = Operator("reviewer-3", "faces on a poster", lambda: NOW)


class Live(MemoryStreams):
    """Streams with an anonymizer behind them, which misses everything at its first look; it works while `awake`."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self.world, self.awake = world, True

    async def send(self, stream: Stream, records: Sequence[Outgoing]) -> None:
        """Append the records, and have panoramas worked off."""
        await super().send(stream, records)
        if stream is Stream.PANORAMAS and self.awake:
            for record in records:
                await self.world.work(record.data)


class World(handlers.World):
    """A capture of which a face and a plate were left."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = self.live = Live(self)
        self.changes: dict[str, Any] = {"verification_rounds": 1}

    def ports(self, detector: Detector) -> Ports:
        async def recipe() -> AnonymizeRecipe:
            return scenes.RECIPE.model_copy(update=self.changes)

        return replace(super().ports(detector), recipe=recipe)

    async def work(self, data: bytes) -> None:
        message = decode(data)
        assert isinstance(message, PanoramaStitched)
        await handle(message, self.ports(Forgetful(skip=LATE)))

    async def hold(self, capture_id: CaptureId = CAPTURE, **changes: Any) -> "World":
        """Have a capture's panorama stitched and held."""
        key = stitched_key(str(capture_id), "5f1c0a9be37d2468").key
        message = stitched(panorama(), capture_id=str(capture_id), key=key, **changes)
        await self.blobs.put(BlobRef(Bucket.STITCHED, key), panorama())
        await self.ledger.finish(capture_id, "stitcher", message.recipe_id, encode(message))
        await self.work(encode(message))
        return self

    @property
    def connections(self) -> Connections:
        return Connections(self.blobs, self.ledger, self.streams)

    async def case(self, capture_id: CaptureId = CAPTURE) -> Case:
        return await find(capture_id, self.ledger)

    async def plan(self, wish: Wish) -> Release:
        return await planned(CAPTURE, wish, self.connections)

    async def release(self, wish: Wish, operator: Operator = BY) -> Ended | None:
        """What the command does."""
        meant = await self.plan(wish)
        if meant.ended is not None:
            return meant.ended
        known = await known_recipes(CAPTURE, self.ledger)
        await release(meant, operator, self.connections)
        return await awaited(meant, known, self.ledger, never)

    async def kinds(self) -> list[object]:
        return [entry.body["kind"] async for entry in self.ledger.audit_chain(DRIVE)]


async def never() -> bool:
    """Nobody waits."""
    return False
