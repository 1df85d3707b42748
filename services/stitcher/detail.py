"""Fine detail of a frame: edges that lens and interpolation soften are raised, what is no larger than the noise is calmed.

Luma is its blur plus a residual. Sampling it bilinearly costs the residual; raised beforehand, it survives, at a sixth of what
bicubic sampling takes. Residuals the size of the frame's own noise are mostly noise and are lowered instead (coring).

Colour is off at every size and not only at the finest, for a camera's JPEG keeps a quarter of its pixels, and those coarsely. So it is
calmed at half the size, where it was kept, against a wider blur, and without luma, which would show it. An edge between two colours
is many times as large as that noise and stays as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

MARGIN = 8
"""Pixels round a part on which its own depend."""

_CALMED, _RAISED = 0.2, 1.6
"""What residuals of luma far below and far above the noise are multiplied by."""

_TURN = 3.0
"""Standard deviations of the noise at which a residual is halfway between the two."""

_COLOUR_TURN = 5.0
"""Standard deviations of colour's noise at which half of a difference from its blur is kept."""

_COLOUR_SHARE = 0.35
"""Of luma's noise, colour's is at most: JPEG leaves less of it. What is more is a picture's own."""

_MOST = 16
"""Grey levels by which luma is changed at most: no halos."""

_BLUR, _RIM = (5, 5), 2
_COLOUR_BLUR = (7, 7)
_LEAST_NOISE = 0.3
_LEAST_COLOUR_NOISE = 0.02
"""Next to nothing: a frame without noise keeps its colours."""

_TILE = 48

_SIGN = np.uint8(128)
_NEUTRAL = 64
_FINE, _FINER = 2, 8
"""Parts of a grey level in which colours and their changes are counted: in whole ones, rounding would be half of the noise."""

_TO_COLOUR = np.array([[0.5, -0.419, -0.081, 64], [-0.169, -0.331, 0.5, 64], [0, 0, 0, 0]]) * _FINE
"""From RGB to red and blue less luma, as JPEG scales them, 128 for grey. Colours beyond a quarter of the range are cut off: so strong, they show no noise."""

_WEIGHTS = np.array([[1.402, 0, 0], [-0.714, -0.344, 0], [0, 1.772, 0]]) / _FINER
_TO_RGB = np.column_stack([_WEIGHTS, _NEUTRAL - 128 * _WEIGHTS.sum(axis=1)])
"""From changes of the two, 128 for none, to those of RGB, `_NEUTRAL` for none."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations of residuals where a frame is flattest, in grey levels: of luma, and of colour at half the size."""

    luma: float
    colour: float


@dataclass(frozen=True, slots=True)
class Manner:
    """How a frame is refined: what to change by residuals, uint8 [256] each; see `_changes` and `_colour_changes`."""

    luma: NDArray[np.uint8]
    colour: NDArray[np.uint8]


def manner(frame: Image, gain: float, strength: float) -> Manner | None:
    """Return how to refine a frame uint8 [h, w, 3] whose light is about to be multiplied by `gain`; None at strength 0."""
    if not strength:
        return None
    found = noise(frame)
    colour = min(max(found.colour, _LEAST_NOISE), _COLOUR_SHARE * found.luma)
    return Manner(_changes(gain * found.luma, strength), _colour_changes(gain * colour, strength))


