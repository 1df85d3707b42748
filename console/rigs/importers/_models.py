"""Numbers to our two lens models: as they are where the file's model is one of ours, refitted where it is another.

Everywhere `matrix` is (fx, fy, cx, cy) in pixels, (0, 0) being the centre of the top left pixel, and `size` (width, height).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from console.rigs.importers import _fit
from console.rigs.importers._draft import Floats, Wish
from console.rigs.importers._text import first
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt
from panoveil.pixels import lenses

Camera4 = tuple[float, float, float, float]
Size = tuple[int, int]
_Model = TypeVar("_Model", BrownConrady, KannalaBrandt)

WIDEST = 1.7
"""Radians off axis up to which a fisheye images unless a person says otherwise."""

_OPENCV_COUNTS = (0, 4, 5, 8, 12, 14)
_PLAIN = 5
_THIN_PRISM, _TILTED = 8, 12
_NARROWEST_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class Source:
    """Which lens of which image the numbers are for, and what a person says of it."""

    where: str
    size: Size
    wish: Wish = field(default_factory=Wish)

    @property
    def reach(self) -> float:
        """Radians off axis up to which a fisheye images."""
        return WIDEST if self.wish.fov is None else math.radians(self.wish.fov / 2)

    def fitted(self, project: _fit.Project, aspect: float, reach: float) -> BrownConrady | KannalaBrandt:
        """Return the closest of our lenses, within what the person allows."""
        return _fit.fitted(self.where, project, self.size, aspect, reach, self.wish.within).intrinsics


def check_matrix(source: Source, matrix: Camera4) -> None:
    """Say so where a camera matrix is not finite, singular, or belongs to an image of another size."""
    fx, fy, cx, cy = matrix
    if not all(map(math.isfinite, matrix)):
        raise Misconfigured(f"{source.where}: its camera matrix holds a number that is not finite")
    if fx <= 0 or fy <= 0:
        raise Misconfigured(f"{source.where}: its camera matrix is singular or mirrored (fx {fx:g}, fy {fy:g})")
    width, height = source.size
    if abs(cx / width - 0.5) >= 0.25 or abs(cy / height - 0.5) >= 0.25:  # noqa: PLR2004
        raise Misconfigured(
            f"{source.where}: its principal point ({cx:.1f}, {cy:.1f}) does not belong to an image of {width} x {height} pixels"
        )


def pinhole(source: Source, matrix: Camera4, coefficients: Sequence[float] = ()) -> BrownConrady | KannalaBrandt:
    """Return the lens of OpenCV's pinhole model: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tx ty]]]].

    With more than five coefficients it is refitted.
    """
    check_matrix(source, matrix)
    if len(coefficients) not in _OPENCV_COUNTS:
        raise Misconfigured(f"{source.where}: OpenCV's pinhole model has 4, 5, 8, 12 or 14 coefficients, not {len(coefficients)}")
    if not any(coefficients[_PLAIN:]):
        k1, k2, p1, p2, k3 = [*coefficients, 0, 0, 0, 0, 0][:_PLAIN]
        return _built(source, BrownConrady, dict(_named(matrix), k1=k1, k2=k2, p1=p1, p2=p2, k3=k3))
    if any(coefficients[_TILTED:]):
        raise Misconfigured(f"{source.where}: a tilted sensor (tx, ty) is in neither of our lens models")
    return source.fitted(_rational(matrix, coefficients), matrix[1] / matrix[0], math.radians(88))


def fisheye(source: Source, matrix: Camera4, coefficients: Sequence[float] = ()) -> KannalaBrandt:
    """Return the lens of OpenCV's fisheye model, k1 to k4: it images up to `fov`, else to its image's corner or 97° off axis."""
    check_matrix(source, matrix)
    if len(coefficients) > 4:  # noqa: PLR2004
        raise Misconfigured(f"{source.where}: OpenCV's fisheye model has 4 coefficients, not {len(coefficients)}")
    named = {f"k{number}": value for number, value in enumerate(coefficients, 1)}
    lens = _built(source, KannalaBrandt, dict(_named(matrix), **named, max_theta=source.reach))
    return lens.model_copy(update={"max_theta": min(source.reach, _corner(lens, source.size))})


def double_sphere(
    source: Source, matrix: Camera4, xi: float, alpha: float, circle: float = math.inf
) -> BrownConrady | KannalaBrandt:
    """Return the lens that comes closest to a double sphere camera (Usenko et al. 2018).

    `circle` is how many pixels around the principal point it images.
    """
    check_matrix(source, matrix)
    if not (math.isfinite(xi) and 0 <= alpha <= 1):
        raise Misconfigured(f"{source.where}: a double sphere's alpha lies in 0 to 1 and its xi is finite")
    return source.fitted(_sphered(matrix, xi, alpha, circle), matrix[1] / matrix[0], source.reach)


def _named(matrix: Camera4) -> dict[str, float]:
    return dict(zip(("fx", "fy", "cx", "cy"), matrix, strict=True))


def _built(source: Source, model: type[_Model], values: dict[str, float]) -> _Model:
    try:
        return model(**values)
    except ValidationError as error:
        raise Misconfigured(f"{source.where}: {first(error)}") from error


def _corner(lens: KannalaBrandt, size: Size) -> float:
    """Return the angle off axis, in radians, of what the farthest corner sees."""
    width, height = size
    corners = np.array([(x, y) for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    rays = lenses.unproject(lens, corners)
    return float(np.arccos(np.clip(rays[:, 2], -1, 1)).max()) + _NARROWEST_STEP


def _rational(matrix: Camera4, coefficients: Sequence[float]) -> _fit.Project:
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = [*coefficients[:_TILTED], *([0.0] * _TILTED)][:_TILTED]

    def project(rays: Floats) -> Floats:
        x, y = rays[..., 0] / rays[..., 2], rays[..., 1] / rays[..., 2]
        r = x * x + y * y
        radial = (1 + r * (k1 + r * (k2 + r * k3))) / (1 + r * (k4 + r * (k5 + r * k6)))
        across = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x) + s1 * r + s2 * r * r
        down = y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y + s3 * r + s4 * r * r
        return _in_pixels(matrix, across, down)

    return project


def _sphered(matrix: Camera4, xi: float, alpha: float, circle: float) -> _fit.Project:
    first_weight = alpha / (1 - alpha) if alpha <= 0.5 else (1 - alpha) / alpha  # noqa: PLR2004
    second_weight = (first_weight + xi) / math.sqrt(2 * first_weight * xi + xi * xi + 1)

    def project(rays: Floats) -> Floats:
        x, y, z = rays[..., 0], rays[..., 1], rays[..., 2]
        length = np.sqrt(x * x + y * y + z * z)
        beyond = z + xi * length
        scale = alpha * np.sqrt(x * x + y * y + beyond * beyond) + (1 - alpha) * beyond
        scale = np.where(z > -second_weight * length, scale, np.nan)
        pixels = _in_pixels(matrix, x / scale, y / scale)
        within = np.hypot(pixels[..., 0] - matrix[2], pixels[..., 1] - matrix[3]) <= circle
        return np.where(within[..., None], pixels, np.nan)

    return project


def _in_pixels(matrix: Camera4, across: Floats, down: Floats) -> Floats:
    fx, fy, cx, cy = matrix
    return np.stack([fx * across + cx, fy * down + cy], axis=-1)
