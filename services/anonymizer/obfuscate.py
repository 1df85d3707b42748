"""Obfuscation without content: what is inside a region is never read, so nothing of it can be in the result.

Each rectangle is filled from the colours round it, known pixels only, coarse to fine (pull-push); then, for looks, the *outside* of
its edge is softened. A blur would be a function of what it hides, and such functions have been inverted: plates are readable through
Gaussian blurs and mosaics, faces re-identified. A fill from outside leaves nothing to invert.

`mosaic_noise` and `blur` are here for those who must look like others do. They read what they hide, and leak some of it;
`python -m benchmarks.anonymizer --sections attack` measures how much.
"""

from collections.abc import Callable
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import Obfuscator
from services.anonymizer.regions import Extent, Rect, mask

Picture = NDArray[np.uint8]
Colours = NDArray[np.float32]
Mask = NDArray[np.bool_]

_GREY = 114.0
_FEATHER = 4
_CELLS = 64
_SOFT = 2.0


_NOISE = 20.0
"""Standard deviation of a mosaic's noise, in grey levels."""

_BLUR = 0.5
"""Standard deviation of a blur, as a share of the rectangle's shorter side."""


def obfuscated(picture: Picture, rects: tuple[Rect, ...], style: Obfuscator, extent: Extent) -> Picture:
    """Return a copy of uint8 [H, W, 3] in which the pixels of `rects` are obfuscated. Outside, at most 4 pixels from an edge change.

    `inpaint` continues the surroundings smoothly, `fill` takes their mean: neither depends on any pixel inside a rectangle.
    `mosaic_noise` gives the mean colours of cells as large as the rectangle's shorter side, changed by random noise, another one at
    every call: coarse colours remain (the part of a plate that is blue, skin or mask). `blur` gives a Gaussian blur as wide as half of
    the shorter side: large digits and the layout of a face remain readable to somebody who has learnt to.
    """
    result = picture.copy()
    _hide(picture, result, rects, style, extent)
    return result


