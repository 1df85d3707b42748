import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.messages import PanoramaBox
from services.anonymizer.regions import LEAST_MARGIN, Extent, Rect, Region, coverage, fitted, from_box, grown, mask, to_box

PANORAMA = Extent(400, 200, wraps=True)
PHOTO = Extent(400, 200, wraps=False)


def regions() -> st.SearchStrategy[Region]:
    return st.builds(
        lambda x, y, w, h: Region("face", 0.5, x, y, x + w, y + h),
        st.floats(-100, 399), st.floats(-20, 190), st.floats(0.5, 350), st.floats(0.5, 150),
    )  # fmt: skip


@given(regions(), st.floats(0.15, 1), st.sampled_from([PANORAMA, PHOTO]), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_what_is_obfuscated_encloses_the_region_with_its_margin(
    region: Region, margin: float, extent: Extent, across: float, down: float
) -> None:
    right, below = (max(side * margin, LEAST_MARGIN) for side in (region.x1 - region.x0, region.y1 - region.y0))
    x = int(np.floor(region.x0 - right + across * (region.x1 - region.x0 + 2 * right)))
    y = int(np.floor(region.y0 - below + down * (region.y1 - region.y0 + 2 * below)))
    inside = 0 <= y < extent.height and (extent.wraps or 0 <= x < extent.width)
    assert not inside or mask((grown(region, margin, extent),), extent)[y, x % extent.width]


@given(regions(), st.sampled_from([PANORAMA, PHOTO, Extent(410, 205, wraps=True)]), st.sampled_from([(16, 16), (8, 8), (16, 8)]))
def test_what_is_obfuscated_encloses_every_mcu_of_the_region_and_a_pixel_more(
    region: Region, extent: Extent, unit: tuple[int, int]
) -> None:
    inside = fitted(region, extent)
    box = Rect(math.floor(inside.x0), math.floor(inside.y0), math.ceil(inside.x1), math.ceil(inside.y1))
    rows, columns = np.arange(extent.height) // unit[1], np.arange(extent.width) // unit[0]
    numbers = rows[:, None] * 1000 + columns
    smeared = np.isin(numbers, numbers[mask((box,), extent)])
    wide = cv2.dilate(smeared.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not (wide & ~mask((grown(region, 0.15, extent, unit),), extent)).any()


@given(regions(), st.sampled_from([PANORAMA, PHOTO]), st.sampled_from([(1, 1), (16, 16)]))
def test_rectangles_index_the_picture(region: Region, extent: Extent, unit: tuple[int, int]) -> None:
    rect = grown(region, 0.2, extent, unit)
    assert 0 <= rect.y0 <= rect.y1 <= extent.height
    assert 0 <= rect.x0 <= extent.width
    assert rect.x1 - rect.x0 <= extent.width + 1
    assert extent.wraps or rect.x1 <= extent.width


def test_a_rectangle_across_the_edge_has_two_pieces() -> None:
    assert list(Rect(390, 5, 410, 9).pieces(400)) == [(slice(5, 9), slice(390, 400)), (slice(5, 9), slice(0, 10))]


def test_a_region_left_of_a_panorama_is_at_its_right_and_of_a_photo_is_cut_off() -> None:
    region = Region("face", 0.5, -10, 5, 10, 20)
    assert (fitted(region, PANORAMA).x0, fitted(region, PANORAMA).x1) == (390, 410)
    assert (fitted(region, PHOTO).x0, fitted(region, PHOTO).x1) == (0, 10)


def test_coverage_counts_pixels_on_both_sides_of_the_edge() -> None:
    hidden = mask((Rect(390, 0, 400, 10),), PANORAMA)
    assert coverage(Region("face", 0.5, 390, 0, 410, 10), hidden, PANORAMA) == pytest.approx(0.5)
    assert coverage(Region("face", 0.5, 392, 2, 398, 8), hidden, PANORAMA) == 1
    assert coverage(Region("face", 0.5, 100, 2, 110, 8), hidden, PANORAMA) == 0


def test_a_box_that_wraps_has_its_west_east_of_its_east() -> None:
    box = to_box(Region("plate", 0.5, 390, 90, 410, 110), PANORAMA)
    assert (box.west, box.east, box.north, box.south) == (171.0, -171.0, 9.0, -9.0)


def test_a_box_round_a_pole_spans_everything() -> None:
    box = to_box(Region("face", 0.5, 0, 180, 400, 200), PANORAMA)
    assert (box.west, box.east, box.south) == (-180, 180, -90)


@given(
    x=st.floats(0, 399), y=st.floats(0, 199), width=st.floats(0.1, 399), height=st.floats(0.1, 199),
)  # fmt: skip
def test_a_region_comes_back_from_its_box(x: float, y: float, width: float, height: float) -> None:
    region = fitted(Region("plate", 0.5, x, y, x + width, y + height), PANORAMA)
    back = from_box(to_box(region, PANORAMA), PANORAMA)
    assert (back.kind, back.score) == (region.kind, region.score)
    assert [back.x0, back.y0, back.x1, back.y1] == pytest.approx([region.x0, region.y0, region.x1, region.y1], abs=1e-3)


def test_a_box_of_a_whole_turn_is_a_region_as_wide_as_the_panorama() -> None:
    region = from_box(PanoramaBox(kind="face", score=0.5, west=-180, east=180, south=-90, north=-80), PANORAMA)
    assert (region.x0, region.x1) == (0, PANORAMA.width)
