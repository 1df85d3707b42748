from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stitcher import finish

X = np.arange(256.0)


def _edge(blur: float = 1.2) -> finish.Image:
    """Return a soft edge from 60 to 180 in the middle of a picture of 256 x 128."""
    picture = np.where(np.arange(256) < 128, 60.0, 180.0) * np.ones((128, 1))
    return np.repeat(np.rint(cv2.GaussianBlur(picture, (0, 0), blur)).astype(np.uint8)[..., None], 3, axis=2)


def _rise(picture: finish.Image) -> float:
    """Return the pixels in which the middle row rises from 10 % to 90 % of the edge."""
    row = picture[64, 64:192, 1].astype(float)
    low, high = (np.interp(60 + share * 120, np.maximum.accumulate(row), np.arange(128)) for share in (0.1, 0.9))
    return float(high - low)


def test_no_tone_is_the_same_array() -> None:
    assert finish.toned(X, 0) is X


@given(st.floats(0.01, 1))
def test_a_tone_never_falls_and_keeps_black_and_white(tone: float) -> None:
    curve = finish.toned(X, tone)
    assert (np.diff(curve) > 0).all()
    assert curve[[0, 255]] == pytest.approx([0, 255])


def test_full_tone_lifts_shadows_by_a_sixth_and_contrast_in_the_middle_by_as_much() -> None:
    curve = finish.toned(X, 1)
    assert curve[26] / 26 == pytest.approx(1.17, abs=0.02)
    assert (curve[140] - curve[116]) / 24 == pytest.approx(1.17, abs=0.02)
    assert curve[255] - curve[254] == pytest.approx(0.5, abs=0.02)


def test_half_the_tone_is_half_the_change() -> None:
    assert finish.toned(X, 0.5) - X == pytest.approx((finish.toned(X, 1) - X) / 2)


def test_no_sharpening_is_the_same_picture() -> None:
    picture = _edge()
    assert finish.sharpened(picture, 0) is picture


@pytest.mark.parametrize(("strength", "rise", "overshoot"), [(0.5, 0.9, 2), (1.0, 0.8, 4)])
def test_an_edge_rises_faster_and_overshoots_by_a_few_grey_levels(strength: float, rise: float, overshoot: int) -> None:
    soft, sharp = _edge(), finish.sharpened(_edge(), strength)
    assert _rise(sharp) < rise * _rise(soft)
    assert sharp.max() <= 180 + overshoot
    assert sharp.min() >= 60 - overshoot


def test_what_is_flat_stays_flat_and_noise_grows_little() -> None:
    flat = np.full((128, 256, 3), 97, np.uint8)
    assert (finish.sharpened(flat, 1) == 97).all()
    noise = np.random.default_rng(0).normal(97, 1.5, (128, 256, 1))
    grainy = np.repeat(np.rint(noise).astype(np.uint8), 3, axis=2)
    assert finish.sharpened(grainy, 1).std() < 1.1 * grainy.std()


def test_only_luma_is_sharpened() -> None:
    picture = _edge()
    picture[..., 0] += 30
    sharp = finish.sharpened(picture, 1).astype(int)
    assert (sharp[..., 0] - sharp[..., 1] == 30).all()


@pytest.mark.parametrize("turn", [3, 100, 128, 255])
def test_the_picture_has_no_seam_where_it_wraps_round(turn: int) -> None:
    picture = _edge()
    turned = finish.sharpened(np.roll(picture, turn, axis=1), 1)
    assert (turned == np.roll(finish.sharpened(picture, 1), turn, axis=1)).all()


def test_strips_and_threads_leave_no_trace() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (200, 96, 3)).astype(np.uint8)
    with ThreadPoolExecutor(3) as pool:

        def spread(work: Callable[[int], None], rows: Iterable[int]) -> None:
            list(pool.map(work, rows))

        threaded = finish.sharpened(picture, 1, spread)
    assert (threaded == finish.sharpened(picture, 1)).all()
    lower = finish.sharpened(picture[29:], 1)
    assert (lower[8:] == threaded[37:]).all()
