import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, lenses
from simulator.panorama import panorama
from simulator.rigs import demo_rig
from simulator.stage import remembered_rays
from simulator.street import Street
from simulator.truth import TrueObject
from simulator.views import Station
from simulator.worlds import centred

_WIDTH = 512


class Directions:
    """A world whose colour is the direction."""

    def station(self, capture: int) -> Station:
        return Station(0, 0, capture)

    def frame(self, rig: Rig, lens: Lens, capture: int) -> NDArray[np.uint8]:
        return np.rint(127 + 120 * remembered_rays(lens)).astype(np.uint8)

    def truth(self, rig: Rig, capture: int, panorama_width: int) -> tuple[TrueObject, ...]:
        return ()


def test_every_pixel_shows_what_lies_in_its_direction() -> None:
    found = panorama(Directions(), demo_rig(_WIDTH), 0, _WIDTH)
    assert found.shape == (_WIDTH // 2, _WIDTH, 3)
    assert np.abs(found - (127 + 120 * equirect.rays(_WIDTH))).max() < 1.6


def test_a_width_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be cut"):
        panorama(Directions(), demo_rig(_WIDTH), 0, 1001)


def test_a_street_seen_from_the_origin_is_what_centred_lenses_see() -> None:
    rig, world = centred(demo_rig(_WIDTH)), Street(3, 2, _WIDTH)
    found = panorama(world, rig, 1, _WIDTH).astype(float)
    rays = equirect.rays(_WIDTH)
    for lens in rig.lenses:
        frame = world.frame(rig, lens, 1)
        pixels, visible = lenses.project(lens.intrinsics, rays @ np.asarray(lens.rotation, np.float32))
        near = visible & (np.abs(pixels - (lens.width / 2, lens.height / 2)) < (lens.width * 0.4, lens.height * 0.4)).all(axis=-1)
        column, row = np.rint(pixels[near]).astype(int).T
        apart = np.abs(frame[row, column] - found[near]).max(axis=-1)
        assert np.median(apart) <= 3
        assert (apart > 60).mean() < 0.04
