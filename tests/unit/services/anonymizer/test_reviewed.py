"""A panorama that a person decided about comes once more: over the twins behind the ports."""

from dataclasses import replace
from typing import Any

import pytest

from console.audit import verify
from console.observe.ledger import Survey
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, published_keys
from panoveil.contracts.messages import PanoramaHeld, PanoramaPublished, PanoramaStitched
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.contracts.review import Marked, Review
from panoveil.detection import Detector, RectangleDetector
from panoveil.ledger import State
from services.anonymizer.anonymize import plan
from services.anonymizer.handler import REVIEW, Ports, handle, recipe_for
from services.anonymizer.regions import Extent
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer import test_handler as handlers
from tests.unit.services.anonymizer.test_anonymize import Down, Forgetful
from tests.unit.services.anonymizer.test_handler import CAPTURE, DRIFTED, panorama, stitched

LATE = scenes.looks(plan(Extent(512, 256, wraps=True), scenes.RECIPE))
FACE = Marked(kind="face", west=170.0, east=-170.0, south=-5.0, north=10.0)
PLATE = Marked(kind="plate", west=-42.0, east=-20.0, south=-10.0, north=2.0)
BOTH = Review(accept=(FACE, PLATE))


class World(handlers.World):
    """One round of verification: what the first look misses is left."""

    def ports(self, detector: Detector) -> Ports:
        async def recipe() -> AnonymizeRecipe:
            return scenes.RECIPE.model_copy(update={"verification_rounds": 1})

        return replace(super().ports(detector), recipe=recipe)

    async def come(self, message: PanoramaStitched, detector: Detector | None = None) -> PanoramaHeld | PanoramaPublished:
        """What is told of a message by a detector that misses everything at the first look."""
        await handle(message, self.ports(detector or Forgetful(skip=LATE)))
        told: PanoramaHeld | PanoramaPublished = self.sent()[-1]
        return told

    async def note(self, message: PanoramaStitched, review: Review) -> PanoramaStitched:
        """What is sent once a person's decision is noted."""
        recipe = (await self.ports(Down()).recipe()).model_copy(update={"stitch_recipe_id": message.recipe_id, "review": review})
        await self.ledger.finish(CAPTURE, REVIEW, recipe.recipe_id, b"decided")
        return message.model_copy(update={"review": review})

    async def kinds(self) -> list[object]:
        return [entry.body["kind"] async for entry in self.ledger.audit_chain(CAPTURE.drive_id)]

    async def stands(self) -> State:
        state = await self.ledger.state(CAPTURE)
        assert state is not None
        return state.state


@pytest.fixture(name="message")
def a_message() -> PanoramaStitched:
    return stitched(panorama())


@pytest.fixture(name="world")
async def a_held_panorama(message: PanoramaStitched) -> World:
    world = World()
    await world.put(panorama())
    assert isinstance(await world.come(message), PanoramaHeld)
    return world


async def test_a_hold_and_its_evidence_say_what_was_left(world: World) -> None:
    (held,) = world.sent()
    (entry,) = [dict(entry.body) async for entry in world.ledger.audit_chain(CAPTURE.drive_id)]
    assert sorted(box.kind for box in held.left) == ["face", "plate"]
    assert entry["left"] == [box.model_dump(mode="json") for box in held.left]
    assert entry["regions"] == []


async def test_what_a_person_released_is_published_with_their_decision_as_evidence(
    world: World, message: PanoramaStitched
) -> None:
    told = await world.come(await world.note(message, BOTH))
    assert isinstance(told, PanoramaPublished)
    assert await world.stands() == State.PUBLISHED
    assert (await world.current()).recipe_id == told.recipe_id
    *_, entry = [dict(entry.body) async for entry in world.ledger.audit_chain(CAPTURE.drive_id)]
    body: dict[str, Any] = entry
    assert body["recipe"]["review"] == BOTH.model_dump(mode="json")
    assert body["verification"] == {"rounds": 1, "findings": ""}
    assert AnonymizeRecipe.model_validate(body["recipe"]).recipe_id == told.recipe_id


async def test_a_released_publication_passes_every_audit(world: World, message: PanoramaStitched) -> None:
    await world.come(await world.note(message, BOTH))
    assert (await verify(world.ledger, world.blobs, CAPTURE.drive_id, None)).findings == ()
    survey = Survey(world.ledger)
    await survey.due()
    await survey.audit()
    assert [(known.audited, known.unverified) for known in survey.drives.values()] == [(1, 0)]