def refine(target: Image, part: Image, how: Manner) -> None:
    """Fill a target uint8 [h, w, 3] by a part that has a `MARGIN` more on every side, and one pixel more where h or w is odd.

    Residuals and changes are signed, modulo 256. Pixels less 128 are signed as well, so that they saturate at black and white.
    """
    change = np.asarray(cv2.cvtColor(_luma(part, how), cv2.COLOR_GRAY2RGB), np.uint8)
    height, width = change.shape[:2]
    pairs = change.reshape(height // 2, 2, width, 3)
    pairs += _colour(part, how)[:, None]
    signed = (part[MARGIN:-MARGIN, MARGIN:-MARGIN] ^ _SIGN).view(np.int8)
    refined = np.asarray(cv2.add(signed, change.view(np.int8)), np.int8).view(np.uint8)
    np.bitwise_xor(refined[: target.shape[0], : target.shape[1]], _SIGN, out=target)


def _luma(part: Image, how: Manner) -> Image:
    """Return by how much luma changes, [h, w], less the `_NEUTRAL` that colour's change has too much."""
    near = slice(MARGIN - _RIM, _RIM - MARGIN)
    luma = np.asarray(cv2.cvtColor(part[near, near], cv2.COLOR_RGB2GRAY), np.uint8)
    own = np.s_[_RIM:-_RIM, _RIM:-_RIM]
    residual = luma[own] - np.asarray(cv2.GaussianBlur(luma, _BLUR, 0), np.uint8)[own]
    return np.asarray(cv2.LUT(residual, how.luma), np.uint8)


def _colour(part: Image, how: Manner) -> Image:
    """Return by how much every two rows change in red, green and blue for the sake of colour, [h / 2, w, 3], `_NEUTRAL` for nothing."""
    half = np.asarray(cv2.transform(_halved(part), _TO_COLOUR), np.uint8)
    residual = half - np.asarray(cv2.blur(half, _COLOUR_BLUR), np.uint8)
    rim = MARGIN // 2
    own = np.ascontiguousarray(residual[rim:-rim, rim - 1 : 1 - rim])
    change = cv2.transform(cv2.LUT(own, how.colour), _TO_RGB)
    return np.asarray(cv2.resize(change, None, fx=2, fy=1, interpolation=cv2.INTER_LINEAR)[:, 2:-2], np.uint8)


def _halved(image: Any) -> Any:
    return cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _residuals() -> NDArray[np.float64]:
    """Return what 0 to 255 mean as residuals. One beyond ±127, next to a lone pixel, is taken for its opposite: changes are bounded."""
    return np.arange(256).astype(np.uint8).view(np.int8).astype(np.float64)


def _changes(sigma: float, strength: float) -> Image:
    """Return by how much luma changes, less `_NEUTRAL`, by its residual, both modulo 256: uint8 [256]."""
    residual = _residuals()
    square = (residual / (_TURN * max(sigma, _LEAST_NOISE))) ** 2
    factor = _CALMED + (_RAISED - _CALMED) * square / (1 + square)
    change = np.clip(strength * (factor - 1) * residual, -_MOST, _MOST)
    return (np.rint(change) - _NEUTRAL).astype(np.int8).view(np.uint8)


def _colour_changes(sigma: float, strength: float) -> Image:
    """Return by how many `_FINER`ths of a grey level colour changes, 128 for nothing, by its residual modulo 256: uint8 [256]."""
    residual = _residuals() / _FINE
    change = -residual / (1 + (residual / (_COLOUR_TURN * max(sigma, _LEAST_COLOUR_NOISE))) ** 2)
    return np.rint(128 + np.clip(_FINER * strength * change, -127, 127)).astype(np.uint8)


def noise(frame: Image) -> Noise:
    """Return the noise where the frame is flattest: the lower quartile over a sample of tiles."""
    return Noise(*np.percentile([_spreads(tile) for tile in _tiles(frame)], 25, axis=0).tolist())


def _spreads(tile: Image) -> tuple[float, float]:
    luma = np.asarray(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), np.float32)
    half = np.asarray(cv2.transform(_halved(tile), _TO_COLOUR), np.float32) / _FINE
    residual, colour = (plane - cv2.GaussianBlur(plane, _BLUR, 0) for plane in (luma, half))
    return float(residual.std()), float(cv2.meanStdDev(colour)[1][:2].mean())


def _tiles(frame: Image) -> Iterator[Image]:
    height, width = frame.shape[:2]
    for row in np.linspace(0, height - _TILE, 8).astype(int).clip(0):
        for column in np.linspace(0, width - _TILE, 5).astype(int).clip(0):
            yield frame[row : row + _TILE, column : column + _TILE]
