"""The last touch: a mild tone curve, which costs nothing because look-up tables carry it, and sharpening that makes no halos."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.pixels.spread import Spread, one_by_one

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]

_CONTRAST, _SHADOWS = 0.5, 1.0
_STRIP = 64
_MARGIN = 4
_GATE = 3
"""Grey levels of detail that are taken for noise."""

_STRONGEST = 3.0
_OVERSHOOT = 4.0
"""Grey levels by which sharpening may leave the range of a pixel's neighbours, at strength 1."""


def toned(values: Floats, tone: float) -> Floats:
    """Return grey values 0-255 [...] under a curve of strength `tone`, 0-1; at 0 they are what they were.

    y = x + tone (.5 x (1 - x) (2 x - 1) + x (1 - x)^6): black and white stay, deep shadows are lifted (a tenth of white by 17 %), the
    middle gains contrast (slope 1.17), highlights are drawn softer (slope .5 at white).
    """
    if tone == 0:
        return values
    x = np.clip(values / 255, 0, 1)
    curve = _CONTRAST * x * (1 - x) * (2 * x - 1) + _SHADOWS * x * (1 - x) ** 6
    changed: Floats = 255 * (x + tone * curve)
    return changed


def sharpened(panorama: Image, strength: float, spread: Spread = one_by_one) -> Image:
    """Return the panorama uint8 [H, W, 3] with its luma sharpened by `strength`, 0-1; columns wrap round, rows work in strips.

    An unsharp mask of 1 px: detail below a gate is left alone, and no pixel leaves the range of its 3 x 3 neighbours by more than a
    few grey levels, so edges get steeper and not haloed.
    """
    if strength == 0:
        return panorama
    result = np.empty_like(panorama)
    boost = _boost(strength)

    def sharpen(row: int) -> None:
        result[row : row + _STRIP] = _sharpened_strip(panorama, row, boost, round(_OVERSHOOT * strength))

    spread(sharpen, range(0, panorama.shape[0], _STRIP))
    return result


def _boost(strength: float) -> Image:
    """Return the look-up table uint8 [256] from a pixel's difference to its blurred neighbourhood to what is added."""
    difference = np.arange(256.0)
    added = np.clip(strength * _STRONGEST * np.maximum(difference - _GATE, 0), 0, 255)
    return np.asarray(np.rint(added), np.uint8)


def _sharpened_strip(panorama: Image, row: int, boost: Image, overshoot: int) -> Image:
    top, bottom = max(0, row - _MARGIN), min(panorama.shape[0], row + _STRIP + _MARGIN)
    own = slice(row - top, min(row + _STRIP, panorama.shape[0]) - top)
    strip = cv2.copyMakeBorder(panorama[top:bottom], 0, 0, _MARGIN, _MARGIN, cv2.BORDER_WRAP)
    luma = cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY)
    wanted = _steeper(luma, boost, overshoot)
    up, down = (cv2.cvtColor(part, cv2.COLOR_GRAY2RGB) for part in (cv2.subtract(wanted, luma), cv2.subtract(luma, wanted)))
    return np.asarray(cv2.subtract(cv2.add(strip, up), down)[own, _MARGIN:-_MARGIN], np.uint8)


def _steeper(luma: Any, boost: Image, overshoot: int) -> Any:
    """Return the luma uint8 [h, w] it should have; saturating 8-bit arithmetic throughout."""
    blurred = cv2.GaussianBlur(luma, (5, 5), 1.0)
    raised = cv2.add(luma, cv2.LUT(cv2.subtract(luma, blurred), boost))
    wanted = cv2.subtract(raised, cv2.LUT(cv2.subtract(blurred, luma), boost))
    around = np.ones((3, 3), np.uint8)
    room = np.full_like(luma, overshoot)
    highest, lowest = cv2.add(cv2.dilate(luma, around), room), cv2.subtract(cv2.erode(luma, around), room)
    return cv2.max(cv2.min(wanted, highest), lowest)
