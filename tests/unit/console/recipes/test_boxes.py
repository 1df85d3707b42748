"""Boxes in panorama angles, wherever the panorama is cut."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.recipes import boxes
from panoveil.contracts.messages import PanoramaBox


def box(west: float, south: float, east: float, north: float, kind: Literal["face", "plate"] = "face") -> PanoramaBox:
    return PanoramaBox(kind=kind, score=0.5, west=west, south=south, east=east, north=north)


def turned(one: PanoramaBox, degrees: float) -> PanoramaBox:
    """The same box in a panorama cut elsewhere."""
    west, east = ((side + degrees + 180) % 360 - 180 for side in (one.west, one.east))
    return one.model_copy(update={"west": west, "east": east})


WHOLE = st.integers(-180, 179)
BOXES = st.builds(
    lambda west, width, south, height: turned(box(0, south, width, south + height), west),
    WHOLE, st.integers(1, 120), st.integers(-90, 60), st.integers(1, 30),
)  # fmt: skip


@given(BOXES, BOXES, WHOLE)
def test_where_the_panorama_is_cut_changes_nothing(one: PanoramaBox, other: PanoramaBox, degrees: int) -> None:
    assert boxes.iou(one, other) == pytest.approx(boxes.iou(turned(one, degrees), turned(other, degrees)))
    assert boxes.share([one, other]) == pytest.approx(boxes.share([turned(one, degrees), turned(other, degrees)]))


@given(BOXES, BOXES)
def test_overlap_is_symmetric_and_agrees_with_the_share_that_is_covered(one: PanoramaBox, other: PanoramaBox) -> None:
    found = boxes.iou(one, other)
    assert found == pytest.approx(boxes.iou(other, one))
    assert 0 <= found <= 1
    apart, together = boxes.share([one]) + boxes.share([other]), boxes.share([one, other])
    assert found == pytest.approx((apart - together) / together)


@given(BOXES)
def test_a_box_is_like_itself(one: PanoramaBox) -> None:
    assert boxes.iou(one, one) == pytest.approx(1.0)
    assert boxes.without_like([one], [one]) == ()


def test_a_box_across_the_wrap_meets_those_on_both_sides() -> None:
    across, right, left = box(175, 0, -175, 10), box(175, 0, 180, 10), box(-180, 0, -175, 10)
    assert (boxes.iou(across, right), boxes.iou(across, left), boxes.iou(right, left)) == (0.5, 0.5, 0)
    assert boxes.without_like([across], [right]) == ()


@pytest.mark.parametrize(
    ("other", "missing"),
    [
        (box(0, 0, 10, 10), False),
        (box(0, 0, 10, 10, "plate"), True),
        (box(5, 0, 15, 10), False),
        (box(7, 0, 17, 10), True),
        (box(-20, -20, 30, 30), False),
        (box(2, 2, 4, 4), True),
    ],
)
def test_a_box_is_missing_where_none_of_its_kind_covers_what_it_did(other: PanoramaBox, *, missing: bool) -> None:
    assert bool(boxes.without_like([box(0, 0, 10, 10)], [other])) is missing


def test_a_wider_margin_neither_gains_nor_loses_a_box() -> None:
    narrow, wide = box(-1.3, -1.3, 1.3, 1.3), box(-2, -2, 2, 2)
    assert boxes.without_like([narrow], [wide]) == boxes.without_like([wide], [narrow]) == ()


def test_nothing_covers_nothing() -> None:
    assert boxes.share([]) == 0.0
