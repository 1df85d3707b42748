"""What a lens and its sensor do to light, and the inverse: response, fall-off, lateral colour. Formulas stand in `contracts.rig`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Vec3

Floats = NDArray[np.floating[Any]]

WHITE = 255.0
_STEPS = 4096
_ROUNDS = 6


def respond(response: Vec3, light: Floats) -> Floats:
    """Return what a sensor makes of light [...], both 0-255; light beyond is clipped."""
    first, second, third = response
    x = np.clip(light / WHITE, 0, 1)
    u = 2 * x - 1
    sensed: Floats = WHITE * (x + x * (1 - x) * (first + u * (second + u * third)))
    return sensed


def linear(response: Vec3, sensed: Floats) -> Floats:
    """Return the light 0-255 [...] that a sensor answers with `sensed`: the inverse of `respond`, to 1/1000 of a grey level."""
    if not any(response):
        return sensed
    steps = np.linspace(0, WHITE, _STEPS)
    light: Floats = np.interp(sensed, respond(response, steps), steps).astype(sensed.dtype)
    return light


def square_radius(lens: Lens, pixels: Floats) -> Floats:
    """Return the squared distance [...] of pixels [..., 2] from the principal point, in half diagonals of the full image."""
    x, y = pixels[..., 0] - lens.intrinsics.cx, pixels[..., 1] - lens.intrinsics.cy
    square: Floats = (x * x + y * y) * (4 / (lens.width**2 + lens.height**2))
    return square


def fall_off(vignetting: Vec3, square: Floats) -> Floats:
    """Return 1 + v1 r^2 + v2 r^4 + v3 r^6 [...] of squared radii [...]."""
    first, second, third = vignetting
    return 1 + square * (first + square * (second + square * third))


def magnified(shift: tuple[float, float], square: Floats) -> Floats:
    """Return 1 + c1 + c2 r^2 [...]: by how much farther out a channel lies than green, of green's squared radii [...]."""
    return 1 + shift[0] + shift[1] * square


def shrunk(shift: tuple[float, float], square: Floats) -> Floats:
    """Return the inverse: by what the place of a channel, of squared radii [...], is to be multiplied to find green's."""
    factor: Floats = np.ones_like(square)
    for _ in range(_ROUNDS):  # a fixed point that contracts by a hundredth a round
        factor = 1 / magnified(shift, square * factor * factor)
    return factor
