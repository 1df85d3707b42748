import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.pixels import equirect

WIDTHS = st.integers(1, 40).map(lambda half: 2 * half)


@given(width=WIDTHS)
def test_rays_and_pixels_are_inverse(width: int) -> None:
    across, down = np.meshgrid(np.arange(width), np.arange(width // 2))
    pixels = equirect.to_pixels(equirect.rays(width), width)
    assert np.abs(pixels - np.stack([across, down], axis=-1)).max() < 1e-3


@given(yaw=st.floats(-np.pi, np.pi, exclude_min=True), pitch=st.floats(-1.5, 1.5), length=st.floats(0.01, 1000))
def test_angles_and_rays_are_inverse_whatever_the_length(yaw: float, pitch: float, length: float) -> None:
    ray = equirect.to_rays(np.array(yaw), np.array(pitch))
    back_yaw, back_pitch = equirect.to_angles(ray * length)
    turn = (float(back_yaw) - yaw + np.pi) % (2 * np.pi) - np.pi
    assert abs(turn) < 1e-4
    assert abs(float(back_pitch) - pitch) < 1e-4


def test_rays_are_unit_and_float32() -> None:
    rays = equirect.rays(64)
    assert rays.shape == (32, 64, 3)
    assert rays.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("ray", "yaw", "pitch"),
    [([0, 0, 1], 0, 0), ([1, 0, 0], 90, 0), ([-1, 0, 0], -90, 0), ([0, -1, 0], 0, 90), ([0, 1, 0], 0, -90), ([0, -1, 1], 0, 45)],
)
def test_axes_look_where_the_contract_says(ray: list[float], yaw: float, pitch: float) -> None:
    found = equirect.to_angles(np.array(ray, np.float32))
    np.testing.assert_allclose(np.degrees(found), (yaw, pitch), atol=1e-4)


def test_both_sides_of_the_wrap_lie_at_both_ends() -> None:
    just = 1e-3
    left, right = equirect.to_pixels(np.array([[-just, 0, -1], [just, 0, -1]], np.float32), 1024)
    assert left[0] < 0
    assert right[0] > 1023


def test_poles_lie_on_the_outer_rows() -> None:
    up, down = equirect.to_pixels(np.array([[0, -1, 0], [0, 1, 0]], np.float32), 1024)
    assert up[1] == pytest.approx(-0.5)
    assert down[1] == pytest.approx(511.5)


def test_height_may_be_told() -> None:
    assert equirect.rays(8, 3).shape == (3, 8, 3)
