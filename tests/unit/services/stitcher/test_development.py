from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Chromatic, Photometry, Rig
from panoveil.pixels.spread import Spread, one_by_one
from services.stitcher import chromatic, detail, photometry, tables
from services.stitcher.development import developed, shrunk
from tests.unit.services.stitcher import virtual, walls
from tests.unit.services.stitcher.walls import Image

PLAIN = StitchRecipe(width=512, vignetting=False, chromatic=False, detail=0.0)
GAINS = np.ones((2, 3))

Floats = NDArray[np.floating[Any]]


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def _rig(size: int = 200, **calibration: Any) -> Rig:
    still = virtual.ring(2, size)
    return still.model_copy(update={"lenses": tuple(lens.model_copy(update=calibration) for lens in still.lenses)})


def _frames(size: int = 200) -> list[Image]:
    """Return two textured frames, coloured and slightly noisy."""
    noise = np.random.default_rng(0).normal(0, 2, (size, size, 3))
    gray = [walls.textured(2 * size, seed, grain=2)[:, :size].astype(float) for seed in (1, 2)]
    return [np.clip(each * (0.9, 1.0, 1.1) + noise, 0, 255).astype(np.uint8) for each in gray]


def _developed(
    rig: Rig,
    cache: Path,
    recipe: StitchRecipe,
    gains: Floats = GAINS,
    frames: list[Image] | None = None,
    spread: Spread = one_by_one,
) -> list[Image]:
    return developed(frames or _frames(rig.lenses[0].width), gains, rig, recipe, tables.load(rig, recipe, cache), spread)


FRINGES = Chromatic(red=(0.01, 0.01), blue=(-0.01, -0.01))
DARK_CORNERS = Photometry(vignetting=(-0.4, 0.05, 0.0))
EVERYTHING = _rig(chromatic=FRINGES, photometry=DARK_CORNERS)


def test_with_all_off_frames_stay_as_they_are(cache: Path) -> None:
    for frame, ready in zip(_frames(), _developed(EVERYTHING, cache, PLAIN), strict=True):
        np.testing.assert_array_equal(ready, frame)


@pytest.mark.parametrize("switch", [{"chromatic": True}, {"vignetting": True}, {"detail": 1.0}, {"tone": 1.0}])
def test_each_step_has_its_switch(cache: Path, switch: dict[str, Any]) -> None:
    for frame, ready in zip(_frames(), _developed(EVERYTHING, cache, PLAIN.model_copy(update=switch)), strict=True):
        assert np.abs(ready.astype(int) - frame).mean() > 0.3


def test_lateral_colour_is_undone_as_alone(cache: Path) -> None:
    ready = _developed(EVERYTHING, cache, PLAIN.model_copy(update={"chromatic": True}))
    for frame, lens, own in zip(_frames(), EVERYTHING.lenses, ready, strict=True):
        np.testing.assert_array_equal(own, chromatic.corrected(frame, lens))


def test_dark_corners_are_lifted_and_the_middle_is_not(cache: Path) -> None:
    gray = [np.full((200, 200, 3), 90, np.uint8)] * 2
    ready = _developed(EVERYTHING, cache, PLAIN.model_copy(update={"vignetting": True}), frames=gray)
    assert np.abs(ready[0][98:102, 98:102].astype(int) - 90).max() <= 1
    assert ready[0][0, 0] == pytest.approx(90 / (1 - 0.4 + 0.05), abs=2)


def test_gains_multiply_light_lens_by_lens_and_channel_by_channel(cache: Path) -> None:
    gray = [np.full((200, 200, 3), 100, np.uint8)] * 2
    first, second = _developed(_rig(), cache, PLAIN, np.array([[1.2, 1.0, 0.8], [0.5, 1.1, 1.0]]), gray)
    np.testing.assert_allclose(first[100, 100], (120, 100, 80), atol=1)
    np.testing.assert_allclose(second[100, 100], (50, 110, 100), atol=1)


def test_fast_mode_leaves_detail_alone(cache: Path) -> None:
    fast = _developed(_rig(), cache, PLAIN.model_copy(update={"detail": 1.0, "mode": "fast"}))
    np.testing.assert_array_equal(fast, _frames())


def test_without_detail_light_is_corrected_and_nothing_else(cache: Path) -> None:
    gains = np.full((2, 3), 1.25)
    table = photometry.curve_table(gains[0], None)
    for frame, own in zip(_frames(), _developed(_rig(), cache, PLAIN, gains), strict=True):
        np.testing.assert_array_equal(own, photometry.corrected(frame, None, table))


def test_strips_of_a_frame_make_the_whole_one(cache: Path) -> None:
    """Light first, then detail, by the noise that the gain leaves; detail in what the panorama shows."""
    gains, margin = np.full((2, 3), 1.25), detail.MARGIN
    curve = photometry.curve_table(gains[0], None)
    for frame, own in zip(_frames(), _developed(_rig(), cache, PLAIN.model_copy(update={"detail": 1.0}), gains), strict=True):
        how = detail.manner(frame, 1.25, 1.0)
        assert how is not None
        lit = photometry.corrected(frame, None, curve)
        whole = np.empty_like(lit)
        detail.refine(
            whole, np.asarray(cv2.copyMakeBorder(lit, margin, margin, margin, margin, cv2.BORDER_REPLICATE), np.uint8), how
        )
        same = (own == whole).all(axis=-1)
        assert same.mean() > 0.4
        np.testing.assert_array_equal(own[~same], lit[~same])


def test_a_lens_finer_than_the_panorama_is_halved_first(cache: Path) -> None:
    rig = _rig(500, photometry=DARK_CORNERS)
    assert tables.load(rig, PLAIN, cache).reduction == (2, 2)
    for frame, own in zip(_frames(500), _developed(rig, cache, PLAIN), strict=True):
        np.testing.assert_array_equal(own, cv2.resize(frame, (250, 250), interpolation=cv2.INTER_AREA))


def test_the_corners_of_a_halved_frame_are_lifted_alike(cache: Path) -> None:
    rig = _rig(500, photometry=DARK_CORNERS)
    gray = [np.full((500, 500, 3), 90, np.uint8)] * 2
    ready = _developed(rig, cache, PLAIN.model_copy(update={"vignetting": True}), frames=gray)
    assert ready[0].shape == (250, 250, 3)
    assert ready[0][0, 0] == pytest.approx(90 / (1 - 0.4 + 0.05), abs=2)


@pytest.mark.parametrize(("size", "by", "left"), [((40, 60), 1, (40, 60)), ((40, 60), 4, (10, 15)), ((43, 61), 2, (21, 30))])
def test_shrinking_halves_until_it_is_there(size: tuple[int, int], by: int, left: tuple[int, int]) -> None:
    frame = np.full((*size, 3), 77, np.uint8)
    small = shrunk(frame, by)
    assert small.shape == (*left, 3)
    assert (small == 77).all()


def test_threads_change_no_pixel(cache: Path) -> None:
    recipe = StitchRecipe(width=512)
    with ThreadPoolExecutor(3) as pool:

        def spread(work: Callable[[int], None], strips: Iterable[int]) -> None:
            list(pool.map(work, strips))

        threaded = _developed(EVERYTHING, cache, recipe, 1.1 * GAINS, spread=spread)
    np.testing.assert_array_equal(threaded, _developed(EVERYTHING, cache, recipe, 1.1 * GAINS))
