"""Captures stitched again from their originals, and handed over in this process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.recipes.document import running
from console.replay import app
from console.replay.redo import Anonymizing, Outcome, Stitching
from console.replay.report import line
from console.replay.scope import Scope
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.keys import BlobRef, Bucket, Stream, raw_key, stitched_key
from panoveil.contracts.messages import encode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe, QualityGate, StitchRecipe
from panoveil.detection import RectangleDetector
from panoveil.ledger import State
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams, RetryPolicy
from services.anonymizer import handler as anonymizer
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

    async def replay(self, stitching: Stitching) -> Heard:
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
