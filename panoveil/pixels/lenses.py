"""The lens models of a rig: rays of the lens frame (x right, y down, z along the axis) to pixels and back.

Pixel (0, 0) is the centre of the top left pixel, as in OpenCV, whose two models these are.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import BrownConrady, KannalaBrandt

Floats = NDArray[np.floating[Any]]

NOWHERE = -1e6
"""Both coordinates of a point that a lens cannot image: finite, and outside of every image."""

_NEWTON_STEPS = 20
_INSIDE = 0.9999
_TINY = 1e-9
_WIDEST_PINHOLE = math.radians(88)


def project(intrinsics: BrownConrady | KannalaBrandt, points: Floats) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the pixels float32 [..., 2] of points [..., 3] in the lens frame, and bool [...]: can the lens image them.

    Points behind the lens, or so far off axis that the distortion polynomial folds back, are not visible and lie at `NOWHERE`.
    Whether a visible point falls inside the image is the caller's to ask: intrinsics know no image size.
    """
    if isinstance(intrinsics, BrownConrady):
        plane, visible = _project_brown_conrady(intrinsics, points)
    else:
        plane, visible = _project_kannala_brandt(intrinsics, points)
    pixels = np.full(plane.shape, NOWHERE, np.float32)
    np.copyto(pixels[..., 0], plane[..., 0] * intrinsics.fx + intrinsics.cx, where=visible, casting="same_kind")
    np.copyto(pixels[..., 1], plane[..., 1] * intrinsics.fy + intrinsics.cy, where=visible, casting="same_kind")
    return pixels, visible


def unproject(intrinsics: BrownConrady | KannalaBrandt, pixels: Floats) -> NDArray[np.float32]:
    """Return the unit rays float32 [..., 3] in the lens frame that pixels [..., 2] see.

    A pixel beyond the model's edge gets the outermost ray of its direction.
    """
    centred = np.asarray(pixels, np.float64) - (intrinsics.cx, intrinsics.cy)
    plane = centred / (intrinsics.fx, intrinsics.fy)
    if isinstance(intrinsics, BrownConrady):
        return _unproject_brown_conrady(intrinsics, plane)
    return _unproject_kannala_brandt(intrinsics, plane)


def edge(intrinsics: BrownConrady | KannalaBrandt) -> float:
    """Return the angle off axis, in radians, up to which the model is one to one."""
    if isinstance(intrinsics, BrownConrady):
        return min(_WIDEST_PINHOLE, math.atan(_first_fold((intrinsics.k1, intrinsics.k2, intrinsics.k3))))
    fold = _first_fold((intrinsics.k1, intrinsics.k2, intrinsics.k3, intrinsics.k4))
    return min(intrinsics.max_theta, fold)


@lru_cache(maxsize=64)
def _first_fold(coefficients: tuple[float, ...]) -> float:
    """Return the smallest r > 0 where r (1 + c1 r^2 + c2 r^4 + ...) stops growing; infinity where it never does."""
    derivative = [1.0, *((2 * power + 3) * value for power, value in enumerate(coefficients))]
    roots: list[complex] = np.polynomial.Polynomial(derivative).trim(_TINY).roots().tolist()
    squares = [root.real for root in map(complex, roots) if abs(root.imag) < _TINY and root.real > 0]
    return math.sqrt(min(squares, default=math.inf))


def _project_brown_conrady(lens: BrownConrady, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    depth = points[..., 2]
    in_front = depth > 0
    inverse = 1 / np.where(in_front, depth, 1)
    x, y = points[..., 0] * inverse, points[..., 1] * inverse
    square = x * x + y * y
    visible = in_front & (square < (_INSIDE * math.tan(edge(lens))) ** 2)
    return _distort(lens, x * visible, y * visible), visible


def _distort(lens: BrownConrady, x: Floats, y: Floats) -> Floats:
    square = x * x + y * y
    radial = 1 + square * (lens.k1 + square * (lens.k2 + square * lens.k3))
    along = 2 * (lens.p1 * y + lens.p2 * x) + radial
    return np.stack([x * along + lens.p2 * square, y * along + lens.p1 * square], axis=-1)


def _unproject_brown_conrady(lens: BrownConrady, target: Floats) -> NDArray[np.float32]:
    limit = _INSIDE * math.tan(edge(lens))
    plane = _within(target, limit)
    for _ in range(_NEWTON_STEPS):
        plane = _within(plane - _solve(_jacobian(lens, plane), _distort(lens, plane[..., 0], plane[..., 1]) - target), limit)
    return _unit(np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1))


def _jacobian(lens: BrownConrady, plane: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (dxd/dx, dxd/dy = dyd/dx, dyd/dy): the Brown-Conrady Jacobian is symmetric."""
    x, y = plane[..., 0], plane[..., 1]
    square = x * x + y * y
    radial = 1 + square * (lens.k1 + square * (lens.k2 + square * lens.k3))
    slope = 2 * (lens.k1 + square * (2 * lens.k2 + 3 * square * lens.k3))
    mixed = slope * x * y + 2 * (lens.p1 * x + lens.p2 * y)
    across = radial + slope * x * x + 2 * lens.p1 * y + 6 * lens.p2 * x
    down = radial + slope * y * y + 6 * lens.p1 * y + 2 * lens.p2 * x
    return across, mixed, down


def _solve(matrix: tuple[Floats, Floats, Floats], error: Floats) -> Floats:
    across, mixed, down = matrix
    determinant = across * down - mixed * mixed
    safe = np.where(np.abs(determinant) < _TINY, 1, determinant)
    x = (down * error[..., 0] - mixed * error[..., 1]) / safe
    y = (across * error[..., 1] - mixed * error[..., 0]) / safe
    return np.stack([x, y], axis=-1)


def _within(plane: Floats, limit: float) -> Floats:
    radius = np.linalg.norm(plane, axis=-1, keepdims=True)
    shrunk: Floats = plane * np.minimum(1, limit / np.maximum(radius, 1e-12))
    return shrunk


def _project_kannala_brandt(lens: KannalaBrandt, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    radius = np.hypot(points[..., 0], points[..., 1])
    theta = np.arctan2(radius, points[..., 2])
    visible = (theta <= edge(lens)) & ((radius > 0) | (points[..., 2] > 0))
    scale = _bend(lens, theta) / np.where(radius > 0, radius, 1)
    return points[..., :2] * scale[..., None], visible


def _bend(lens: KannalaBrandt, theta: Floats) -> Floats:
    square = theta * theta
    return theta * (1 + square * (lens.k1 + square * (lens.k2 + square * (lens.k3 + square * lens.k4))))


def _unproject_kannala_brandt(lens: KannalaBrandt, plane: Floats) -> NDArray[np.float32]:
    bent = np.linalg.norm(plane, axis=-1)
    theta = _unbend(lens, bent)
    direction = plane / np.maximum(bent, 1e-12)[..., None]
    return _unit(np.concatenate([direction * np.sin(theta)[..., None], np.cos(theta)[..., None]], axis=-1))


def _unbend(lens: KannalaBrandt, bent: Floats) -> Floats:
    limit = edge(lens)
    theta = np.minimum(bent, limit)
    for _ in range(_NEWTON_STEPS):
        square = theta * theta
        slope = 1 + square * (3 * lens.k1 + square * (5 * lens.k2 + square * (7 * lens.k3 + square * 9 * lens.k4)))
        theta = np.clip(theta - (_bend(lens, theta) - bent) / np.maximum(slope, 1e-6), 0, limit)
    return theta


def _unit(rays: Floats) -> NDArray[np.float32]:
    unit: Floats = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return unit.astype(np.float32)
