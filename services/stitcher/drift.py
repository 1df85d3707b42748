"""Whether a lens still looks where the rig says: what neighbours see in common is held against each other, and small turns are solved for.

Every overlap holds fixed windows: small squares of the tangent plane, sampled through both lenses where the proxy surface puts what
they show. How far the second picture is shifted against the first is measured by Lucas-Kanade in the frequency domain (Baker &
Matthews 2004: gradients of one picture, the other shifted) from a start that all windows of the overlap vote for by phase
correlation (Kuglin & Hines 1975). Along the line between two lenses a shift may be parallax of what is nearer or farther than the
proxy; across it only a turn can shift. So each shift counts with what its picture and its depth leave sure, and turns of all lenses
(rotation vectors in the rig frame, radians) are solved for at once, robustly.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import lenses
from services.stitcher import proxy

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]

SIDE = 32
"""Pixels of a window; a power of two, for the Fourier transform."""

FINEST = np.radians(0.12)
"""Radians a window's pixel, or more where the lenses are coarser."""

_WINDOWS = 12
"""Windows an overlap at most."""

_UNSURE_NEARNESS = 0.06
"""One over metres, one sigma: what stands above the road is at 15 metres, give or take all there is."""

_UNSURE_ROAD = 0.15
"""Share by which the road's nearness is unsure: kerbs, slopes and what stands on it."""

_NOISE = 0.35
"""Pixels by which a shift of a picture with average contrast is wrong, one sigma; what is steady in a window, such as depth, too."""

_SPREAD = np.radians(2.0)
"""What a turn is expected to be at most, one sigma: keeps lenses in place of which little is known."""


@dataclass(frozen=True, slots=True)
class Glass:
    """How a window is cut from a lens's frame: the box (x0, y0, x1, y1), shrunk to `size` (w, h), sampled at `map` float32 [S, S, 2]."""

    lens: int
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    map: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a rig: `glasses` pairs of them, `pair` int [P] the overlap, `turn` float64 [P, 2, 3L] shift in pixels by radian of turn.

    `parallax` float64 [P, 2] is one sigma of the shift by depth, in pixels, along its direction.
    """

    lenses: int
    step: float
    glasses: tuple[tuple[Glass, Glass], ...]
    pair: NDArray[np.intp]
    turn: NDArray[np.float64]
    parallax: NDArray[np.float64]
