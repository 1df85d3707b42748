"""What a person decided counts, and nothing besides it: over detectors that keep finding something."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panoveil.contracts.review import Marked, Review
from panoveil.detection import Detections, Images, Kind, RectangleDetector
from panoveil.pixels import jpeg
from services.anonymizer.anonymize import Anonymized, Held, anonymize, plan
from services.anonymizer.regions import Extent, Region, to_box, within
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer.scenes import Picture
from tests.unit.services.anonymizer.test_anonymize import Forgetful

WIDTH, HEIGHT = 512, 256
EXTENT = Extent(WIDTH, HEIGHT, wraps=True)
RECIPE = scenes.RECIPE.model_copy(update={"verification_rounds": 1})
"""Whatever the second look finds is left: there is no round to hide it in."""
LOOKS = scenes.looks(plan(EXTENT, RECIPE))


def late() -> Forgetful:
    """A detector that sees nothing in the first look."""
    return Forgetful(skip=LOOKS)


def mark(kind: Kind, x0: float, y0: float, x1: float, y1: float) -> Marked:
    return Marked(**to_box(Region(kind, 1.0, x0, y0, x1, y1), EXTENT).model_dump(exclude={"score"}))


def street(*objects: tuple[tuple[int, int, int], int, int, int, int]) -> Picture:
    picture = scenes.street(WIDTH, HEIGHT)
    for colour, x, y, width, height in objects:
        scenes.paint(picture, colour, x, y, width, height)
    return picture


async def looked_at(picture: Picture, review: Review | None, detector: Forgetful | RectangleDetector) -> Anonymized | Held:
    return await anonymize(picture, detector, RECIPE.model_copy(update={"review": review}), panorama=True)


FACE, PLATE = (scenes.FACE, 100, 120, 20, 20), (scenes.PLATE, 300, 130, 24, 10)
AROUND_FACE, AROUND_PLATE = mark("face", 92, 114, 136, 146), mark("plate", 296, 126, 328, 144)


async def test_a_hold_says_what_was_left_an_object_each_and_what_was_hidden_apart_from_it() -> None:
    result = await looked_at(street(FACE, PLATE), None, late())
    assert isinstance(result, Held)
    assert sorted(region.kind for region in result.left) == ["face", "plate"]
    face = next(region for region in result.left if region.kind == "face")
    assert within(Region("face", 1.0, 100, 120, 120, 140), face, EXTENT) > 0.8
    assert (result.regions, result.detail) == ((), "2 regions were still found in round 1")


async def test_what_a_person_accepted_is_published_as_it_is() -> None:
    result = await looked_at(street(FACE), Review(accept=(AROUND_FACE,)), late())
    assert isinstance(result, Anonymized)
    assert result.regions == ()
    assert jpeg.decode(result.jpeg)[130, 110, 0] > 200


async def test_what_was_left_is_accepted_by_its_own_box() -> None:
    held = await looked_at(street(FACE, PLATE), None, late())
    assert isinstance(held, Held)
    accept = tuple(mark(one.kind, one.x0, one.y0, one.x1, one.y1) for one in held.left)
    assert isinstance(await looked_at(street(FACE, PLATE), Review(accept=accept), late()), Anonymized)


async def test_what_was_accepted_holds_nothing_and_the_rest_still_does() -> None:
    result = await looked_at(street(FACE, PLATE), Review(accept=(AROUND_FACE,)), late())
    assert isinstance(result, Held)
    assert [region.kind for region in result.left] == ["plate"]


@pytest.mark.parametrize("accept", [
    mark("plate", 92, 114, 136, 146), mark("face", 92, 114, 112, 146), mark("face", 200, 116, 228, 144), mark("face", 96, 130, 124, 130),
])  # fmt: skip
async def test_a_box_of_another_kind_or_place_or_too_small_accepts_nothing(accept: Marked) -> None:
    result = await looked_at(street(FACE), Review(accept=(accept,)), late())
    assert isinstance(result, Held)


@pytest.mark.parametrize("x", [WIDTH - 8, 6])
async def test_across_the_edge_it_counts_as_well(x: int) -> None:
    review = Review(accept=(mark("face", WIDTH - 24, 114, WIDTH + 44, 146),))
    assert isinstance(await looked_at(street((scenes.FACE, x, 120, 16, 20)), review, late()), Anonymized)


async def test_what_is_accepted_and_found_at_the_first_look_is_hidden_all_the_same() -> None:
    result = await looked_at(street(FACE), Review(accept=(AROUND_FACE,)), RectangleDetector())
    assert isinstance(result, Anonymized)
    assert jpeg.decode(result.jpeg)[130, 110, 0] < 200


@pytest.mark.parametrize("x", [100, WIDTH - 10])
async def test_what_a_person_drew_is_hidden_though_nobody_finds_it(x: int) -> None:
    picture = street()
    scenes.paint(picture, (0, 255, 0), x, 120, 20, 20)
    result = await looked_at(picture, Review(hide=(mark("plate", x, 120, x + 20, 140),)), RectangleDetector())
    assert isinstance(result, Anonymized)
    shown = jpeg.decode(result.jpeg)[120:140, np.arange(x, x + 20) % WIDTH].astype(int)
    assert (shown[..., 1] - shown[..., 0]).max() < 100
    assert [(region.kind, region.score) for region in result.regions] == [("plate", 1.0)]


@dataclass
class Restless(RectangleDetector):
    """Finds, in every look but the first, something more, at another place of each view."""

    looks: int = 0

    async def detect(self, kind: Kind, images: Images) -> list[Detections]:
        self.looks += 1
        if self.looks <= LOOKS:
            return await super().detect(kind, images)
        x, y = self.looks * 89 % (images.shape[2] - 8), self.looks * 53 % (images.shape[1] - 8)
        box = np.array([[x, y, x + 8, y + 8]], np.float32)
        return [Detections(box, np.array([0.9], np.float32)) for _ in images]


async def test_whoever_keeps_finding_something_elsewhere_is_not_silenced_by_a_decision_about_one_place() -> None:
    result = await looked_at(street(), Review(accept=(AROUND_FACE,), hide=(AROUND_PLATE,), waive=True), Restless())
    assert isinstance(result, Held)


SPOTS = [(x, y) for x in (40, 140, 240, 340, 440) for y in (100, 150)]
OBJECTS = st.lists(
    st.tuples(st.sampled_from(SPOTS), st.sampled_from(["face", "plate"])), unique_by=lambda one: one[0], max_size=4
)
ACCEPTED = st.lists(
    st.builds(
        lambda spot, kind, dx, dy, width, height: mark(kind, spot[0] + dx, spot[1] + dy, spot[0] + dx + width, spot[1] + dy + height),
        st.sampled_from(SPOTS), st.sampled_from(["face", "plate"]),
        st.integers(-12, 12), st.integers(-12, 12), st.integers(4, 60), st.integers(4, 60),
    ),
    max_size=5,
)  # fmt: skip
COLOURS = {"face": scenes.FACE, "plate": scenes.PLATE}


@settings(max_examples=40, deadline=None)
@given(OBJECTS, ACCEPTED)
async def test_what_was_not_accepted_is_never_published(
    objects: list[tuple[tuple[int, int], Kind]], accept: list[Marked]
) -> None:
    picture = street(*((COLOURS[kind], x, y, 20, 20) for (x, y), kind in objects))
    result = await looked_at(picture, Review(accept=tuple(accept)), late())
    if isinstance(result, Held):
        return
    shown = jpeg.decode(result.jpeg)
    for (x, y), kind in objects:
        there = Region(kind, 1.0, x, y, x + 20, y + 20)
        seen = abs(shown[y + 10, x + 10].astype(int) - COLOURS[kind]).max() < 60
        vouched = [one for one in accept if one.kind == kind and within(there, _region(one), EXTENT) > 0.75]
        assert vouched or not seen


def _region(box: Marked) -> Region:
    x0, x1 = ((angle / 360 + 0.5) * WIDTH for angle in (box.west, box.east))
    y0, y1 = ((0.5 - angle / 180) * HEIGHT for angle in (box.north, box.south))
    return Region(box.kind, 1.0, x0, y0, x1, y1)
