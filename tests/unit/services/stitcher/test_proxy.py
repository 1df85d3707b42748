import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from panoveil.pixels import equirect
from services.stitcher import proxy


def _reach(pitch: float, height: float = 2.5, distance: float = 15) -> float:
    ray = equirect.to_rays(np.array(0.3), np.radians(np.array(pitch)))
    return float(np.linalg.norm(proxy.points(ray, height, distance)))


def test_the_road_is_flat() -> None:
    down = proxy.points(equirect.to_rays(np.linspace(-3, 3, 50), np.full(50, -0.5)), 2.5, 15)
    np.testing.assert_allclose(down[:, 1], 2.5, rtol=1e-5)


def test_walls_stand_upright_at_their_distance() -> None:
    ahead = proxy.points(equirect.to_rays(np.linspace(-3, 3, 50), np.linspace(-0.1, 1.2, 50)), 2.5, 15)
    np.testing.assert_allclose(np.hypot(ahead[:, 0], ahead[:, 2]), 15, rtol=1e-4)


def test_the_zenith_is_near_enough() -> None:
    assert _reach(90) == 60


@given(st.floats(-90, 90), st.floats(0.5, 5), st.floats(3, 100))
def test_every_ray_ends_somewhere(pitch: float, height: float, distance: float) -> None:
    assert min(height, distance) * 0.99 <= _reach(pitch, height, distance) <= 4.01 * distance


@given(st.floats(-89, 89))
def test_the_surface_has_no_jumps(pitch: float) -> None:
    assert abs(_reach(pitch) - _reach(pitch + 0.01)) < 0.15
