from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.stitching.metrics import Regions, alignment, gradient_error, psnr, regions, scores, ssim
from simulator.rigs import demo_rig
from simulator.worlds import centred

_WIDTH = 512
_SHAPE = (_WIDTH // 2, _WIDTH)


@pytest.fixture(scope="module")
def where() -> Regions:
    return regions(demo_rig(_WIDTH), _WIDTH)


@pytest.fixture(scope="module")
def truth() -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    return np.asarray(np.kron(rng.integers(40, 200, (_SHAPE[0] // 4, _SHAPE[1] // 4, 3)), np.ones((4, 4, 1))), np.uint8)


def column(yaw: float) -> int:
    return int((yaw / 360 + 0.5) * _WIDTH) % _WIDTH


def test_bands_lie_half_way_between_two_lenses_and_are_six_degrees_wide(where: Regions) -> None:
    horizon = _SHAPE[0] // 2
    for yaw in (36, 108, 180, -108, -36):
        assert where.band[horizon, column(yaw)]
        assert where.band[horizon, column(yaw - 2.3)]
        assert not where.band[horizon, column(yaw + 4.5)]
    assert where.band[horizon].mean() == pytest.approx(5 * 6 / 360, rel=0.15)


def test_the_interior_is_well_away_from_the_bands(where: Regions) -> None:
    horizon = _SHAPE[0] // 2
    assert where.interior[horizon, column(0)]
    assert where.interior[horizon, column(36 - 7)]
    assert not where.interior[horizon, column(36 - 4)]
    assert not (where.band & where.interior).any()


def test_neither_comes_near_the_poles_and_nobody_sees_the_nadir(where: Regions) -> None:
    steep = int(29 / 180 * _SHAPE[0])
    assert not where.band[:steep].any()
    assert not where.interior[-steep:].any()
    assert where.seen[0].all()
    assert not where.seen[-1].any()


def test_a_lens_off_the_origin_must_see_near_and_far_alike() -> None:
    rig = demo_rig(_WIDTH)
    assert regions(centred(rig), _WIDTH).seen.mean() > regions(rig, _WIDTH).seen.mean()


def test_decibels() -> None:
    assert psnr(255.0**2) == 0
    assert psnr(255.0**2 / 1000) == pytest.approx(30)
    assert psnr(0) == 100


def test_the_truth_itself_is_perfect(truth: NDArray[np.uint8], where: Regions) -> None:
    found = scores(truth, truth, where)
    assert found.ws_psnr == found.band_psnr == found.interior_psnr == 100
    assert found.band_ssim == found.band_ssim_p5 == pytest.approx(1)
    assert found.band_gradient == found.de2000_mean == found.de2000_p95 == 0
    assert found.gains == (1, 1, 1)


def test_a_gain_a_channel_costs_nothing(truth: NDArray[np.uint8], where: Regions) -> None:
    dimmed = np.rint(truth * np.array([0.9, 0.8, 0.95])).astype(np.uint8)
    assert alignment(dimmed, truth, where.seen) == pytest.approx([1 / 0.9, 1 / 0.8, 1 / 0.95], rel=1e-3)
    assert scores(dimmed, truth, where).ws_psnr > 50


def test_an_error_of_known_size(truth: NDArray[np.uint8], where: Regions) -> None:
    sign = np.random.default_rng(5).choice([-1, 1], _SHAPE)[..., None]
    found = scores((truth + 10 * sign).astype(np.uint8), truth, where)
    assert found.band_psnr == pytest.approx(psnr(100), abs=0.05)
    assert found.ws_psnr == pytest.approx(psnr(100), abs=0.05)
    assert found.band_gradient_ratio == pytest.approx(1, abs=0.02)


def test_what_goes_wrong_in_the_bands_alone_shows_there_alone(truth: NDArray[np.uint8], where: Regions) -> None:
    broken = truth.copy()
    broken[where.band] = 0
    found = scores(broken, truth, where)
    assert found.band_psnr < 10
    assert found.band_ssim < 0.5
    assert found.interior_psnr > 25
    assert found.band_gradient_ratio > 5


def test_what_no_lens_sees_does_not_count(truth: NDArray[np.uint8], where: Regions) -> None:
    broken = truth.copy()
    broken[~where.seen] = 255
    found = scores(broken, truth, where)
    assert (found.ws_psnr, found.de2000_mean) == (100, 0)


def test_rows_near_the_poles_weigh_what_they_show() -> None:
    everywhere = np.ones(_SHAPE, np.bool_)
    where = Regions(everywhere, everywhere, everywhere)
    grey = np.full((*_SHAPE, 3), 100, np.uint8)
    top, middle = grey.copy(), grey.copy()
    top[:8], middle[124:132] = 130, 130
    assert scores(top, grey, where).ws_psnr > scores(middle, grey, where).ws_psnr + 8


def test_similarity_of_shifted_and_of_opposite_pictures() -> None:
    noise: NDArray[Any] = np.random.default_rng(4).normal(128, 30, (64, 64)).astype(np.float32)
    assert ssim(noise, noise) == pytest.approx(1)
    assert ssim(noise, 256 - noise).mean() < -0.8
    # Flat pictures differ by their means alone: (2 ab + c) / (a^2 + b^2 + c).
    flat = np.full((32, 32), 100, np.float32)
    assert ssim(flat, flat * 2)[16, 16] == pytest.approx((2 * 100 * 200 + 6.5025) / (100**2 + 200**2 + 6.5025), rel=1e-4)


def test_the_gradient_error_of_a_ramp_is_its_slope() -> None:
    ramp = np.tile(3 * np.arange(32, dtype=np.float32), (32, 1))
    error = gradient_error(ramp + 4 * np.arange(32, dtype=np.float32)[:, None], np.zeros((32, 32), np.float32))
    assert error[16, 16] == pytest.approx(5)
