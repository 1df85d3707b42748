import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stitcher import lens_quality
from simulator import wear
from simulator.rigs import demo_rig
from tests.unit.services.stitcher import drives, virtual
from tests.unit.services.stitcher.virtual import Image

RIG = demo_rig(1024)
PLACES = lens_quality.tiles(RIG).places[0]


@pytest.fixture(scope="module", name="frame")
def a_frame() -> Image:
    return drives.frame(1, 6, 1024, 0, "front")


def _sharpness(frame: Image) -> float:
    found = lens_quality.sharpness_of(lens_quality.sample(frame, PLACES))
    assert found is not None
    return found


def _blurred(frame: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8)


def test_blur_costs_sharpness_and_score(frame: Image) -> None:
    levels = [_sharpness(frame), *(_sharpness(_blurred(frame, sigma)) for sigma in (1.0, 2.0, 4.0))]
    assert levels == sorted(levels, reverse=True)
    scores = [lens_quality.score(level, 0.0, 0.0, None) for level in levels]
    assert scores[0] == 1
    assert scores[-1] < 0.2


def test_noise_is_not_taken_for_sharpness(frame: Image) -> None:
    soft = _blurred(frame, 2.0)
    noisy = np.clip(soft + np.random.default_rng(0).normal(0, 6, soft.shape), 0, 255).astype(np.uint8)
    assert _sharpness(noisy) == pytest.approx(_sharpness(soft), abs=0.05)


@pytest.mark.parametrize("scene", [0, 3, 5])
def test_sharpness_hardly_depends_on_what_is_seen(scene: int) -> None:
    assert 0.2 < _sharpness(drives.frame(1, 6, 1024, scene, "front")) < 0.8


def test_shares_of_black_and_white(frame: Image) -> None:
    half = frame.copy()
    half[: frame.shape[0] // 2] = 255
    half[frame.shape[0] // 2 :] = 0
    found = lens_quality.sample(half, PLACES)
    assert found.bright_share + found.dark_share == 1
    assert 0.3 < found.bright_share < 0.7


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_colour_is_nothing(frame: Image, level: int) -> None:
    assert lens_quality.shows_nothing(lens_quality.sample(np.full_like(frame, level), PLACES))


def test_a_covered_lens_is_dead_and_scores_nothing(frame: Image) -> None:
    frames = [wear.covered(frame, 0), *(drives.frame(1, 6, 1024, 0, lens.name) for lens in RIG.lenses[1:])]
    found = lens_quality.measure(RIG, frames, lens_quality.tiles(RIG), np.ones(5), [None] * 5)
    assert [lens.dead for lens in found] == [True, False, False, False, False]
    assert [lens.score > 0 for lens in found] == [False, True, True, True, True]


def test_a_dim_street_is_not_nothing(frame: Image) -> None:
    assert not lens_quality.shows_nothing(lens_quality.sample((frame * 0.1).astype(np.uint8), PLACES))


def test_light_is_told_in_stops(frame: Image) -> None:
    (found, *_) = lens_quality.measure(
        RIG, [np.full_like(frame, 59)] * 5, lens_quality.tiles(RIG), np.array([2.0, 1, 1, 1, 1]), [None] * 5
    )
    assert found.level == pytest.approx(-1)
    assert found.gain == pytest.approx(1)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 3), st.floats(0, 200), st.floats(1e-3, 1), st.sampled_from(range(4)))
def test_the_score_never_rises_as_a_measure_gets_worse(
    sharp: float, clipped: float, stops: float, difference: float, by: float, which: int
) -> None:
    before = lens_quality.score(sharp, clipped, stops, difference)
    worse = (sharp - by, clipped + by, stops + by, difference + 100 * by)
    mixed = [
        new if number == which else old
        for number, (new, old) in enumerate(zip(worse, (sharp, clipped, stops, difference), strict=True))
    ]
    after = lens_quality.score(mixed[0], mixed[1], mixed[2], mixed[3])
    assert 0 <= after <= before <= 1


def test_tiles_lie_within_the_image_circle() -> None:
    rig = virtual.dual_fisheye(size=800)
    (places, _) = lens_quality.tiles(rig).places
    assert 5 < len(places) < 25
    assert all(np.hypot(x + 16 - 400, y + 16 - 400) < 400 for x, y in places)


def test_a_lens_too_small_for_a_tile_is_measured_by_nothing() -> None:
    found = lens_quality.sample(np.zeros((10, 10, 3), np.uint8), ())
    assert lens_quality.sharpness_of(found) is None
    assert not lens_quality.shows_nothing(found)
