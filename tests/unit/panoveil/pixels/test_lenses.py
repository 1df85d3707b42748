import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.rig import BrownConrady, KannalaBrandt
from panoveil.pixels import lenses

PINHOLE = BrownConrady(fx=1000, fy=1010, cx=800, cy=600, k1=-0.3, k2=0.1, p1=0.001, p2=-0.002, k3=-0.01)
FISHEYE = KannalaBrandt(fx=500, fy=505, cx=800, cy=600, k1=0.02, k2=-0.01, k3=0.002, k4=-0.0003)

pinholes = st.builds(
    BrownConrady,
    fx=st.floats(300, 3000),
    fy=st.floats(300, 3000),
    cx=st.floats(300, 1000),
    cy=st.floats(300, 1000),
    k1=st.floats(-0.4, 0.4),
    k2=st.floats(-0.1, 0.1),
    k3=st.floats(-0.02, 0.02),
    p1=st.floats(-0.002, 0.002),
    p2=st.floats(-0.002, 0.002),
)
fisheyes = st.builds(
    KannalaBrandt,
    fx=st.floats(100, 1500),
    fy=st.floats(100, 1500),
    cx=st.floats(300, 1000),
    cy=st.floats(300, 1000),
    k1=st.floats(-0.1, 0.1),
    k2=st.floats(-0.02, 0.02),
    k3=st.floats(-0.003, 0.003),
    max_theta=st.floats(0.8, 2.5),
)


def _points(count: int = 2000) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(count, 3))


def _camera(lens: BrownConrady | KannalaBrandt) -> NDArray[np.float64]:
    return np.array([[lens.fx, 0, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1]])


def _unit(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points / np.linalg.norm(points, axis=-1, keepdims=True))


def test_brown_conrady_is_opencvs() -> None:
    points = _points() * (0.4, 0.4, 1)
    pixels, visible = lenses.project(PINHOLE, points)
    coefficients = np.array([PINHOLE.k1, PINHOLE.k2, PINHOLE.p1, PINHOLE.p2, PINHOLE.k3])
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), _camera(PINHOLE), coefficients)
    assert visible.sum() > 500
    assert np.abs(expected[:, 0] - pixels)[visible].max() < 0.05


def test_kannala_brandt_is_opencvs() -> None:
    points = _points()
    pixels, visible = lenses.project(FISHEYE, points)
    coefficients = np.array([FISHEYE.k1, FISHEYE.k2, FISHEYE.k3, FISHEYE.k4])
    expected, _ = cv2.fisheye.projectPoints(points[None], np.zeros(3), np.zeros(3), _camera(FISHEYE), coefficients)
    ahead = visible & (points[:, 2] > 0.05)  # OpenCV's own divides by z
    assert ahead.sum() > 500
    assert np.abs(expected[0] - pixels)[ahead].max() < 0.05


@given(lens=st.one_of(pinholes, fisheyes), across=st.floats(-1, 1), down=st.floats(-1, 1))
def test_what_a_lens_sees_comes_back(lens: BrownConrady | KannalaBrandt, across: float, down: float) -> None:
    reach = 0.9 * min(lenses.edge(lens), 1.2) / np.sqrt(2)
    theta, phi = reach * np.hypot(across, down), np.arctan2(down, across)
    ray = np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    pixels, visible = lenses.project(lens, ray * 7)
    assert visible
    assert np.abs(lenses.unproject(lens, pixels) - ray).max() < 1e-3


def test_points_behind_a_pinhole_are_not_visible() -> None:
    pixels, visible = lenses.project(PINHOLE, np.array([[0.0, 0, -1], [0.1, 0.1, -2], [1, 0, 0], [0, 0, 0]]))
    assert not visible.any()
    assert (pixels == lenses.NOWHERE).all()


def test_a_folding_polynomial_is_cut_off_where_it_turns() -> None:
    folding = BrownConrady(fx=500, fy=500, cx=500, cy=500, k1=-0.3)
    angles = np.linspace(0, 1.5, 400)
    pixels, visible = lenses.project(folding, np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=-1))
    across = pixels[visible, 0]
    assert (np.diff(across) > 0).all()
    assert angles[visible].max() == pytest.approx(np.arctan(np.sqrt(1 / 0.9)), abs=0.01)
    assert not visible[np.argmax(~visible) :].any()


def test_a_folding_fisheye_is_cut_off_too() -> None:
    folding = KannalaBrandt(fx=300, fy=300, cx=500, cy=500, k1=-0.2, max_theta=3.0)
    assert lenses.edge(folding) == pytest.approx(np.sqrt(1 / 0.6))


def test_a_fisheye_sees_behind_itself_up_to_its_edge() -> None:
    wide = KannalaBrandt(fx=300, fy=300, cx=500, cy=500, max_theta=1.9)
    angles = np.array([1.85, 1.95])
    _, visible = lenses.project(wide, np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=-1))
    assert visible.tolist() == [True, False]


def test_the_axis_meets_the_principal_point() -> None:
    for lens in (PINHOLE, FISHEYE):
        pixels, visible = lenses.project(lens, np.array([0.0, 0, 3]))
        assert visible
        np.testing.assert_allclose(pixels, (lens.cx, lens.cy))
        np.testing.assert_allclose(lenses.unproject(lens, np.array([lens.cx, lens.cy])), (0, 0, 1))


def test_pixels_beyond_the_edge_get_the_outermost_ray() -> None:
    for lens in (
        BrownConrady(fx=500, fy=500, cx=500, cy=500, k1=-0.3),
        KannalaBrandt(fx=300, fy=300, cx=500, cy=500, max_theta=1.2),
    ):
        ray = lenses.unproject(lens, np.array([5000.0, 500.0]))
        assert np.arctan2(ray[0], ray[2]) == pytest.approx(lenses.edge(lens), abs=0.01)


def test_any_leading_shape_goes_through() -> None:
    grid = np.random.default_rng(0).uniform(300, 900, (4, 5, 2))
    rays = lenses.unproject(PINHOLE, grid)
    pixels, visible = lenses.project(PINHOLE, rays)
    assert rays.shape == (4, 5, 3)
    assert visible.all()
    np.testing.assert_allclose(pixels, grid, atol=0.02)
    np.testing.assert_allclose(_unit(rays.astype(np.float64)), rays, atol=1e-6)


def _opencv(lens: BrownConrady | KannalaBrandt, points: NDArray[np.float64]) -> NDArray[np.float64]:
    still = np.zeros(3)
    if isinstance(lens, KannalaBrandt):
        bent = np.array([lens.k1, lens.k2, lens.k3, lens.k4])
        return np.asarray(cv2.fisheye.projectPoints(points[None], still, still, _camera(lens), bent)[0][0], np.float64)
    bent = np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])
    return np.asarray(cv2.projectPoints(points, still, still, _camera(lens), bent)[0][:, 0], np.float64)


@given(lens=st.one_of(pinholes, fisheyes), seed=st.integers(0, 1000))
def test_any_lens_is_opencvs(lens: BrownConrady | KannalaBrandt, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(300, 3)) * (1, 1, 2)
    pixels, visible = lenses.project(lens, points)
    expected = _opencv(lens, points)
    comparable = visible & (points[:, 2] > 0.05) & (np.abs(pixels) < 20_000).all(axis=-1)  # the largest image there may be
    assert comparable.any()
    assert np.abs(expected - pixels)[comparable].max() < 0.05
