"""Regions of a picture that hold something identifiable, and arithmetic on them that knows a panorama has no left and no right edge.

Coordinates are those of `views`: continuous pixels; in a panorama x0 lies in [0, W) and x1 may exceed W, by no more than W.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.messages import PanoramaBox
from panoveil.contracts.review import Marked
from panoveil.detection import Kind

LEAST_MARGIN = 3.0
"""Pixels: what JPEG's blocks and subsampled colours may have carried out of a tight box."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A picture's size in pixels, and whether its left and right edges are one."""

    width: int
    height: int
    wraps: bool

    @classmethod
    def of(cls, picture: NDArray[np.uint8], *, panorama: bool) -> Self:
        """Take the size from uint8 [H, W, 3]."""
        return cls(picture.shape[1], picture.shape[0], panorama)

    @property
    def turns(self) -> tuple[int, ...]:
        """By how many pixels a region may be moved and still be the same."""
        return (-self.width, 0, self.width) if self.wraps else (0,)


@dataclass(frozen=True, slots=True)
class Region:
    """A detection: class, score, and box in continuous pixels of the picture."""

    kind: Kind
    score: float
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return max(self.x1 - self.x0, 0.0) * max(self.y1 - self.y0, 0.0)

    def moved(self, turn: float) -> Self:
        """Return the region `turn` pixels further right."""
        return replace(self, x0=self.x0 + turn, x1=self.x1 + turn)

    def overlap(self, other: "Region") -> float:
        """Square pixels that both cover, without wrapping."""
        across = min(self.x1, other.x1) - max(self.x0, other.x0)
        down = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(across, 0.0) * max(down, 0.0)

    def union(self, other: "Region") -> Self:
        """Return the smallest region that holds both, with the better score."""
        return replace(
            self,
            score=max(self.score, other.score),
            x0=min(self.x0, other.x0), y0=min(self.y0, other.y0), x1=max(self.x1, other.x1), y1=max(self.y1, other.y1),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rect:
    """Whole pixels [x0, x1) x [y0, y1); x1 may exceed the width of a picture that wraps."""

    x0: int
    y0: int
    x1: int
    y1: int

    def of(self, region: Region) -> Region:
        """Return the region as it was obfuscated: its kind and score, these pixels."""
        return replace(region, x0=float(self.x0), y0=float(self.y0), x1=float(self.x1), y1=float(self.y1))

    def pieces(self, width: int) -> Iterator[tuple[slice, slice]]:
        """Yield (rows, columns) that index the picture: two of them where the rectangle crosses the edge."""
        rows = slice(self.y0, self.y1)
        yield rows, slice(self.x0, min(self.x1, width))
        if self.x1 > width:
            yield rows, slice(0, self.x1 - width)


def fitted(region: Region, extent: Extent) -> Region:
    """Return the region inside the picture: cut off above, below and, without wrap, at the sides."""
    shift = math.floor(region.x0 / extent.width) * extent.width if extent.wraps else 0
    moved = region.moved(-shift)
    right = moved.x0 + extent.width if extent.wraps else float(extent.width)
    x0, x1 = (min(max(x, 0.0), right) for x in (moved.x0, moved.x1))
    y0, y1 = (min(max(y, 0.0), float(extent.height)) for y in (moved.y0, moved.y1))
    return replace(moved, x0=x0, y0=y0, x1=x1, y1=y1)


def grown(region: Region, margin: float, extent: Extent, unit: tuple[int, int] = (1, 1)) -> Rect:
    """Return the pixels to obfuscate: the region and, on each side, `margin` of its side; never less than `LEAST_MARGIN`.

    `unit` is the (across, down) of the MCUs of the JPEG that the picture was decoded from. Coding smears an object over every MCU it
    touches, and decoding over one pixel beyond: too little to see, enough for a reader who has learnt to. Those are obfuscated too.
    """
    across = max((region.x1 - region.x0) * margin, LEAST_MARGIN)
    down = max((region.y1 - region.y0) * margin, LEAST_MARGIN)
    inside = fitted(region, extent)
    wide = replace(inside, x0=inside.x0 - across, x1=inside.x1 + across, y0=inside.y0 - down, y1=inside.y1 + down)
    wide = wide.union(_smeared(inside, extent, unit))
    if extent.wraps and wide.x1 - wide.x0 >= extent.width:
        wide = replace(wide, x0=0.0, x1=float(extent.width))
    inside = fitted(wide, extent)
    return Rect(math.floor(inside.x0), math.floor(inside.y0), math.ceil(inside.x1), math.ceil(inside.y1))


def _smeared(inside: Region, extent: Extent, unit: tuple[int, int]) -> Region:
    """Return the MCUs that a region inside the picture touches, and a pixel more; the grid starts anew at a panorama's edge."""
    across, down = unit
    turns = extent.width if inside.x1 > extent.width else 0
    x1 = turns + across * math.ceil((inside.x1 - turns) / across)
    x0, y0, y1 = across * math.floor(inside.x0 / across), down * math.floor(inside.y0 / down), down * math.ceil(inside.y1 / down)
    return replace(inside, x0=x0 - 1.0, y0=y0 - 1.0, x1=(x1 if turns else min(x1, extent.width)) + 1.0, y1=y1 + 1.0)


