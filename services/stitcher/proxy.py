"""The proxy surface: what the world is taken to look like, so that lenses at different places agree on where a ray ends."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_STEEPEST = 0.25
"""The cylinder is closed by a dome at four times its radius: walls do not rise for ever."""

_LEVEL = 1e-12
"""Rays that sink, or go aside, by less than this never get to the road, or to the wall."""


def points(rays: Floats, height: float, distance: float) -> Floats:
    """Return where unit rays [..., 3] from the rig's origin end, [..., 3] in the rig frame, metres.

    Rays end on the road, a plane `height` metres below the origin, or on a vertical cylinder of radius `distance`, whichever is nearer.
    """
    level = np.hypot(rays[..., 0], rays[..., 2])
    to_wall = distance / np.maximum(level, _STEEPEST)
    to_road = height / np.maximum(rays[..., 1], 1e-6)
    reach: Floats = np.minimum(to_wall, to_road)
    return rays * reach[..., None]


def exits(origins: Floats, directions: Floats, height: float, distance: float) -> Floats:
    """Return where rays [..., 3] from origins [..., 3] inside the surface leave it, [..., 3] in the rig frame, metres; any length.

    The inverse of `points` for a lens that is not at the rig's origin: what it sees along a ray is drawn in the direction of that exit.
    The inside is convex, a cylinder cut by the road and by a ball, so the nearest of the three exits is the one.
    """
    flat = np.array([1.0, 0.0, 1.0])
    sides = _sphere_exit(origins * flat, directions * flat, distance)
    dome = _sphere_exit(origins, directions, distance / _STEEPEST)
    to_road = (height - origins[..., 1]) / np.maximum(directions[..., 1], _LEVEL)
    reach: Floats = np.minimum(np.minimum(sides, dome), to_road)
    return origins + directions * np.maximum(reach, 0)[..., None]


def _sphere_exit(origins: Floats, directions: Floats, radius: float) -> Floats:
    """Return how many times `directions` it is to a sphere round the rig's origin; infinite along its axis where all is flattened."""
    square = np.sum(directions * directions, axis=-1)
    along = np.sum(origins * directions, axis=-1)
    within = np.maximum(radius**2 - np.sum(origins * origins, axis=-1), 0)
    reach: Floats = (np.sqrt(along**2 + square * within) - along) / np.maximum(square, _LEVEL)
    return np.where(square > _LEVEL, reach, np.inf)
