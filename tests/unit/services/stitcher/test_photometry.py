import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.rig import Photometry
from services.stitcher import photometry
from tests.unit.services.stitcher import virtual


def _chain(count: int) -> NDArray[np.bool_]:
    """Return masks of lenses that each overlap the next by 20 columns."""
    seen = np.zeros((count, 30, 30 * count + 20), bool)
    for number in range(count):
        seen[number, :, 30 * number : 30 * number + 50] = True
    return seen


@given(st.lists(st.floats(0.75, 1.3), min_size=4, max_size=4))
def test_known_gains_are_found_but_for_a_common_factor(gains: list[float]) -> None:
    seen = _chain(4)
    scene = np.random.default_rng(0).uniform(60, 150, (1, *seen.shape[1:], 3))
    views = scene * np.array(gains)[:, None, None, None]
    found = photometry.exposure_gains(views, seen)
    product = found[:, 0] * gains
    assert np.ptp(product) / product.mean() < 0.01
    assert np.exp(np.log(found).mean()) == pytest.approx(1, abs=0.01)


def test_channels_are_matched_on_their_own() -> None:
    seen = _chain(2)
    scene = np.random.default_rng(0).uniform(60, 150, (1, *seen.shape[1:], 3))
    views = scene * np.array([[1, 1, 1], [1.2, 1, 0.8]])[:, None, None, :]
    found = photometry.exposure_gains(views, seen)
    np.testing.assert_allclose(found[0] / found[1], (1.2, 1, 0.8), rtol=0.01)


def test_clipped_pixels_do_not_speak() -> None:
    seen = _chain(2)
    views = np.full((2, *seen.shape[1:], 3), 120.0)
    views[1] = 60
    views[:, :15] = 255
    found = photometry.exposure_gains(views, seen)
    assert found[1, 0] / found[0, 0] == pytest.approx(2, rel=0.01)


def test_lenses_that_share_nothing_are_left_alone() -> None:
    seen = np.zeros((2, 10, 10), bool)
    seen[0, :, :5], seen[1, :, 5:] = True, True
    assert photometry.exposure_gains(np.full((2, 10, 10, 3), 99.0), seen) == pytest.approx(1)


@given(gain=st.floats(0.5, 2.0), reach=st.sampled_from([255.0, 400.0]))
def test_a_tone_curve_never_falls_and_keeps_white_white(gain: float, reach: float) -> None:
    domain = np.linspace(0, reach, 500)
    curve = photometry.tone_curve(gain, domain).astype(int)
    assert (np.diff(curve) >= 0).all()
    assert curve[0] == 0
    assert curve[-1] >= 254


@given(gain=st.floats(0.5, 1.5), value=st.integers(0, 130))
def test_a_tone_curve_is_the_gain_below_the_highlights(gain: float, value: int) -> None:
    assert photometry.tone_curve(gain, np.arange(256.0))[value] == pytest.approx(gain * value, abs=0.51)


def test_nothing_to_do_is_no_table() -> None:
    assert photometry.curve_table(np.ones(3), None) is None
    assert photometry.curve_table(np.array([1, 1, 1.1]), None) is not None


def test_a_shaded_table_undoes_pixel_times_shade() -> None:
    table = photometry.curve_table(np.ones(3), shade_peak=2.0)
    assert table is not None
    assert table.shape == (1, 65536, 3)
    assert table[0, 60 * 255, 0] == 120


def test_rig_gains_are_undone() -> None:
    rig = virtual.ring(2, photometry=Photometry(gain=(1.25, 1, 0.8)))
    np.testing.assert_allclose(photometry.rig_gains(rig), [(0.8, 1, 1.25)] * 2)
