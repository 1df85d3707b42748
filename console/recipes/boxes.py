"""Boxes in panorama angles compared: which of one set have no like in another, and how much of a picture a set covers.

A box may wrap round ±180°: then its `west` is greater than its `east`. Areas are degrees of yaw times degrees of pitch, so shares of
the picture's pixels.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from panoveil.contracts.messages import PanoramaBox

LIKE = 0.3
"""Intersection over union from which two boxes of a kind are the same find. A wider margin, 0.15 to 0.5, leaves it above."""

SWALLOWED = 0.9
"""A box of which so much lies within one of the other set is not missing there, however much larger that one is."""

_AROUND, _PICTURE = 360.0, 360.0 * 180.0


def iou(one: PanoramaBox, other: PanoramaBox) -> float:
    """Return intersection over union, 0..1."""
    common = _common(one, other)
    union = _area(one) + _area(other) - common
    return common / union if union else 0.0


def without_like(boxes: Iterable[PanoramaBox], others: Sequence[PanoramaBox]) -> tuple[PanoramaBox, ...]:
    """Return the boxes for which none of the others stands."""
    return tuple(box for box in boxes if not any(_stands_for(other, box) for other in others))


def _stands_for(other: PanoramaBox, box: PanoramaBox) -> bool:
    if other.kind != box.kind:
        return False
    return iou(box, other) >= LIKE or _common(box, other) >= SWALLOWED * _area(box) > 0


def share(boxes: Sequence[PanoramaBox]) -> float:
    """Return the share of the picture that boxes cover together, 0..1."""
    pieces = [piece for box in boxes for piece in _pieces(box)]
    across = sorted({x for west, _, east, _ in pieces for x in (west, east)})
    down = sorted({y for _, south, _, north in pieces for y in (south, north)})
    covered = np.zeros((max(len(down) - 1, 0), max(len(across) - 1, 0)), np.bool_)
    for west, south, east, north in pieces:
        covered[down.index(south) : down.index(north), across.index(west) : across.index(east)] = True
    widths = np.array([right - left for left, right in pairwise(across)])
    heights = np.array([upper - lower for lower, upper in pairwise(down)])
    return float(heights @ covered @ widths) / _PICTURE if covered.size else 0.0


def width(box: PanoramaBox) -> float:
    """Return how many degrees of yaw a box spans."""
    return box.east - box.west + (_AROUND if box.east < box.west else 0.0)


def _pieces(box: PanoramaBox) -> list[tuple[float, float, float, float]]:
    if box.west <= box.east:
        return [(box.west, box.south, box.east, box.north)]
    return [(box.west, box.south, 180.0, box.north), (-180.0, box.south, box.east, box.north)]


def _area(box: PanoramaBox) -> float:
    return width(box) * max(0.0, box.north - box.south)


def _common(one: PanoramaBox, other: PanoramaBox) -> float:
    """Return the area of what two boxes share; one as wide as the circle may meet another at both its ends."""
    begins = (other.west - one.west) % _AROUND
    across = sum(max(0.0, min(width(one), start + width(other)) - max(0.0, start)) for start in (begins, begins - _AROUND))
    return across * max(0.0, min(one.north, other.north) - max(one.south, other.south))
