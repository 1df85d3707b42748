"""The simulator's truth, judged: angles to pixels and back, and where in the panorama an object stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.evaluate.annotated import Answer
from console.evaluate.score import Area, Rate
from console.evaluate.simulated import Judged, Scene, Simulated, judge, place_of, shown
from panoveil.pixels.rectangles import union_area
from simulator.rigs import demo_rig
from simulator.truth import TrueObject

WIDTH = 4096
RIG = demo_rig(WIDTH)


def true(yaw: float, wide: float = 3.0, kind: str = "face", height_px: float = 20.0) -> TrueObject:
    west, east = ((yaw + side * wide / 2 + 180) % 360 - 180 for side in (-1, 1))
    return TrueObject(kind, west, east, -4.0, -1.0, 1.0, height_px)  # type: ignore[arg-type]


@given(st.floats(-180, 179.99), st.floats(0.5, 20))
def test_what_is_shown_in_pixels_covers_what_was_true_in_degrees(yaw: float, wide: float) -> None:
    item = true(yaw, wide)
    picture = shown("000000", [item], WIDTH)
    (judged,) = judge([item], Answer(picture.objects), RIG, WIDTH)
    assert judged.covered
    assert union_area(picture.objects["faces"]) == pytest.approx(wide / 360 * WIDTH * 3 / 360 * WIDTH, rel=1e-6)
    assert all(0 <= x0 <= x1 <= WIDTH for x0, _, x1, _ in picture.objects["faces"])


@given(st.floats(-180, 179.99), st.floats(1, 20))
def test_what_is_moved_by_its_own_width_covers_nothing(yaw: float, wide: float) -> None:
    item = true(yaw, wide)
    picture = shown("000000", [true(yaw + wide, wide)], WIDTH)
    (judged,) = judge([item], Answer(picture.objects), RIG, WIDTH)
    assert not judged.covered


@pytest.mark.parametrize(
    ("yaw", "place"),
    [(180, "wrap"), (179, "wrap"), (36, "seam"), (-36, "seam"), (108, "seam"), (-108, "seam"), (0, "elsewhere"), (72, "elsewhere"), (176, "elsewhere")],
)  # fmt: skip
def test_the_demo_rigs_lenses_meet_between_them(yaw: float, place: str) -> None:
    assert place_of(true(yaw), RIG) == place


def test_recall_is_told_by_height_and_place() -> None:
    judged = (
        Judged(true(0), "elsewhere", covered=True), Judged(true(36), "seam", covered=False),
        Judged(true(36, height_px=9), "seam", covered=True), Judged(true(180, kind="plate"), "wrap", covered=True),
    )  # fmt: skip
    result = Simulated(Scene(), 2, judged, 6, ("000001.jpg",), Area(100, 20, 5), None)
    assert (result.rate("face"), result.rate("face", place="seam"), result.rate("face", "16-24", "seam")) == (
        Rate(2, 3), Rate(1, 2), Rate(0, 1),
    )  # fmt: skip
    said = result.as_json()
    assert not result.complete
    assert said["boxes_per_panorama"] == 3
    assert list(said["classes"]["faces"]["by_height"]) == ["8-10", "16-24"]
    assert said["classes"]["plates"]["by_place"]["wrap"]["objects"] == 1
    assert said["classes"]["faces"]["by_height_and_place"]["8-10 seam"]["covered"]["share"] == 1.0
    assert sum(row["objects"] for row in said["classes"]["faces"]["by_height_and_place"].values()) == 3
