"""What a person decided about a capture, when it is replayed."""

import pytest

from console.holds.deeds import Drawn, Wish
from console.replay.redo import Anonymizing
from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import PanoramaStitched, Pose, encode
from panoveil.contracts.review import Review
from panoveil.detection import RectangleDetector
from tests.unit.console.holds.worlds import World
from tests.unit.console.replay.worlds import OPERATOR
from tests.unit.services.anonymizer.test_anonymize import Down
from tests.unit.services.anonymizer.test_handler import panorama, stitched

BOX = Drawn("face", 350, 60, 380, 90)
"""There is nothing that a detector finds."""


@pytest.fixture(name="world")
async def a_released_capture() -> World:
    world = await World().hold()
    await world.release(Wish(all_left=True, hide=(BOX,)))
    return world


async def redone(world: World, message: PanoramaStitched) -> tuple[str, Review | None, list[float]]:
    """How a replay ended, what counted, and what a person was sure of in what is current then."""
    outcome = await Anonymizing(world.ports(RectangleDetector()), OPERATOR)(encode(message))
    *_, entry = [
        dict(one.body) async for one in world.ledger.audit_chain("fyn-2026/car7-0601") if one.body["kind"] == "publication"
    ]
    review = entry["recipe"].get("review")  # type: ignore[attr-defined]
    sure = [box["score"] for box in entry["regions"] if box["score"] == 1.0]  # type: ignore[attr-defined]
    assert (await world.current()).recipe_id == outcome.recipe_id == entry["recipe_id"]
    return outcome.kind, Review.model_validate(review) if review else None, sure


async def test_what_was_drawn_is_hidden_by_another_recipe_too_and_what_was_accepted_is_nobodys_decision_there(
    world: World,
) -> None:
    world.changes["margin"] = 0.5
    kind, review, sure = await redone(world, stitched(panorama()))
    assert review is not None
    assert (kind, len(review.hide), review.only_hides, sure) == ("redone", 1, True, [1.0])


async def test_what_was_released_is_not_done_again_by_the_same_recipe(world: World) -> None:
    outcome = await Anonymizing(world.ports(Down()), OPERATOR)(encode(stitched(panorama())))
    assert (outcome.kind, outcome.recipe_id) == ("skipped", (await world.current()).recipe_id)


async def test_a_panorama_that_is_turned_otherwise_is_left_as_it_is(world: World) -> None:
    world.changes["margin"] = 0.5
    before = await world.published()
    turned = stitched(panorama(), pose=Pose(latitude=55.4, longitude=10.4, heading=0.0))
    with pytest.raises(Rejected, match="turned otherwise"):
        await Anonymizing(world.ports(RectangleDetector()), OPERATOR)(encode(turned))
    assert await world.published() == before
