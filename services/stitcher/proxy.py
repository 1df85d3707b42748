"""The proxy surface: what the world is taken to look like, so that lenses at different places agree on where a ray ends."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_STEEPEST = 0.25
"""The cylinder is closed by a dome at four times its radius: walls do not rise for ever."""


def points(rays: Floats, height: float, distance: float) -> Floats:
    """Return where unit rays [..., 3] from the rig's origin end, [..., 3] in the rig frame, metres.

    Rays end on the road, a plane `height` metres below the origin, or on a vertical cylinder of radius `distance`, whichever is nearer.
    """
    level = np.hypot(rays[..., 0], rays[..., 2])
    to_wall = distance / np.maximum(level, _STEEPEST)
    to_road = height / np.maximum(rays[..., 1], 1e-6)
    reach: Floats = np.minimum(to_wall, to_road)
    return rays * reach[..., None]
