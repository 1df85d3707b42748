import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.pixels import jpeg
from services.stitcher import detail
from tests.unit.services.stitcher import walls

Image = NDArray[np.uint8]

MOST = 16


def _noisy(deviation: float, base: NDArray[np.float64] | float = 120.0, shape: tuple[int, int] = (300, 400)) -> Image:
    rng = np.random.default_rng(3)
    return np.clip(np.rint(base + rng.normal(0, deviation, (*shape, 3))), 0, 255).astype(np.uint8)


def _manner(frame: Image, gain: float = 1.0, strength: float = 1.0) -> detail.Manner:
    how = detail.manner(frame, gain, strength)
    assert how is not None
    return how


def _refined(frame: Image, how: detail.Manner) -> Image:
    height, width = frame.shape[:2]
    margin = detail.MARGIN
    part = cv2.copyMakeBorder(frame, margin, margin + height % 2, margin, margin + width % 2, cv2.BORDER_REPLICATE)
    target = np.empty_like(frame)
    detail.refine(target, np.asarray(part, np.uint8), how)
    return target


def _colour_off(frame: Image, truth: Image) -> float:
    """Return by how many grey levels red and blue less luma are off."""
    wrong = frame.astype(float) - truth
    return float((wrong[..., ::2] - (wrong @ (0.299, 0.587, 0.114))[..., None]).std())


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


LUMA = np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
"""Of a standard deviation that three channels have apart, what their luma has."""


@pytest.mark.parametrize("deviation", [2.0, 4.0, 8.0])
def test_noise_is_that_of_a_flat_frames_residual(deviation: float) -> None:
    """What 5 x 5 binomial blur takes out of white noise: 9/64 of it stays in the middle, and 35/128 squared of its variance in all."""
    expected = LUMA * deviation * np.sqrt((1 - 9 / 64) ** 2 + (35 / 128) ** 2 - (9 / 64) ** 2)
    assert detail.noise(_noisy(deviation)).luma == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("deviation", [2.0, 4.0])
def test_texture_in_most_of_a_frame_hardly_raises_it(deviation: float) -> None:
    texture = walls.textured(800, seed=1, grain=2)[:300, :400].astype(float)
    texture[:, :160] = 120
    textured, flat = detail.noise(_noisy(deviation, texture)), detail.noise(_noisy(deviation))
    assert (textured.luma, textured.colour) == pytest.approx((flat.luma, flat.colour), rel=0.15)


def test_a_frame_without_noise_has_none() -> None:
    assert detail.noise(np.full((300, 400, 3), 99, np.uint8)) == detail.Noise(0, 0)


@pytest.mark.parametrize("shape", [(20, 400), (300, 30), (5, 5), (48, 48)])
def test_frames_smaller_than_a_tile_have_noise_too(shape: tuple[int, int]) -> None:
    assert detail.noise(_noisy(3.0, shape=shape)).luma == pytest.approx(1.8, rel=0.35)


@pytest.mark.parametrize("deviation", [2.0, 4.0, 8.0])
def test_flat_noise_of_luma_is_calmed_by_a_third(deviation: float) -> None:
    frame = _noisy(deviation)
    before, after = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).std() for image in (frame, _refined(frame, _manner(frame))))
    assert after < 0.67 * before


@pytest.mark.parametrize("quality", [85, 92])
def test_a_cameras_jpeg_has_its_colours_calmed_and_its_coloured_edges_kept(quality: int) -> None:
    """Fields of colour as light as one another, so that luma does not tell them apart."""
    fields = np.array([[120, 120, 120], [170, 105, 67], [95, 137, 98]], float)
    truth = fields.repeat(120, axis=0)[:, None].repeat(300, axis=1)
    frame = jpeg.decode(jpeg.encode(_noisy(4.0, truth, (360, 300)), quality))
    refined = _refined(frame, _manner(frame))
    flat, edge = slice(20, 100), slice(110, 130)
    assert _colour_off(refined[flat], truth[flat]) < 0.75 * _colour_off(frame[flat], truth[flat])
    assert _colour_off(refined[edge], truth[edge]) < 1.03 * _colour_off(frame[edge], truth[edge])


def test_calming_colour_leaves_luma_alone() -> None:
    """Red and blue noise whose luma is nothing."""
    noise = np.random.default_rng(1).normal(0, 3, (200, 300, 1)) * np.array([1.0, -0.509, 0.0])
    frame = np.clip(np.rint(cv2.GaussianBlur(noise, (0, 0), 1.0) * 3 + 120), 0, 255).astype(np.uint8)
    luma = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float) for image in (frame, _refined(frame, _manner(frame)))]
    assert np.abs(luma[1] - luma[0]).max() <= 2
    assert np.abs(luma[1] - luma[0]).mean() < 0.4


def test_light_and_colour_stay_as_they_are() -> None:
    frame = _noisy(4.0, np.array([90.0, 120.0, 150.0]))
    np.testing.assert_allclose(_refined(frame, _manner(frame)).mean(axis=(0, 1)), frame.mean(axis=(0, 1)), atol=0.2)


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_black_and_white_are_where_it_ends(level: int) -> None:
    frame = np.full((40, 60, 3), level, np.uint8)
    np.testing.assert_array_equal(_refined(frame, _manner(_noisy(4.0))), frame)


def test_an_edge_rises_over_a_shorter_way() -> None:
    edge = _edge()
    assert _rise(_refined(edge, _manner(edge))) < 0.95 * _rise(edge)


def test_strength_says_by_how_much() -> None:
    edge = _edge()
    rises = [_rise(_refined(edge, _manner(edge, strength=strength))) for strength in (0.2, 0.6, 1.0)]
    assert _rise(edge) > rises[0] > rises[1] > rises[2]


def test_where_light_is_multiplied_more_is_taken_for_noise() -> None:
    frame = _noisy(3.0)
    luma = [_manner(frame, gain=gain).luma.view(np.int8).astype(int) for gain in (1.0, 2.0)]
    assert luma[1][8] < luma[0][8]
    colour = [_manner(frame, gain=gain).colour.astype(int) for gain in (1.0, 2.0)]
    assert colour[1][12] < colour[0][12]


@given(st.integers(0, 1000), st.floats(0.05, 1))
def test_no_pixel_of_a_gray_frame_changes_by_more_than_sixteen_levels(seed: int, strength: float) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (24, 24, 1), dtype=np.uint8).repeat(3, axis=2)
    change = _refined(frame, _manner(frame, strength=strength)).astype(int) - frame
    assert np.abs(change).max() <= MOST + 1


def test_an_edge_overshoots_by_sixteen_levels_at_most() -> None:
    sharp = _edge(0.4)
    refined = _refined(sharp, _manner(sharp))
    assert refined.max() > sharp.max()
    assert sharp.min() - MOST <= refined.min()
    assert refined.max() <= sharp.max() + MOST


def test_strength_nought_needs_no_manner() -> None:
    assert detail.manner(_noisy(3.0), 1.0, 0.0) is None


@given(st.integers(1, 30).map(lambda half: 2 * half))
def test_strips_with_a_margin_change_no_pixel(rows: int) -> None:
    frame = _noisy(6.0, shape=(61, 41))
    how, margin = _manner(frame), detail.MARGIN
    padded = np.asarray(cv2.copyMakeBorder(frame, margin, margin + 60, margin, margin + 1, cv2.BORDER_REPLICATE), np.uint8)
    stripped = np.empty_like(frame)
    for top in range(0, len(frame), rows):
        detail.refine(stripped[top : top + rows], padded[top : top + rows + 2 * margin], how)
    np.testing.assert_array_equal(stripped, _refined(frame, how))
