import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.pixels import equirect, lenses
from simulator.painted import Layout, Painted, reach
from simulator.rigs import demo_rig
from simulator.worlds import centred

_WIDTH = 512
_ORIGIN = np.zeros(3, np.float32)


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return np.rint(127 + 120 * equirect.rays(_WIDTH)).astype(np.uint8)


def ray(x: float, y: float, z: float) -> NDArray[np.float32]:
    way = np.array([x, y, z], np.float32)
    return way / np.linalg.norm(way)


@pytest.mark.parametrize(
    ("way", "metres"),
    [
        ((-1, 0, 0), 7), ((1, 0, 0), 9), ((0, 0, 1), 40), ((0, 0, -1), 40), ((0, 1, 0), 2.5), ((0, -1, 0), 1e5),
        ((1, 0, 1), 9 * 2**0.5), ((1, -1, 0), 1e5), ((-1, -0.5, 0), 7 * 1.25**0.5), ((4, 2.5, 0.5), (3.3 / 4) * 22.5**0.5),
    ],
)  # fmt: skip
def test_how_far_it_is(way: tuple[float, float, float], metres: float) -> None:
    assert reach(_ORIGIN, ray(*way), 2.5, Layout()) == pytest.approx(metres, rel=1e-4)


def test_a_block_is_met_on_the_side_that_looks_here() -> None:
    # The block to the right begins 3.3 metres aside and reaches up to 1.05 metres below the origin.
    assert reach(_ORIGIN, ray(3.3, 1.2, 0), 2.5, Layout()) == pytest.approx((3.3**2 + 1.2**2) ** 0.5, rel=1e-4)
    assert reach(_ORIGIN, ray(9, 1.2, 0), 2.5, Layout()) == pytest.approx((81 + 1.44) ** 0.5, rel=1e-4)


def test_centred_lenses_see_the_picture_itself(picture: NDArray[np.uint8]) -> None:
    rig = centred(demo_rig(_WIDTH))
    for lens in rig.lenses:
        frame = Painted([picture]).frame(rig, lens, 0).astype(float)
        rays = lenses.unproject(lens.intrinsics, np.array([[40.0, 60.0], [90.0, 120.0]])) @ np.asarray(lens.rotation).T
        assert frame[[60, 120], [40, 90]] == pytest.approx(127 + 120 * rays, abs=2)


def test_a_lens_off_the_origin_sees_the_near_displaced_and_the_far_not(picture: NDArray[np.uint8]) -> None:
    rig = demo_rig(_WIDTH)
    lens = rig.lenses[0].model_copy(update={"position": (0.5, 0.0, 0.0)})
    frame = Painted([picture]).frame(rig, lens, 0).astype(float)
    straight = np.asarray(lens.rotation).T @ np.array([0.0, 0.0, 1.0])
    column, row = np.rint(lenses.project(lens.intrinsics, straight)[0]).astype(int)
    # Straight ahead at 40 metres: the point half a metre to the right lies 0.5 / 40 to the right from the origin.
    assert frame[row, column, 0] == pytest.approx(127 + 120 * 0.5 / 40, abs=2.5)
    down = np.asarray(lens.rotation).T @ ray(0, 1, 1)
    column, row = np.rint(lenses.project(lens.intrinsics, down)[0]).astype(int)
    assert frame[row, column, 0] == pytest.approx(127 + 120 * ray(0.5, 2.5, 2.5)[0], abs=2.5)


def test_every_panorama_is_a_capture(picture: NDArray[np.uint8]) -> None:
    world = Painted([picture, picture])
    assert world.station(1).z > world.station(0).z
    assert world.truth(demo_rig(_WIDTH), 0, _WIDTH) == ()
    with pytest.raises(IndexError, match="there are 2 panoramas"):
        world.station(2)
