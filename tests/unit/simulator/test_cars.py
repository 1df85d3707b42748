import numpy as np
import pytest

from simulator.cars import car

_CENTRE = np.array([3.0, 0.0, 10.0])


@pytest.mark.parametrize("yaw", [0.0, 1.0, np.pi])
def test_plates_are_at_the_ends_and_look_outwards(yaw: float) -> None:
    built = car(np.random.default_rng(5), _CENTRE, yaw)
    ahead = np.array([np.sin(yaw), 0, np.cos(yaw)])
    for quad, normal, end in zip(built.plates, built.normals, (1, -1), strict=True):
        middle = quad.corner + quad.right / 2 + quad.down / 2
        assert (middle - _CENTRE) @ ahead * end == pytest.approx(built.shape.length / 2 + 0.085, abs=0.02)
        assert normal @ ahead * end == pytest.approx(1)
        assert quad.normal @ normal < 0
        assert 0.3 < -middle[1] < 1.0
        assert np.linalg.norm(quad.right) == pytest.approx(0.52, rel=0.01)


def test_a_car_hides_what_is_behind_it_and_not_its_own_near_plate() -> None:
    built = car(np.random.default_rng(5), _CENTRE, 0.0)
    eye = np.array([3.0, -1.0, 0.0])
    assert built.hides(eye, np.array([[3.0, -0.5, 16.0], [3.0, -0.5, 5.0], [8.0, -0.5, 16.0]])).tolist() == [True, False, False]


def test_the_body_stands_on_the_road_and_is_as_long_as_it_says() -> None:
    built = car(np.random.default_rng(8), _CENTRE, 0.0)
    points = built.body.corners.reshape(-1, 3) - _CENTRE
    assert points[:, 1].max() <= 0
    assert np.ptp(points[:, 2]) == pytest.approx(built.shape.length + 0.14, abs=0.08)