def mask(rects: tuple[Rect, ...], extent: Extent) -> NDArray[np.bool_]:
    """Return bool [H, W], true where some rectangle lies."""
    covered = np.zeros((extent.height, extent.width), np.bool_)
    for rect in rects:
        for piece in rect.pieces(extent.width):
            covered[piece] = True
    return covered


def enclosing(region: Region, extent: Extent) -> Rect:
    """Return the whole pixels of the picture that a region touches."""
    inside = fitted(region, extent)
    return Rect(math.floor(inside.x0), math.floor(inside.y0), math.ceil(inside.x1), math.ceil(inside.y1))


def coverage(region: Region, covered: NDArray[np.bool_], extent: Extent) -> float:
    """Return the share of a region's pixels that the mask covers; 1 for a region without a pixel."""
    pieces = [covered[piece] for piece in enclosing(region, extent).pieces(extent.width)]
    pixels = sum(piece.size for piece in pieces)
    return sum(int(piece.sum()) for piece in pieces) / pixels if pixels else 1.0


def to_box(region: Region, extent: Extent) -> PanoramaBox:
    """Return a region of a panorama as a message carries it: degrees, wrapping at ±180°."""
    west, east = (_degrees(x, extent.width) for x in (region.x0, region.x1))
    if region.x1 - region.x0 >= extent.width:
        west, east = -180.0, 180.0
    north, south = (90 - y / extent.height * 180 for y in (region.y0, region.y1))
    return PanoramaBox(
        kind=region.kind, score=min(max(region.score, 0.0), 1.0),
        west=round(west, 4), east=round(east, 4), south=round(max(south, -90), 4), north=round(min(north, 90), 4),
    )  # fmt: skip


def from_box(box: PanoramaBox, extent: Extent) -> Region:
    """Return a message's box as a region of a panorama."""
    x0, x1 = ((angle / 360 + 0.5) * extent.width for angle in (box.west, box.east))
    y0, y1 = ((0.5 - angle / 180) * extent.height for angle in (box.north, box.south))
    return fitted(Region(box.kind, box.score, x0, y0, x1 + (extent.width if box.east < box.west else 0), y1), extent)


def from_mark(box: Marked, extent: Extent) -> Region:
    """Return what a person marked as a region of a panorama; a person is sure."""
    return from_box(PanoramaBox(**box.model_dump(), score=1.0), extent)


def within(region: Region, other: Region, extent: Extent) -> float:
    """Return the share of a region's area that lies in another one, moved round the panorama if need be; 0 for one without area."""
    inside = fitted(region, extent)
    shared = max(inside.moved(turn).overlap(other) for turn in extent.turns)
    return shared / inside.area if inside.area else 0.0


def _degrees(x: float, width: int) -> float:
    return (x / width % 1 - 0.5) * 360
