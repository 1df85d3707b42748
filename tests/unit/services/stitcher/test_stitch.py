from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Chromatic, Photometry, Rig
from panoveil.pixels import light as optics
from services.stitcher import finish, tables
from services.stitcher.stitch import Panorama, stitch
from simulator.sensor import Sensor, sense
from tests.unit.services.stitcher import virtual

RECIPE = StitchRecipe(width=512)


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def _stitched(rig: Rig, cache: Path, frames: dict[str, virtual.Image] | None = None, recipe: StitchRecipe = RECIPE) -> Panorama:
    return stitch(frames or virtual.frames(rig), rig, recipe, tables.load(rig, recipe, cache))


def _known(rig: Rig, cache: Path, recipe: StitchRecipe = RECIPE) -> NDArray[np.bool_]:
    """Return which pixels some lens sees entirely."""
    shares = tables.load(rig, recipe, cache).overview.shares.sum(axis=0)
    size = (recipe.width, recipe.width // 2)
    return np.asarray(cv2.erode(cv2.resize(shares, size), np.ones((5, 5))) > 0.999)


@pytest.mark.parametrize("rig", [virtual.ring(), virtual.ring(4), virtual.dual_fisheye()], ids=["ring5", "ring4", "dual"])
def test_a_known_world_comes_out_as_it_is(rig: Rig, cache: Path) -> None:
    known = _known(rig, cache)
    panorama = _stitched(rig, cache)
    assert known.mean() > 0.5
    assert virtual.psnr(panorama.image[known], virtual.truth(512)[known]) > 50
    assert panorama.quality.overlap_difference < 1


def test_calibrated_vignetting_and_gain_are_undone(cache: Path) -> None:
    rig = virtual.ring(photometry=Photometry(gain=(1.1, 0.9, 1.0), vignetting=(-0.3, 0.05, 0)))
    known = _known(rig, cache)
    assert virtual.psnr(_stitched(rig, cache).image[known], virtual.truth(512)[known]) > 48


def test_a_calibrated_response_is_undone_before_and_applied_after(cache: Path) -> None:
    """Vignetting and gain multiply light: without the response the same calibration leaves several grey levels."""
    response = (0.4, -0.2, 0.0)
    rig = virtual.ring(photometry=Photometry(gain=(1.1, 0.9, 1.0), vignetting=(-0.4, 0.05, 0), response=response))
    known = _known(rig, cache)
    truth = optics.respond(response, virtual.truth(512))
    blind = _with(rig, Photometry(gain=(1.1, 0.9, 1.0), vignetting=(-0.4, 0.05, 0)))
    ours, without = (_stitched(each, cache, virtual.frames(rig)).image for each in (rig, blind))
    assert virtual.psnr(ours[known], truth[known]) > 44
    assert virtual.psnr(without[known], truth[known]) < 38


def _with(rig: Rig, photometry: Photometry) -> Rig:
    return rig.model_copy(update={"lenses": tuple(lens.model_copy(update={"photometry": photometry}) for lens in rig.lenses)})


def test_vignetting_can_be_left_as_it_is(cache: Path) -> None:
    rig = virtual.ring(photometry=Photometry(vignetting=(-0.4, 0.05, 0)))
    left = _stitched(rig, cache, recipe=RECIPE.model_copy(update={"vignetting": False}))
    plain = _with(rig, Photometry())
    assert (left.image == _stitched(plain, cache, virtual.frames(rig)).image).all()


def test_lateral_colour_is_undone_where_the_recipe_wants_it(cache: Path) -> None:
    plain = virtual.ring()
    fringes = Chromatic(red=(0.03, 0.02), blue=(-0.03, -0.02))
    rig = plain.model_copy(update={"lenses": tuple(lens.model_copy(update={"chromatic": fringes}) for lens in plain.lenses)})
    frames = {lens.name: sense(virtual.render(lens), lens, Sensor(read_noise=0, shot_noise=0, blur=0), 0) for lens in rig.lenses}
    known = _known(rig, cache)
    off = _stitched(rig, cache, frames, RECIPE.model_copy(update={"chromatic": False}))
    truth = virtual.truth(512)[known]
    assert virtual.psnr(off.image[known], truth) < 41
    assert virtual.psnr(_stitched(rig, cache, frames).image[known], truth) > 48


def test_the_gains_that_are_given_are_the_ones_used(cache: Path) -> None:
    rig = virtual.ring()
    light = np.full((5, 3), 0.8)
    panorama = stitch(virtual.frames(rig), rig, RECIPE, tables.load(rig, RECIPE, cache), light=light)
    known = _known(rig, cache) & (virtual.truth(512).max(axis=-1) < 170)
    assert virtual.psnr(panorama.image[known], 0.8 * virtual.truth(512)[known]) > 48


def test_tone_and_sharpening_are_the_recipes(cache: Path) -> None:
    rig = virtual.ring()
    plain = _stitched(rig, cache).image
    toned = _stitched(rig, cache, recipe=RECIPE.model_copy(update={"tone": 1.0})).image
    expected = finish.toned(plain.astype(float), 1.0)
    assert np.abs(toned - expected).max() <= 3
    sharp = _stitched(rig, cache, recipe=RECIPE.model_copy(update={"sharpen": 1.0})).image
    assert (sharp == finish.sharpened(plain, 1.0)).all()


def test_unequal_exposures_are_matched(cache: Path) -> None:
    rig = virtual.ring()
    gains = np.random.default_rng(0).uniform(0.8, 1.2, (5, 3))
    frames = {
        name: np.clip(image * gain, 0, 255).astype(np.uint8)
        for (name, image), gain in zip(virtual.frames(rig).items(), gains, strict=True)
    }
    unmatched = _stitched(rig, cache, frames, RECIPE.model_copy(update={"exposure_match": False}))
    matched = _stitched(rig, cache, frames)
    assert unmatched.quality.overlap_difference > 5
    assert matched.quality.overlap_difference < 1
    known = _known(rig, cache)
    assert matched.image[known].mean() == pytest.approx(virtual.truth(512)[known].mean(), rel=0.05)


def test_lenses_apart_agree_on_the_road_and_the_walls(cache: Path) -> None:
    """Frames of the proxy world itself, seen from lenses half a metre off centre: the parallax must vanish."""
    still = virtual.ring(4)
    apart = tuple(
        lens.model_copy(update={"position": tuple(0.5 * axis for axis in np.asarray(lens.rotation)[:, 2])})
        for lens in still.lenses
    )
    rig = still.model_copy(update={"rig_id": "apart", "lenses": apart})
    frames = {lens.name: virtual.render_proxy(lens, rig.height_above_ground, RECIPE.proxy_distance) for lens in rig.lenses}
    known = _known(rig, cache)
    assert virtual.psnr(_stitched(rig, cache, frames).image[known], virtual.truth(512)[known]) > 38


def test_what_no_lens_sees_is_filled_smoothly(cache: Path) -> None:
    rig = virtual.ring()
    image = _stitched(rig, cache).image.astype(int)
    unseen = cv2.resize(tables.load(rig, RECIPE, cache).overview.shares.sum(axis=0), (512, 256)) < 0.001
    steps = np.abs(np.diff(image, axis=1)).max(axis=-1)
    assert unseen[0].all()
    assert steps[unseen[:, :-1]].max() <= 10
    assert np.abs(image[0] - image[0].mean(axis=0)).max() < 40


def test_frames_finer_than_the_panorama_do_not_alias(cache: Path) -> None:
    rig = virtual.ring(4, size=480)
    recipe = StitchRecipe(width=512)
    noisy = {name: _checkered(image) for name, image in virtual.frames(rig).items()}
    known = _known(rig, cache, recipe)
    assert virtual.psnr(_stitched(rig, cache, noisy, recipe).image[known], virtual.truth(512)[known]) > 35


def _checkered(image: virtual.Image) -> virtual.Image:
    down, across = np.indices(image.shape[:2])
    return np.asarray(image + np.where((down + across) % 2, 40, -40)[..., None], np.uint8)


def test_threads_change_no_pixel(cache: Path) -> None:
    rig = virtual.ring()
    with ThreadPoolExecutor(3) as pool:

        def spread(work: Callable[[int], None], rows: Iterable[int]) -> None:
            list(pool.map(work, rows))

        threaded = stitch(virtual.frames(rig), rig, RECIPE, tables.load(rig, RECIPE, cache), spread)
    assert (threaded.image == _stitched(rig, cache).image).all()


def test_a_missing_frame_is_refused(cache: Path) -> None:
    rig = virtual.ring()
    frames = virtual.frames(rig)
    del frames["lens3"]
    with pytest.raises(Rejected, match="lens3") as caught:
        _stitched(rig, cache, frames)
    assert caught.value.reason == Reason.FRAME_MISSING


def test_a_frame_of_another_size_is_refused(cache: Path) -> None:
    rig = virtual.ring()
    frames = virtual.frames(rig)
    frames["lens2"] = frames["lens2"][:-1]
    with pytest.raises(Rejected, match="200 x 199") as caught:
        _stitched(rig, cache, frames)
    assert caught.value.reason == Reason.WRONG_FRAME_SIZE
