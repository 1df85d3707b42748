"""Captures stitched again from their originals, and handed over in this process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console.archive import restore
from console.archive.scope import Scope as RestoreScope
from console.recipes.document import running
from console.replay import app
from console.replay.redo import Anonymizing, Outcome, Redo, Stitching, unless_erased
from console.replay.report import line
from console.replay.scope import Scope
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.keys import MANIFEST_NAME, BlobRef, Bucket, Stream, raw_key, stitched_key
from panoveil.contracts.messages import CaptureManifest, CaptureReady, FrameEntry, PanoramaPublished, decode, encode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe, QualityGate, StitchRecipe
from panoveil.detection import RectangleDetector
from panoveil.keys import MemoryDriveKeys
from panoveil.ledger import State
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams, RetryPolicy
from services.anonymizer import handler as anonymizer
from services.archivist import handler as archivist
from services.archivist.handler import Ports as Archivist
from services.stitcher import handler as stitcher
from tests.unit.console.replay.worlds import OPERATOR, Heard
from tests.unit.services.anonymizer import scenes
from tests.unit.services.stitcher import test_handler as stitchers

CAPTURE = stitchers.CAPTURE
RECIPE = stitchers.RECIPE.model_copy(update={"gate": QualityGate(least_score=None)})


class World:
    """A capture that live traffic stitched and published."""

    def __init__(self, cache: Path, workers: ThreadPoolExecutor) -> None:
        self.blobs: MemoryBlobs = stitchers.uploaded()
        self.base = stitchers.ports_to(self.blobs, cache, workers)
        self.ledger = self.base.ledger
        self.streams = MemoryStreams()

    def stitching(self, recipe: StitchRecipe = RECIPE, *, margin: float = 0.2) -> Stitching:
        async def anonymizing() -> AnonymizeRecipe:
            return scenes.RECIPE.model_copy(update={"margin": margin})

        ports = anonymizer.Ports(self.blobs, self.ledger, self.streams, RectangleDetector(), anonymizing, fills_gaps=False)
        return Stitching(replace(self.base, recipe=stitchers._always(recipe), sink=self.streams), Anonymizing(ports, OPERATOR))

    async def live(self) -> None:
        await self.ledger.finish(CAPTURE, "ingest", "1", encode(stitchers.READY))
        await self.stitching()(encode(stitchers.READY))

    async def replay(self, stitching: Redo) -> Heard:
        wish = app.Wish("stitcher", Scope(captures=frozenset({CAPTURE})), running(), OPERATOR)
        heard = Heard()
        source = app.ledger_source(wish, Connections(self.blobs, self.ledger, self.streams), heard)
        await app.run(wish, source, stitching, heard, asyncio.Event(), RetryPolicy(first_pause=0.0))
        return heard

    async def published(self) -> int:
        return len([blob async for blob in self.blobs.list(Bucket.PUBLISHED) if blob.ref.key.endswith(".pmtiles")])


@pytest.fixture(name="world")
async def a_world(tmp_path: Path) -> Any:
    with ThreadPoolExecutor(2) as workers:
        world = World(tmp_path, workers)
        await world.live()
        yield world


async def test_another_stitch_recipe_makes_another_panorama_beside(world: World) -> None:
    other = RECIPE.model_copy(update={"jpeg_quality": 70})
    assert (await world.replay(world.stitching(other))).as_json() == {
        "redone": 1, "skipped": 0, "held": 0, "failed": 0, "flipped": 1,
    }  # fmt: skip
    for recipe in (RECIPE, other):
        assert await world.blobs.head(stitched_key(str(CAPTURE), recipe.recipe_id)) is not None
    assert await world.published() == 2
    assert world.streams.records(Stream.PANORAMAS) == []
    state = await world.ledger.state(CAPTURE)
    assert state is not None
    assert state.state is State.PUBLISHED


async def test_the_same_recipe_again_is_skipped(world: World) -> None:
    heard = await world.replay(world.stitching())
    assert heard.as_json() == {"redone": 0, "skipped": 1, "held": 0, "failed": 0, "flipped": 0}


@pytest.mark.parametrize("data", [None, b"damaged"])
async def test_a_panorama_that_is_damaged_or_gone_is_made_anew_where_it_is_needed(world: World, data: bytes | None) -> None:
    ref = stitched_key(str(CAPTURE), RECIPE.recipe_id)
    whole = await world.blobs.get(ref)
    await world.blobs.delete(ref)
    if data is not None:
        await world.blobs.put(ref, data)
    heard = await world.replay(world.stitching(margin=0.5))
    assert heard.as_json() == {"redone": 1, "skipped": 0, "held": 0, "failed": 0, "flipped": 1}
    assert await world.blobs.get(ref) == whole


async def test_a_dry_run_knows_what_would_be_stitched(world: World) -> None:
    other = world.stitching(RECIPE.model_copy(update={"jpeg_quality": 70}))
    looked = [await stitching.look(encode(stitchers.READY)) for stitching in (other, world.stitching())]
    assert [(one.kind, one.flipped) for one in looked] == [("redone", True), ("skipped", False)]
    assert await world.published() == 1


@pytest.mark.parametrize(
    ("detail", "said"),
    [("raw:x/front.jpg is archived: restore it first", "restore the archived"), ("raw:x is not there", "upload the capture")],
)
def test_originals_that_are_gone_are_told_with_what_to_do(detail: str, said: str) -> None:
    assert said in line("stitcher", Outcome("a/b/c", "failed", "", Reason.OBJECT_GONE, detail))


async def test_a_capture_without_its_originals_fails_and_keeps_its_publication(world: World) -> None:
    await world.blobs.delete(raw_key(CAPTURE, stitchers.READY.frames[0].key.rsplit("/", 1)[1]))
    heard = await world.replay(world.stitching(RECIPE.model_copy(update={"jpeg_quality": 70})))
    assert heard.as_json() == {"redone": 0, "skipped": 0, "held": 0, "failed": 1, "flipped": 0}
    assert await world.published() == 1


async def test_the_whole_capture_is_redone_where_it_was_announced_with_a_gap_before(world: World) -> None:
    gap = stitchers.READY.model_copy(update={"frames": stitchers.READY.frames[1:], "missing": (stitchers.READY.frames[0].lens,)})
    await world.ledger.finish(CAPTURE, "ingest", "0~gap", encode(gap))
    other = RECIPE.model_copy(update={"jpeg_quality": 70})
    assert (await world.replay(world.stitching(other))).counts["redone"] == 1
    assert await world.ledger.finished(CAPTURE, stitcher.STAGE, other.recipe_id) is not None
    assert await world.blobs.head(BlobRef(Bucket.STITCHED, stitched_key(str(CAPTURE), other.recipe_id).key)) is not None


async def archive(world: World) -> tuple[Archivist, MemoryDriveKeys]:
    """Archive the capture and let its originals expire, as a retention rule does."""
    keys = MemoryDriveKeys()
    ports = Archivist(world.blobs, world.ledger, keys, lambda: datetime.now(UTC))
    for record in world.streams.records(Stream.PUBLICATIONS):
        message = decode(record.data)
        assert isinstance(message, PanoramaPublished)
        await archivist.handle(message, ports)
    await world.blobs.purge(Bucket.RAW, f"{CAPTURE}/")
    return ports, keys


async def test_a_capture_whose_originals_went_into_the_archive_is_restored_and_replayed(world: World) -> None:
    """Publish, archive, originals gone, restore, replay: the new recipe publishes beside the old."""
    world.blobs.objects[raw_key(CAPTURE, MANIFEST_NAME)] = manifest_of(stitchers.READY)
    originals = {ref: data for ref, data in world.blobs.objects.items() if ref.bucket is Bucket.RAW}
    _, keys = await archive(world)
    again = world.stitching(RECIPE.model_copy(update={"jpeg_quality": 70}))

    heard = await world.replay(again)
    (failed,) = (event for event in heard.events if isinstance(event, Outcome))
    assert (failed.kind, failed.reason) == ("failed", Reason.NOT_RESTORED)
    assert "panoveil restore --capture" in line("stitcher", failed)

    scope, connections = RestoreScope.of(None, [str(CAPTURE)]), Connections(world.blobs, world.ledger, world.streams)
    wish = restore.Wish("Standard", 7, "operator-4", "a better model", lambda: datetime.now(UTC))
    world.blobs._restore_seconds = 0.0
    await restore.ask(await restore.look(scope, connections, keys), wish, connections)
    await restore.bring_back(await restore.look(scope, connections, keys), wish, connections, keys)
    assert {ref: data for ref, data in world.blobs.objects.items() if ref.bucket is Bucket.RAW} == originals

    heard = await world.replay(again)
    assert heard.as_json() | {"flipped": 0} == {"redone": 1, "skipped": 0, "held": 0, "failed": 0, "flipped": 0}
    assert await world.published() == 2


async def test_an_erased_capture_is_not_replayed(world: World) -> None:
    await world.ledger.move(CAPTURE, State.ERASED)
    heard = await world.replay(unless_erased(world.stitching(), world.ledger))
    (failed,) = (event for event in heard.events if isinstance(event, Outcome))
    assert (failed.kind, failed.reason) == ("failed", Reason.ERASED)


def manifest_of(ready: CaptureReady) -> bytes:
    """`capture.json` of an announced capture, whose frames' files are named for their lenses."""
    frames = tuple(FrameEntry(lens=frame.lens, file=frame.key.rsplit("/", 1)[1], sha256=frame.sha256) for frame in ready.frames)
    return encode(
        CaptureManifest(
            survey=CAPTURE.survey, drive=CAPTURE.drive, capture=CAPTURE.capture, rig_id=ready.rig_id,
            captured_at=ready.captured_at, pose=ready.pose, frames=frames,
        )
    )  # fmt: skip
