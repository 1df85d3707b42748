import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.rig import Photometry, Vec3
from panoveil.pixels import light as optics
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
    found = photometry.exposure_gains(views, seen & photometry.usable(views))
    assert found[1, 0] / found[0, 0] == pytest.approx(2, rel=0.01)


def test_lenses_that_share_nothing_are_left_alone() -> None:
    seen = np.zeros((2, 10, 10), bool)
    seen[0, :, :5], seen[1, :, 5:] = True, True
    assert photometry.exposure_gains(np.full((2, 10, 10, 3), 99.0), seen) == pytest.approx(1)


def test_an_overlap_that_disagrees_with_itself_says_little() -> None:
    """Three lenses in a ring; the third overlap is of 30 pixels that parallax has torn apart and that claim a factor of 1.5."""
    seen = np.zeros((3, 20, 90), bool)
    seen[0, :, :40], seen[1, :, 20:70], seen[2, :, 50:] = True, True, True
    seen[0, :3, 70:80] = True
    rng = np.random.default_rng(0)
    views = np.repeat(rng.uniform(60, 150, (1, 20, 90, 3)), 3, axis=0)
    views[0, :3, 70:80] *= 1.5 * rng.uniform(0.5, 2, (3, 10, 3))
    assert photometry.exposure_gains(views, seen) == pytest.approx(1, abs=0.005)


def test_a_lens_nobody_can_compare_gets_what_was_predicted() -> None:
    seen = _chain(3)
    seen[2, :, :] = False
    views = np.full((3, *seen.shape[1:], 3), 90.0)
    views[0] = 100
    found = photometry.exposure_gains(views, seen, np.array([[0.9] * 3, [1.0] * 3, [1.2] * 3]))
    assert found[0] / found[1] == pytest.approx(0.9, abs=0.002)
    assert found[2] / found[1] == pytest.approx(1.2, abs=0.002)


RESPONSES = [(0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.3, -0.4, 0.2), (-0.3, 0.2, 0.0)]


@given(factor=st.floats(0.4, 4.0), response=st.sampled_from(RESPONSES))
def test_no_curve_falls_and_what_was_clipped_stays_white(factor: float, response: Vec3) -> None:
    curve = photometry.curves(np.array(factor), response).astype(int)
    assert (np.diff(curve) >= 0).all()
    assert (curve[0], curve[255]) == (0, 255)


@given(st.tuples(*[st.floats(0.6, 1.6)] * 3), st.floats(1.0, 2.5))
def test_a_clipped_pixel_gets_no_hue_from_unequal_gains_nor_from_shade(gains: Vec3, shade: float) -> None:
    table = photometry.curve_table(np.array(gains), shade_peak=2.5)
    white = photometry.corrected(np.full((1, 1, 3), 255, np.uint8), _shade((1, 1), round(shade / 2.5 * 255)), table)
    assert white.tolist() == [[[255, 255, 255]]]


@given(factor=st.floats(1.25, 2.5))
def test_vignetting_undone_bends_towards_white_instead_of_clipping(factor: float) -> None:
    """The slope falls evenly from the factor to nothing; with a hard clip it would fall at once, by the factor."""
    curve = photometry.curves(np.array(factor)).astype(float)
    brightened = factor * np.arange(256.0)
    below, unlifted = brightened < 220, np.arange(256) < 180
    assert curve[below & unlifted] == pytest.approx(brightened[below & unlifted], abs=0.51)
    assert np.abs(np.diff(curve[unlifted], n=2)).max() <= 2.01
    assert len(np.unique(curve[(brightened > 255) & (brightened < 295)])) >= 4


def test_highlights_beyond_white_keep_apart() -> None:
    curve = photometry.curves(np.array(1.5))
    assert curve[[134, 150, 170, 190, 204]].tolist() == [201, 225, 246, 255, 255]


def test_a_factor_of_one_changes_nothing_under_any_response() -> None:
    for response in RESPONSES:
        assert photometry.curves(np.array(1.0), response).tolist() == list(range(256))


@given(factor=st.floats(0.5, 1.5), light=st.floats(10, 130), response=st.sampled_from(RESPONSES))
def test_gains_multiply_light_and_not_grey_levels(factor: float, light: float, response: Vec3) -> None:
    """Sensed under one exposure and corrected, a pixel is what another exposure would have sensed, to a level or two of rounding."""
    sensed, wanted = np.rint(optics.respond(response, np.array([light, light * factor])))
    assume(sensed <= 180)
    assert photometry.curves(np.array(factor), response)[int(sensed)] == pytest.approx(wanted, abs=2)


def test_nothing_to_do_is_no_table() -> None:
    assert photometry.curve_table(np.ones(3), None) is None
    assert photometry.curve_table(np.ones(3), None, (0.4, 0, 0)) is None
    assert photometry.curve_table(np.array([1, 1, 1.1]), None) is not None
    assert photometry.curve_table(np.ones(3), None, tone=0.5) is not None


def test_a_shaded_table_is_looked_up_by_shade_and_pixel() -> None:
    table = photometry.curve_table(np.array([1, 1, 0.5]), shade_peak=2.0)
    assert table is not None
    assert table.shape == (1, 65536, 3)
    sampled = np.full((2, 3, 3), 60, np.uint8)
    assert (photometry.corrected(sampled, _shade((2, 3), 255), table) == (120, 120, 60)).all()
    assert (photometry.corrected(sampled, _shade((2, 3), 128), table) == (60, 60, 30)).all()


def test_a_table_without_shading_takes_no_notice_of_shade() -> None:
    table = photometry.curve_table(np.full(3, 0.5), None)
    assert (photometry.corrected(np.full((2, 3, 3), 60, np.uint8), _shade((2, 3), 255), table) == 30).all()


def test_rig_gains_are_undone() -> None:
    rig = virtual.ring(2, photometry=Photometry(gain=(1.25, 1, 0.8)))
    np.testing.assert_allclose(photometry.rig_gains(rig), [(0.8, 1, 1.25)] * 2)


def _shade(size: tuple[int, int], value: int) -> NDArray[np.uint16]:
    return np.full(size, value << 8, np.uint16)
