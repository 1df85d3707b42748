"""A person's decision as part of a recipe and of a message."""

import json

import pytest
from pydantic import ValidationError

from panoveil.contracts import examples
from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import PanoramaBox, PanoramaHeld, PanoramaStitched, decode, encode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe, Model
from panoveil.contracts.review import Marked, Review

MODEL = Model(name="face", version="1", sha256="0" * 64, threshold=0.3)
RECIPE = AnonymizeRecipe(face=MODEL, plate=MODEL)
FACE = Marked(kind="face", west=179.0, east=-179.0, south=-2.0, north=1.0)
PLATE = Marked(kind="plate", west=10.0, east=12.0, south=-9.0, north=-8.0)


def test_a_recipe_without_a_review_is_what_it_was_before_there_were_any() -> None:
    assert RECIPE.recipe_id == "9e77d5b32bef9623"
    assert "review" not in RECIPE.model_dump(mode="json")


@pytest.mark.parametrize("review", [Review(hide=(FACE,)), Review(accept=(FACE,)), Review(waive=True)])
def test_every_decision_is_a_recipe_of_its_own(review: Review) -> None:
    reviewed = RECIPE.model_copy(update={"review": review})
    others = [RECIPE, *(RECIPE.model_copy(update={"review": one}) for one in (Review(hide=(PLATE,)), Review(accept=(PLATE,))))]
    assert reviewed.recipe_id not in {other.recipe_id for other in others}
    assert AnonymizeRecipe.model_validate_json(reviewed.model_dump_json()) == reviewed


def test_a_later_decision_keeps_what_was_decided_before_and_says_nothing_twice() -> None:
    before = Review(accept=(FACE,), waive=True)
    joined = Review(hide=(PLATE,), accept=(FACE, PLATE)).joined(before)
    assert joined == Review(hide=(PLATE,), accept=(FACE, PLATE), waive=True)
    assert before.joined(None) == before.joined(before) == before


@pytest.mark.parametrize(
    ("review", "hiding", "only_hides"),
    [
        (Review(hide=(FACE,)), Review(hide=(FACE,)), True),
        (Review(hide=(FACE,), accept=(PLATE,)), Review(hide=(FACE,)), False),
        (Review(hide=(FACE,), waive=True), Review(hide=(FACE,)), False),
        (Review(accept=(PLATE,)), None, False),
    ],
)
def test_what_hides_is_told_from_what_lets_pass(review: Review, hiding: Review | None, *, only_hides: bool) -> None:
    assert (review.hiding, review.only_hides) == (hiding, only_hides)


def test_a_box_that_would_hide_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="south lies above north"):
        Marked(kind="face", west=0, east=1, south=2, north=1)


def stitched(review: object) -> bytes:
    return json.dumps(json.loads(examples.read("panorama.stitched.3")) | {"review": review}).encode()


def test_a_panorama_is_sent_again_with_its_review() -> None:
    review = Review(hide=(FACE,), accept=(PLATE,))
    message = decode(stitched(review.model_dump(mode="json")))
    assert isinstance(message, PanoramaStitched)
    assert message.review == review
    assert decode(encode(message)) == message


def test_a_review_that_is_understood_in_part_only_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        decode(stitched({"accept": [], "except": [FACE.model_dump(mode="json")]}))
    assert caught.value.reason == Reason.UNKNOWN_MESSAGE


def test_what_is_held_says_what_was_left() -> None:
    box = PanoramaBox(**FACE.model_dump(), score=0.4)
    held = PanoramaHeld(capture_id="s/d/c", recipe_id="r", reason=Reason.NOT_VERIFIED, detail="", left=(box,))
    assert decode(encode(held)) == held
    assert b"left" not in encode(held.model_copy(update={"left": ()}))
