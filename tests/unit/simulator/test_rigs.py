import numpy as np
import pytest

from panoveil.contracts.rig import Rig
from panoveil.pixels import equirect, lenses
from simulator.rigs import LENS_PIXELS_PER_PANORAMA_PIXEL, demo_rig, matched_panorama_width
from simulator.worlds import centred


def _lenses_that_see(rig: Rig, rays: np.ndarray) -> np.ndarray:
    count = np.zeros(rays.shape[:-1], int)
    for lens in rig.lenses:
        pixels, valid = lenses.project(lens.intrinsics, rays @ np.array(lens.rotation))
        inside = (pixels >= -0.5).all(axis=-1) & (pixels[..., 0] < lens.width - 0.5) & (pixels[..., 1] < lens.height - 0.5)
        count += valid & inside
    return count


def test_every_direction_from_57_down_to_the_zenith_is_seen() -> None:
    rays = equirect.rays(360)
    pitch = 90 - (np.arange(180) + 0.5)
    assert _lenses_that_see(demo_rig(1024), rays)[pitch > -56].min() >= 1


def test_neighbouring_lenses_overlap_by_at_least_ten_degrees_at_the_horizon() -> None:
    horizon = equirect.rays(3600, 1800)[900]
    seen_twice = (_lenses_that_see(demo_rig(2048), horizon) >= 2).sum() / 10
    assert seen_twice / 5 >= 10


@pytest.mark.parametrize("width", [512, 4096, 8192])
def test_resolution_matches_the_panorama(width: int) -> None:
    rig = demo_rig(width)
    assert matched_panorama_width(rig) == width
    assert rig.lenses[0].intrinsics.fx * 2 * np.pi / width == pytest.approx(LENS_PIXELS_PER_PANORAMA_PIXEL)


def test_rotations_are_rotations_and_the_front_lens_looks_ahead() -> None:
    rig = demo_rig(512)
    for lens in rig.lenses:
        rotation = np.array(lens.rotation)
        assert rotation @ rotation.T == pytest.approx(np.eye(3))
        assert np.linalg.det(rotation) == pytest.approx(1)
        assert np.linalg.norm(lens.position) == pytest.approx(0.06)
    assert np.array(rig.lenses[0].rotation)[:, 2] == pytest.approx([0, -np.sin(np.radians(17.5)), np.cos(np.radians(17.5))])


def test_a_centred_rig_is_another_rig_without_parallax() -> None:
    rig = demo_rig(512)
    twin = centred(rig)
    assert twin.rig_id != rig.rig_id
    assert {lens.position for lens in twin.lenses} == {(0.0, 0.0, 0.0)}
    assert twin.lenses[1].intrinsics == rig.lenses[1].intrinsics
