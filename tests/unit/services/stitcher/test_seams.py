import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.stitcher import seams
from tests.unit.services.stitcher import virtual

WIDTH = 180
DEGREES = 2.0


def _hats(centres: list[float], reach: float) -> NDArray[np.float64]:
    """Return border distances of lenses that see `reach` degrees to each side of their centre, at every height."""
    yaw = np.arange(WIDTH) * DEGREES
    away = [np.abs((yaw - centre + 180) % 360 - 180) for centre in centres]
    return np.stack([np.tile(np.maximum(0, reach - one), (WIDTH // 2, 1)) for one in away])


@given(count=st.integers(1, 6), reach=st.floats(20, 120), seam_width=st.floats(0.5, 30), first=st.floats(0, 360))
def test_shares_sum_to_one_where_a_lens_sees_well_and_never_to_more(
    count: int, reach: float, seam_width: float, first: float
) -> None:
    distances = _hats([first + 360 * number / count for number in range(count)], reach)
    shares = seams.weights(distances, DEGREES, seam_width)
    total = shares.sum(axis=0)
    assert shares.min() >= 0
    assert total.max() <= 1 + 1e-5
    np.testing.assert_allclose(total[distances.max(axis=0) >= 1], 1, atol=1e-5)
    assert (shares[distances == 0] == 0).all()


def test_a_seam_is_a_linear_ramp_of_its_width() -> None:
    shares = seams.weights(_hats([90, 270], 120), DEGREES, seam_width=20)
    ramp = shares[0, 45, 80:101]
    np.testing.assert_allclose(np.diff(ramp[6:15]), -DEGREES / 20, atol=1e-5)
    assert ramp[:5] == pytest.approx(1)
    assert ramp[16:] == pytest.approx(0)


def test_shares_go_round_where_columns_wrap() -> None:
    distances = _hats([90, 270], 120)
    shares = seams.weights(distances, DEGREES, 10)
    turned = seams.weights(np.roll(distances, 60, axis=2), DEGREES, 10)
    np.testing.assert_allclose(np.roll(shares, 60, axis=2), turned, atol=1e-6)


def test_one_lens_that_sees_all_keeps_all() -> None:
    assert seams.weights(np.full((1, 90, 180), 50.0), DEGREES, 3) == pytest.approx(1)


def test_border_distance_is_zero_outside_and_largest_in_the_middle() -> None:
    lens = virtual.ring(1).lenses[0]
    axis, aside, behind = np.array([[0.0, 0, 1], [1, 0, 0.7], [0, 0, -1]])
    distance, pixels = seams.border_distance(lens, np.stack([axis, aside, behind]))
    assert distance[0] > distance[1] > distance[2] == 0
    np.testing.assert_allclose(pixels[0], (lens.intrinsics.cx, lens.intrinsics.cy), atol=1e-3)


def test_along_the_upper_border_the_lens_that_sees_farther_aside_wins() -> None:
    lens = virtual.ring(1).lenses[0]
    near_top = lens.intrinsics.cy - 1
    rays = np.array([[-20.0, -near_top, lens.intrinsics.fy], [100.0, -near_top, lens.intrinsics.fy]])
    distance, _ = seams.border_distance(lens, rays * (1, 0.97, 1))
    assert distance[0] > distance[1] > 0
