import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.stitcher import detail
from tests.unit.services.stitcher import walls

Image = NDArray[np.uint8]

MOST = 16


def _noisy(deviation: float, base: NDArray[np.float64] | float = 120.0, shape: tuple[int, int] = (300, 400)) -> Image:
    rng = np.random.default_rng(3)
    return np.clip(np.rint(base + rng.normal(0, deviation, (*shape, 3))), 0, 255).astype(np.uint8)


def _refined(frame: Image, changes: NDArray[np.uint8]) -> Image:
    return detail.refined(frame, slice(0, len(frame)), changes)


def _table(frame: Image, gain: float = 1.0, strength: float = 1.0) -> NDArray[np.uint8]:
    table = detail.table(frame, gain, strength)
    assert table is not None
    return table


def _edge(blur: float = 1.2) -> Image:
    """Return a frame without noise, flat but for an edge down its middle."""
    step = np.tile(np.where(np.arange(300) < 150, 60.0, 180.0), (80, 1))
    soft = cv2.GaussianBlur(step, (0, 0), blur)
    return np.repeat(np.rint(soft).astype(np.uint8)[..., None], 3, axis=2)


def _rise(frame: Image) -> float:
    """Return over how many pixels an edge goes from a tenth to nine tenths of its height."""
    row = frame[40, :, 1].astype(float)
    first, last = np.interp([72, 168], row[144:156], np.arange(12.0))
    return float(last - first)


@pytest.mark.parametrize("deviation", [1.0, 2.0, 4.0, 8.0])
def test_noise_is_that_of_a_flat_frames_residual(deviation: float) -> None:
    """What 3 x 3 binomial blur takes out of white noise: a quarter of it stays in the middle, and 9/64 of its variance in all."""
    expected = deviation * np.sqrt((1 - 1 / 4) ** 2 + (9 / 64 - 1 / 16))
    assert detail.noise(_noisy(deviation)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("deviation", [2.0, 4.0])
def test_texture_in_most_of_a_frame_hardly_raises_it(deviation: float) -> None:
    texture = walls.textured(800, seed=1, grain=2)[:300, :400].astype(float)
    texture[:, :160] = 120
    assert detail.noise(_noisy(deviation, texture)) == pytest.approx(detail.noise(_noisy(deviation)), rel=0.1)


def test_a_frame_without_noise_has_none() -> None:
    assert detail.noise(np.full((300, 400, 3), 99, np.uint8)) == 0


@pytest.mark.parametrize("shape", [(20, 400), (300, 30), (5, 5), (48, 48)])
def test_frames_smaller_than_a_tile_have_noise_too(shape: tuple[int, int]) -> None:
    assert detail.noise(_noisy(3.0, shape=shape)) == pytest.approx(2.4, rel=0.35)


@pytest.mark.parametrize("deviation", [2.0, 4.0, 8.0])
def test_flat_noise_is_calmed_by_a_quarter(deviation: float) -> None:
    frame = _noisy(deviation)
    assert _refined(frame, _table(frame)).std() < 0.75 * frame.std()


def test_light_stays_as_it_is() -> None:
    frame = _noisy(4.0)
    assert _refined(frame, _table(frame)).mean() == pytest.approx(frame.mean(), abs=0.05)


def test_an_edge_rises_over_a_shorter_way() -> None:
    edge = _edge()
    assert _rise(_refined(edge, _table(edge))) < 0.95 * _rise(edge)


def test_strength_says_by_how_much() -> None:
    edge = _edge()
    rises = [_rise(_refined(edge, _table(edge, strength=strength))) for strength in (0.2, 0.6, 1.0)]
    assert _rise(edge) > rises[0] > rises[1] > rises[2]


def test_where_light_is_multiplied_more_is_taken_for_noise() -> None:
    frame = _noisy(3.0)
    tables = [_table(frame, gain=gain).astype(int) for gain in (1.0, 2.0)]
    assert tables[1][8] < tables[0][8]


@given(st.integers(0, 1000), st.floats(0.05, 1))
def test_no_pixel_changes_by_more_than_sixteen_levels(seed: int, strength: float) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    change = _refined(frame, _table(frame, strength=strength)).astype(int) - frame
    assert np.abs(change).max() <= MOST


def test_an_edge_overshoots_by_sixteen_levels_at_most() -> None:
    sharp = _edge(0.4)
    refined = _refined(sharp, _table(sharp))
    assert refined.max() > sharp.max()
    assert sharp.min() - MOST <= refined.min()
    assert refined.max() <= sharp.max() + MOST


def test_strength_nought_needs_no_table() -> None:
    assert detail.table(_noisy(3.0), 1.0, 0.0) is None


@given(st.integers(1, 60))
def test_strips_with_a_row_more_on_either_side_change_no_pixel(rows: int) -> None:
    frame = _noisy(6.0, shape=(61, 40))
    table = _table(frame)
    strips = []
    for top in range(0, len(frame), rows):
        start = max(0, top - 1)
        own = slice(top - start, min(top + rows, len(frame)) - start)
        strips.append(detail.refined(frame[start : top + rows + 1], own, table))
    np.testing.assert_array_equal(np.concatenate(strips), _refined(frame, table))