def obfuscated_units(
    picture: Picture, rects: tuple[Rect, ...], style: Obfuscator, extent: Extent, unit: tuple[int, int]
) -> tuple[Picture, Mask]:
    """Return the same for who needs nothing but what changes: a picture, and which of its units of (across, down) pixels may have.

    Units are bool [rows, columns]; they hold the rectangles and what is softened round them. The picture is black elsewhere, and no
    memory is spent on it there.
    """
    across, down = unit
    units = np.zeros((-(-extent.height // down), -(-extent.width // across)), np.bool_)
    result = np.zeros(picture.shape, np.uint8)  # not zeros_like, which writes its zeros
    for rect in rects:
        for rows, columns in _ringed(rect, _FEATHER, extent).pieces(extent.width):
            units[rows.start // down : -(-rows.stop // down), columns.start // across : -(-columns.stop // across)] = True
        window = _ringed(rect, 2 * _FEATHER + max(unit), extent)
        _put(result, window, _taken(picture, window))
    _hide(picture, result, rects, style, extent)
    return result, units


def _hide(picture: Picture, result: Picture, rects: tuple[Rect, ...], style: Obfuscator, extent: Extent) -> None:
    hidden = mask(rects, extent)
    for rect in rects:
        _FILLS[style](picture, hidden, result, rect, extent)
    for rect in rects:
        _feather(hidden, result, rect, extent)


def _inpaint(picture: Picture, hidden: Mask, result: Picture, rect: Rect, extent: Extent) -> None:
    _fill_from_outside(picture, hidden, result, rect, extent, _continued)


def _fill(picture: Picture, hidden: Mask, result: Picture, rect: Rect, extent: Extent) -> None:
    _fill_from_outside(picture, hidden, result, rect, extent, _mean)


def _fill_from_outside(
    picture: Picture,
    hidden: Mask,
    result: Picture,
    rect: Rect,
    extent: Extent,
    filling: Callable[[Colours, NDArray[np.float32]], Colours],
) -> None:
    window = _surroundings(hidden, rect, extent)
    known = (~_taken(hidden, window)).astype(np.float32)
    _put(
        result, rect, _inside(filling(_taken(picture, window).astype(np.float32) * known[..., None], known), window, rect, extent)
    )


def _mosaic(picture: Picture, _hidden: Mask, result: Picture, rect: Rect, _extent: Extent) -> None:
    colours = _taken(picture, rect).astype(np.float32)
    height, width = colours.shape[:2]
    side = max(1, min(height, width))
    cells = _resized(colours, (max(1, width // side), max(1, height // side)), cv2.INTER_AREA)
    # From the system's entropy: noise that can be computed again can be subtracted.
    noisy = cells + np.random.default_rng().normal(0, _NOISE, cells.shape).astype(np.float32)
    _put(result, rect, _whole(_resized(noisy, (width, height), cv2.INTER_NEAREST)))


def _blur(picture: Picture, _hidden: Mask, result: Picture, rect: Rect, extent: Extent) -> None:
    side = min(rect.x1 - rect.x0, rect.y1 - rect.y0)
    window = _ringed(rect, side, extent)
    colours = _taken(picture, window).astype(np.float32)
    height, width = colours.shape[:2]
    cell = max(1, side // _CELLS)
    small = _resized(colours, (width // cell, height // cell), cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(_BLUR * side / cell, 0.5), borderType=cv2.BORDER_REPLICATE)
    wide = _resized(np.asarray(soft, np.float32), (width, height), cv2.INTER_LINEAR)
    _put(result, rect, _inside(wide, window, rect, extent))


_FILLS: dict[Obfuscator, Callable[[Picture, Mask, Picture, Rect, Extent], None]] = {
    "inpaint": _inpaint,
    "fill": _fill,
    "mosaic_noise": _mosaic,
    "blur": _blur,
}


def _inside(colours: Colours, window: Rect, rect: Rect, extent: Extent) -> Picture:
    top, left = rect.y0 - window.y0, (rect.x0 - window.x0) % extent.width
    return _whole(colours[top : top + rect.y1 - rect.y0, left : left + rect.x1 - rect.x0])


def _whole(colours: Colours) -> Picture:
    return colours.round().clip(0, 255).astype(np.uint8)


def _surroundings(hidden: Mask, rect: Rect, extent: Extent) -> Rect:
    """Return the rectangle with a ring round it, wide enough to hold something known wherever there is anything."""
    ring = min(max(8, (rect.y1 - rect.y0) // 3), 64)
    window = _ringed(rect, ring, extent)
    while ring < max(extent.width, extent.height) and _taken(hidden, window).all():
        ring *= 2
        window = _ringed(rect, ring, extent)
    return window


def _ringed(rect: Rect, ring: int, extent: Extent) -> Rect:
    y0, y1 = max(rect.y0 - ring, 0), min(rect.y1 + ring, extent.height)
    if not extent.wraps:
        return Rect(max(rect.x0 - ring, 0), y0, min(rect.x1 + ring, extent.width), y1)
    width = min(rect.x1 - rect.x0 + 2 * ring, extent.width)
    x0 = (rect.x0 - ring) % extent.width if width < extent.width else rect.x0
    return Rect(x0, y0, x0 + width, y1)


def _taken(array: NDArray[Any], window: Rect) -> NDArray[Any]:
    pieces = [array[piece] for piece in window.pieces(array.shape[1])]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)


def _put(picture: Picture, window: Rect, values: Picture) -> None:
    at = 0
    for rows, columns in window.pieces(picture.shape[1]):
        picture[rows, columns] = values[:, at : at + columns.stop - columns.start]
        at += columns.stop - columns.start


def _mean(colours: Colours, known: NDArray[np.float32]) -> Colours:
    total = float(known.sum())
    mean = colours.sum(axis=(0, 1)) / total if total else np.full(3, _GREY)
    return np.broadcast_to(mean.astype(np.float32), colours.shape)


def _continued(colours: Colours, known: NDArray[np.float32]) -> Colours:
    """Return the surroundings continued over everything: means of the known, coarse to fine, smoothed, at 64 cells a side at most."""
    height, width = known.shape
    cell = max(1, min(height, width) // _CELLS)
    means, some = _pulled(colours, known, (width // cell, height // cell))
    smooth = cv2.GaussianBlur(_pulled_and_pushed(means, some), (0, 0), _SOFT, borderType=cv2.BORDER_REPLICATE)
    return _resized(np.asarray(smooth, np.float32), (width, height), cv2.INTER_CUBIC)


def _pulled(colours: Colours, known: NDArray[np.float32], size: tuple[int, int]) -> tuple[Colours, NDArray[np.float32]]:
    """Return the means of the known colours in every cell of a coarser grid, and which cells have any."""
    weight = _resized(known, size, cv2.INTER_AREA)
    some = (weight > 0).astype(np.float32)
    means = _resized(colours, size, cv2.INTER_AREA) / np.maximum(weight, 1e-6)[..., None] * some[..., None]
    return np.asarray(means, np.float32), some


def _pulled_and_pushed(colours: Colours, known: NDArray[np.float32]) -> Colours:
    if known.all():
        return colours
    height, width = known.shape
    if height * width == 1 or not known.any():
        return np.full_like(colours, _GREY)
    means, some = _pulled(colours, known, ((width + 1) // 2, (height + 1) // 2))
    coarse = _resized(_pulled_and_pushed(means, some), (width, height), cv2.INTER_LINEAR)
    return np.where(known[..., None] > 0, colours, coarse)


def _resized(array: NDArray[np.float32], size: tuple[int, int], how: int) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", cv2.resize(array, size, interpolation=how))


def _feather(hidden: Mask, result: Picture, rect: Rect, extent: Extent) -> None:
    """Blend the pixels just outside an edge with a blur of what is there now: the fill, and the surroundings."""
    window = _ringed(rect, 2 * _FEATHER, extent)
    inside = _taken(hidden, window)
    now = _taken(result, window).astype(np.float32)
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    weight = np.clip(1 - distance / (_FEATHER + 1), 0, 1)[..., None] * ~inside[..., None]
    soft = cv2.GaussianBlur(now, (0, 0), _FEATHER / 2, borderType=cv2.BORDER_REPLICATE)
    _put(result, window, _whole(now + (soft - now) * weight))


def share(rects: tuple[Rect, ...], extent: Extent) -> float:
    """Return the share of the picture's pixels that is obfuscated."""
    return np.count_nonzero(mask(rects, extent)) / (extent.width * extent.height) if rects else 0.0
