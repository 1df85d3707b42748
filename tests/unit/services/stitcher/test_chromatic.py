from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.rig import BrownConrady, Chromatic, Lens
from services.stitcher import chromatic
from simulator.sensor import Sensor, sense
from tests.unit.services.stitcher import virtual

LENS = Lens(
    name="one",
    width=480,
    height=360,
    intrinsics=BrownConrady(fx=300, fy=300, cx=243.5, cy=175.5),
    rotation=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    chromatic=Chromatic(red=(0.002, 0.004), blue=(-0.001, -0.003)),
)
_PERFECT = Sensor(read_noise=0, shot_noise=0, blur=0)


@pytest.fixture(name="scene", scope="module")
def black_and_white_discs() -> virtual.Image:
    """Return a colourless picture full of edges as sharp as a lens makes them."""
    field = cv2.GaussianBlur(np.random.default_rng(5).normal(size=(360, 480)), (0, 0), 6)
    edges = cv2.GaussianBlur(np.where(field > 0, 200.0, 50.0), (0, 0), 0.9)
    return np.repeat(np.rint(edges).astype(np.uint8)[..., None], 3, axis=2)


def _astray(frame: virtual.Image, channel: int) -> float:
    """Return by how many pixels a channel lies farther out than green, near the corners: least squares along green's gradient."""
    green, other = frame[..., 1].astype(float), frame[..., channel].astype(float)
    down, across = np.indices(green.shape)
    x, y = across - LENS.intrinsics.cx, down - LENS.intrinsics.cy
    radius = np.hypot(x, y)
    outwards = (np.gradient(green, axis=1) * x + np.gradient(green, axis=0) * y) / np.maximum(radius, 1)
    far = radius > 240
    return float(-np.sum(((other - green) * outwards)[far]) / np.sum(outwards[far] ** 2))


def _edges(scene: virtual.Image) -> NDArray[np.bool_]:
    gradient = np.hypot(*np.gradient(scene[..., 1].astype(float)))
    return np.asarray(gradient > 15)


def test_red_and_blue_come_to_lie_on_green(scene: virtual.Image) -> None:
    sensed = sense(scene, LENS, _PERFECT, 0)
    mended = chromatic.corrected(sensed, LENS)
    assert _astray(sensed, 0) == pytest.approx(1.4, abs=0.3)
    assert _astray(sensed, 2) == pytest.approx(-0.9, abs=0.3)
    assert abs(_astray(mended, 0)) < 0.05
    assert abs(_astray(mended, 2)) < 0.05


def test_edges_gain_eleven_decibels(scene: virtual.Image) -> None:
    edges = _edges(scene)
    sensed = sense(scene, LENS, Sensor(blur=0), 0)
    before, after = (
        virtual.psnr(frame[edges].astype(float), scene[edges]) for frame in (sensed, chromatic.corrected(sensed, LENS))
    )
    assert before < 25
    assert after > before + 11


def test_green_is_not_touched(scene: virtual.Image) -> None:
    sensed = sense(scene, LENS, _PERFECT, 0)
    assert (chromatic.corrected(sensed, LENS)[..., 1] == sensed[..., 1]).all()


def test_a_lens_without_it_keeps_its_frame(scene: virtual.Image) -> None:
    plain = LENS.model_copy(update={"chromatic": Chromatic()})
    assert chromatic.corrected(scene, plain) is scene


def test_a_reduced_frame_is_corrected_alike(scene: virtual.Image) -> None:
    sensed = sense(scene, LENS, _PERFECT, 0)
    half = (240, 180)
    small, wanted = (
        cv2.resize(frame, half, interpolation=cv2.INTER_AREA) for frame in (sensed, chromatic.corrected(sensed, LENS))
    )
    mended = chromatic.corrected(np.asarray(small, np.uint8), LENS).astype(float)
    assert virtual.psnr(mended, wanted) > virtual.psnr(small.astype(float), wanted) + 8


def test_threads_change_no_pixel(scene: virtual.Image) -> None:
    with ThreadPoolExecutor(3) as pool:

        def spread(work: Callable[[int], None], rows: Iterable[int]) -> None:
            list(pool.map(work, rows))

        assert (chromatic.corrected(scene, LENS, spread) == chromatic.corrected(scene, LENS)).all()