async def test_what_was_not_accepted_is_held_again_under_a_recipe_of_its_own(world: World, message: PanoramaStitched) -> None:
    told = await world.come(await world.note(message, Review(accept=(FACE,))))
    assert isinstance(told, PanoramaHeld)
    assert [box.kind for box in told.left] == ["plate"]
    assert told.recipe_id != world.sent()[0].recipe_id
    assert await world.published() == []
    assert await world.kinds() == ["hold", "hold"]


async def test_a_decision_that_nobody_noted_is_none(world: World, message: PanoramaStitched) -> None:
    told = await world.come(message.model_copy(update={"review": BOTH}))
    assert told == world.sent()[0]
    assert await world.published() == []
    assert await world.kinds() == ["hold"]


async def test_a_decision_about_the_finds_of_other_models_is_none(world: World, message: PanoramaStitched) -> None:
    async def newer() -> AnonymizeRecipe:
        newer = scenes.MODEL.model_copy(update={"version": "2"})
        return scenes.RECIPE.model_copy(update={"verification_rounds": 1, "face": newer})

    noted = await world.note(message, BOTH)
    await handle(noted, replace(world.ports(Forgetful(skip=LATE)), recipe=newer))
    assert isinstance(world.sent()[-1], PanoramaHeld)
    assert await world.published() == []


async def test_what_was_drawn_is_hidden_whoever_noted_it(world: World, message: PanoramaStitched) -> None:
    drawn = BOTH.model_copy(update={"hide": (FACE,)})
    recipe = await recipe_for(message.model_copy(update={"review": drawn}), world.ports(Down()))
    assert recipe.review == Review(hide=(FACE,))


async def test_a_decision_that_comes_after_another_publication_is_none(world: World, message: PanoramaStitched) -> None:
    noted = await world.note(message, BOTH)
    await world.ledger.point(CAPTURE, "another", expected=None)
    assert await world.come(noted) == world.sent()[0]
    assert await world.published() == []


async def test_a_released_panorama_that_comes_again_is_only_told_of(world: World, message: PanoramaStitched) -> None:
    noted = await world.note(message, BOTH)
    first = await world.come(noted)
    assert await world.come(noted, Down()) == first
    assert await world.kinds() == ["hold", "publication"]


async def test_a_stale_panorama_takes_nothing_back(world: World, message: PanoramaStitched) -> None:
    published = await world.come(await world.note(message, BOTH))
    assert isinstance(await world.come(message, Down()), PanoramaHeld)
    assert await world.stands() == State.PUBLISHED
    assert await world.published() == sorted(ref.key for ref in published_keys(str(CAPTURE), published.recipe_id))


@pytest.fixture(name="poor")
async def a_panorama_that_the_gate_holds() -> World:
    world = World()
    await world.put(panorama())
    assert isinstance(await world.come(stitched(panorama(), hold=DRIFTED), Down()), PanoramaHeld)
    return world


async def test_a_waived_gate_lets_it_be_looked_at_and_published(poor: World) -> None:
    message = await poor.note(stitched(panorama(), hold=DRIFTED), Review(waive=True))
    told = await poor.come(message, RectangleDetector())
    assert isinstance(told, PanoramaPublished)
    assert {box.kind for box in told.boxes} == {"face", "plate"}
    assert await poor.stands() == State.PUBLISHED


async def test_a_waived_gate_does_not_waive_the_verification(poor: World) -> None:
    message = await poor.note(stitched(panorama(), hold=DRIFTED), Review(waive=True))
    told = await poor.come(message)
    assert isinstance(told, PanoramaHeld)
    assert told.reason == Reason.NOT_VERIFIED


async def test_a_gate_that_nobody_waived_holds_whatever_was_accepted(poor: World) -> None:
    message = await poor.note(stitched(panorama(), hold=DRIFTED), BOTH)
    told = await poor.come(message, Down())
    assert isinstance(told, PanoramaHeld)
    assert told.reason == Reason.RIG_DRIFTED


async def test_a_release_that_died_before_its_end_is_taken_up(world: World, message: PanoramaStitched) -> None:
    noted = await world.note(message, BOTH)
    alive, world.ledger = world.ledger, handlers.CrashingLedger()
    world.ledger.__dict__.update({name: value for name, value in alive.__dict__.items() if name != "crashes"})
    with pytest.raises(handlers.Crash):
        await world.come(noted)
    world.ledger = alive
    assert isinstance(await world.come(noted, Down()), PanoramaPublished)
    assert await world.kinds() == ["hold", "publication"]


async def test_a_release_whose_panorama_was_changed_publishes_nothing(world: World, message: PanoramaStitched) -> None:
    noted = await world.note(message, BOTH)
    assert isinstance(world.blobs, MemoryBlobs)
    await world.blobs.put(BlobRef(Bucket.STITCHED, message.key), b"another picture")
    with pytest.raises(Rejected):
        await world.come(noted)
    assert await world.published() == []
