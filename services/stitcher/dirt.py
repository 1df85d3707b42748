"""Dirt and drops on a lens: places of its image that stay blank over a drive, while all around them something shows now and then.

Everything is looked at on the small panorama, to which a lens's pixels map one to one for a rig: the same row is the same elevation
for every lens. Detail is what a picture holds beyond its neighbourhood's mean, in logarithms of light, so that a shaded street counts
like a sunny one; over a drive its squares are averaged, for which one good look at an edge is enough. Sky and road are blank too, but
not surrounded by detail; the car itself and a fisheye's rim touch the border of what a lens sees, and never change.
A drop before the sky hides nothing and is not found.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from services.stitcher.tables import Overview

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

CELLS = 256
"""Width of the grid of cells, which are half as many down: 1.4 degrees each."""

_BLANK = 0.25
"""Share of the detail within 20 degrees below which a place is blank."""

_CONTRAST = 4.0
"""Times the detail of a stain that the cells right around it have."""

_SURROUNDED = 0.9
"""Share of the cells right around that must have it."""

_LEAST_DETAIL = 0.006
"""Detail (of logarithms) that there must be around for a place to be blank."""

_LEAST_CELLS = 9
"""Cells of the smallest stain that is told of: four degrees across."""

_STILL = 0.05
"""Deviation over the drive (of logarithms of light) below which a place does not change."""

_QUIETEST = 0.02
"""Share of the cells that show nothing but noise."""

_AROUND = 31
_TINY = 1e-3
_DARKEST = 8.0


@dataclass(frozen=True, slots=True)
class Stain:
    """A stain: its lens, the share of what the lens sees that it covers, its box (x0, y0, x1, y1) in the lens's pixels."""

    lens: int
    share: float
    box: tuple[int, int, int, int]


def light(lumas: Floats) -> NDArray[np.float32]:
    """Return the logarithm of light, float32 [L, h, w], of lumas [L, h, w] in 0-255; black counts as what noise makes of it."""
    return np.stack([cv2.log(luma + np.float32(_DARKEST)) for luma in lumas]).astype(np.float32, copy=False)


def detail(lights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the detail of the cells, float32 [L, CELLS / 2, CELLS], of logarithms of light [L, h, w]."""
    return np.stack([_cells(np.abs(one - cv2.blur(one, (3, 3)))) for one in lights])


def levels(lights: NDArray[np.float32], seen: Mask) -> NDArray[np.float32]:
    """Return the logarithm of light of the cells seen, its mean over the lens taken off, of the same [L, h, w]."""
    cells = np.stack([_cells(one) for one in lights])
    means = (cells * seen).sum(axis=(1, 2)) / np.maximum(seen.sum(axis=(1, 2)), 1)
    level: NDArray[np.float32] = (cells - means[:, None, None]).astype(np.float32)
    return level


def cells_seen(seen: Mask) -> Mask:
    """Return the cells bool [L, CELLS / 2, CELLS] that a lens sees whole, with a rim to spare, of pixels bool [L, h, w]."""
    inner = [cv2.erode(one.astype(np.uint8), np.ones((3, 3), np.uint8)) for one in seen]
    return np.stack([_cells(one.astype(np.float32)) > 0.999 for one in inner])  # noqa: PLR2004 - whole


def _cells(image: Floats) -> NDArray[np.float32]:
    return cv2.resize(image, (CELLS, CELLS // 2), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def stains(squares: Floats, changes: Floats, seen: Mask, overview: Overview) -> tuple[Stain, ...]:
    """Return the stains, the largest first.

    `squares` and `changes`, both [L, h, w] of cells, are a drive's mean of squared detail and the deviation of its light.
    """
    noise = np.quantile(squares[seen], _QUIETEST) if seen.any() else 0.0
    details = np.sqrt(np.maximum(squares - noise, 0))
    found = [
        _stain(index, part, seen[index], overview)
        for index, own in enumerate(details)
        for part in _blank(own, seen[index])
        if _stands_out(part, own, seen[index]) and not _is_fixed(part, seen[index], changes[index])
    ]
    return tuple(sorted(found, key=lambda stain: -stain.share))


def _blank(own: Floats, seen: Mask) -> list[Mask]:
    """Return the connected blank parts that are large enough, frayed rims and bridges of a cell taken off."""
    expected = _around(own, seen)
    blank = seen & (own < _BLANK * expected) & (expected > _LEAST_DETAIL)
    opened = cv2.morphologyEx(blank.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    return [labels == number for number in range(1, count) if stats[number, cv2.CC_STAT_AREA] >= _LEAST_CELLS]


def _stands_out(part: Mask, own: Floats, seen: Mask) -> bool:
    """Whether what the lens sees right around holds much more detail, on all sides."""
    ring = _grown(part, 7) & ~_grown(part, 3) & seen
    return bool(ring.any() and np.mean(own[ring] > _CONTRAST * max(float(np.median(own[part])), _TINY)) > _SURROUNDED)


def _grown(part: Mask, by: int) -> Mask:
    return np.asarray(cv2.dilate(part.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (by, by))) > 0)


def _around(own: Floats, seen: Mask) -> Floats:
    """Return the mean detail [h, w] of what the lens sees within 20 degrees; columns wrap round."""
    pad = _AROUND // 2
    weight = np.pad(seen.astype(np.float32), ((0, 0), (pad, pad)), mode="wrap")
    total = np.pad((own * seen).astype(np.float32), ((0, 0), (pad, pad)), mode="wrap")
    size = (_AROUND, _AROUND)
    mean: Floats = cv2.blur(total, size) / np.maximum(cv2.blur(weight, size), 1e-6)
    return mean[:, pad:-pad]


def _is_fixed(part: Mask, seen: Mask, change: Floats) -> bool:
    """Whether it is the car, or the rim of the lens's image: at the border of what the lens sees, and never another light."""
    return bool((_grown(part, 3) & ~seen).any() and np.median(change[part]) < _STILL)


def _stain(index: int, part: Mask, seen: Mask, overview: Overview) -> Stain:
    height, width = overview.seen.shape[1:]
    whole = cv2.resize(part.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    places = (overview.maps[index][whole] + 0.5) * overview.shrink[index]
    low, high = np.floor(places.min(axis=0)).astype(int).tolist(), np.ceil(places.max(axis=0)).astype(int).tolist()
    areas = np.cos((0.5 - (np.arange(len(part)) + 0.5) / len(part)) * np.pi)[:, None]
    return Stain(index, float((areas * part).sum() / (areas * seen).sum()), (max(0, low[0]), max(0, low[1]), high[0], high[1]))
