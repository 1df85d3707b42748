"""Fine detail of a frame: edges that lens and interpolation soften are raised, what is no larger than the noise is calmed.

A frame is its blur plus a residual. Sampling it bilinearly costs the residual; raised beforehand, it survives, at a sixth of what
bicubic sampling takes. Residuals the size of the frame's own noise are mostly noise and are lowered instead (coring).
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_CALMED, _RAISED = 0.3, 1.8
"""What residuals far below and far above the noise are multiplied by."""

_TURN = 3.0
"""Standard deviations of the noise at which a residual is halfway between the two."""

_MOST = 16
"""Grey levels by which a residual is changed at most: no halos."""

_LEAST_NOISE = 0.3
_TILE = 48


def table(frame: Image, gain: float, strength: float) -> NDArray[np.uint8] | None:
    """Return what `refined` needs to know of a frame uint8 [h, w, 3] whose light is about to be multiplied by `gain`; None at strength 0."""
    return _changes(gain * noise(frame), strength) if strength else None


def refined(part: Image, own: slice, changes: NDArray[np.uint8]) -> Image:
    """Return the rows `own` of a part uint8 [h, w, 3], which has a row more on either side, with edges raised and noise calmed."""
    residual = part[own] - cv2.GaussianBlur(part, (3, 3), 0)[own]  # modulo 256: the table reads it as signed
    return np.asarray(cv2.addWeighted(part[own], 1, cv2.LUT(residual, changes), 1, -_MOST), np.uint8)


def _changes(sigma: float, strength: float) -> NDArray[np.uint8]:
    """Return by how much a pixel changes, `_MOST` standing for nothing, by its residual modulo 256: uint8 [256].

    A residual beyond ±127, next to a lone pixel, is taken for its opposite: the change is bounded all the same.
    """
    residual = np.arange(256).astype(np.uint8).view(np.int8).astype(np.float64)
    square = (residual / (_TURN * max(sigma, _LEAST_NOISE))) ** 2
    factor = _CALMED + (_RAISED - _CALMED) * square / (1 + square)
    change = np.clip(strength * (factor - 1) * residual, -_MOST, _MOST)
    return np.rint(_MOST + change).astype(np.uint8)


def noise(frame: Image) -> float:
    """Return the standard deviation of the residual where the frame is flattest: the lower quartile over a sample of tiles."""
    spreads = [
        float(cv2.meanStdDev(cv2.subtract(tile, cv2.GaussianBlur(tile, (3, 3), 0), dtype=cv2.CV_16S))[1].mean())
        for tile in _tiles(frame)
    ]
    return float(np.percentile(spreads, 25)) if spreads else 0.0


def _tiles(frame: Image) -> Iterator[Image]:
    height, width = frame.shape[:2]
    for row in np.linspace(0, height - _TILE, 8).astype(int).clip(0):
        for column in np.linspace(0, width - _TILE, 5).astype(int).clip(0):
            yield frame[row : row + _TILE, column : column + _TILE]
