"""What was found in a lens's frame, carried to where the panorama shows it.

The stitcher draws what a lens sees along a ray where that ray leaves the proxy surface, however far away it really is. So the lens
that found an object says exactly where it draws it itself. A neighbour draws the same object somewhere along a short arc, for it
sees it from another place: the arc runs over every distance that a face or plate of this size can have, from 1.5 metres to the
horizon or the road. In best mode things are drawn towards where the rig's centre sees them, another arc that is added to both. Each lens that draws there at all adds one region. Who draws where is known in the rig frame; a panorama that is
turned against it shows the same directions elsewhere, so outlines are turned before a rectangle is laid round them.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Lens, Rig
from panoveil.detection import Kind
from panoveil.pixels import equirect, lenses
from services.stitcher import proxy
from services.stitcher.level import Turn
from services.stitcher.tables import Tables

Floats = NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]
Rings = Sequence[Floats]

NEAREST = 1.5
"""Metres from a lens: nothing identifiable is nearer."""

SMALLEST = 0.08
"""Metres from corner to corner that a face or plate has at least, half turned away: what looks small is not near."""

LARGEST: dict[Kind, float] = {"face": 0.45, "plate": 0.8}
"""Metres from corner to corner that a box round a face or plate has at most, loosely drawn: what looks larger is none."""

_DISTANCES = 6
_STEPS = 8
_SLACK = 0.02
"""Share of a region's side that is added at each end: what bulges out between two samples."""

_SLOPE = 1.5
"""A street that falls away has its surface this many times as far as a level one."""

_LEAST_CLEARANCE = 0.1
_BORDER = 2.0
"""Pixels from a frame's border within which a box is taken to be cut off by it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A rectangle of the panorama, radians: west in [-pi, pi), east from west on and at most a whole turn further."""

    west: float
    east: float
    south: float
    north: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a rig is drawn: bool [L, h, w] are where on a small panorama each lens has a share, and where it has not the whole.

    Both are a pixel's breadth more than less.
    """

    rig: Rig
    recipe: StitchRecipe
    drawn: NDArray[np.bool_]
    shared: NDArray[np.bool_]

    @classmethod
    def of(cls, rig: Rig, recipe: StitchRecipe, tables: Tables) -> "Drawing":
        """Take the shares from the rig's tables."""
        shares = tables.overview.shares
        others = shares.sum(axis=0) - shares
        drawn = np.stack([_widened(share > 0) for share in shares])
        return cls(rig, recipe, drawn, np.stack([_widened(pair > 0) for pair in np.minimum(shares, others)]))

    def exits(self, lens: Lens, rays: Floats) -> Floats:
        """Return points [..., 3] of the proxy surface, rig frame, that rays [..., 3] from the lens's centre meet."""
        place = np.asarray(lens.position, np.float64)
        return proxy.exits(place, rays, self.rig.height_above_ground, self.recipe.proxy_distance)

    def shows(self, index: int, span: Span) -> bool:
        """Whether the lens has a share anywhere in the span."""
        height, width = self.drawn.shape[1:]
        west, east = ((yaw / (2 * math.pi) + 0.5) * width for yaw in (span.west, span.east))
        top, bottom = ((0.5 - pitch / math.pi) * height for pitch in (span.north, span.south))
        columns = np.arange(math.floor(west), min(math.ceil(east), math.floor(west) + width) + 1) % width
        return bool(self.drawn[index, max(0, math.floor(top)) : math.ceil(bottom) + 1][:, columns].any())


def carried(box: Box, index: int, drawing: Drawing, turn: Turn | None = None) -> tuple[Span, ...]:
    """Return where the panorama shows what lens `index` of the rig has in `box` (x0, y0, x1, y1 in continuous pixels of its frame).

    One span a lens that draws it, the finder's own first; where by the tables nobody does, the finder's own all the same. `turn` takes
    rays of the panorama into the rig frame where the two differ.
    """
    finder = drawing.rig.lenses[index]
    rays = _rim(box, finder)
    own: Rings = [drawing.exits(finder, rays)]
    nearness = _nearness(rays, drawing.rig.height_above_ground - finder.position[1], whole=_is_whole(box, finder))
    if drawing.recipe.mode == "best":
        own = [*own, *_seen_from_centre(rays, nearness, finder)]
    drawn = [own] if drawing.shows(index, enclosed(own)) else []
    others = (_elsewhere(rays, nearness, index, other, drawing) for other in range(len(drawing.rig.lenses)) if other != index)
    outlines = [pieces for pieces in (drawn, *others) if pieces] or [[own]]
    return tuple(united([enclosed(_turned(piece, turn)) for piece in pieces]) for pieces in outlines)


def _turned(rings: Rings, turn: Turn | None) -> Rings:
    return rings if turn is None else [ring @ turn for ring in rings]


def possible(kind: Kind, box: Box, lens: Lens) -> bool:
    """Whether a face or plate no nearer than 1.5 metres can fill a box of the lens's frame."""
    return _across(_rim(box, lens)) * NEAREST <= LARGEST[kind]


def _across(rays: Floats) -> float:
    """Return how large something looks, from corner to corner, in metres at a metre's distance."""
    return 2 * float(np.linalg.norm(rays - rays.mean(axis=0), axis=-1).max())


def _rim(box: Box, lens: Lens) -> Floats:
    """Return rays [n, 3], rig frame, through the outline of the box, in order round it."""
    x0, y0, x1, y1 = (edge - 0.5 for edge in box)
    share = np.arange(_STEPS) / _STEPS
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])
    pixels = np.concatenate([first + (last - first) * share[:, None] for first, last in itertools.pairwise(corners)])
    rays: Floats = lenses.unproject(lens.intrinsics, pixels).astype(np.float64) @ np.asarray(lens.rotation).T
    return rays


def _is_whole(box: Box, lens: Lens) -> bool:
    """Whether the object ends inside the frame; what is cut off by its border may be larger than it looks."""
    x0, y0, x1, y1 = box
    return min(x0, y0, lens.width - x1, lens.height - y1) > _BORDER


def _elsewhere(rays: Floats, nearness: Floats, index: int, other: int, drawing: Drawing) -> list[Rings]:
    """Return outlines of where another lens draws what the finder sees along `rays` [n, 3] at `nearness` [d, n], rig frame.

    What lies between the two outlines of a piece belongs to it; none where the lens does not draw there.
    """
    finder, neighbour = drawing.rig.lenses[index], drawing.rig.lenses[other]
    apart = np.asarray(finder.position) - np.asarray(neighbour.position)
    rings = drawing.exits(neighbour, rays + nearness[..., None] * apart)
    pieces: list[Rings] = [pair for pair in itertools.pairwise(rings) if drawing.shows(other, enclosed(pair))]
    if pieces and drawing.recipe.mode == "best":
        pieces[0] = [*pieces[0], *_seen_from_centre(rays, nearness, finder)]
    return pieces


def _seen_from_centre(rays: Floats, nearness: Floats, finder: Lens) -> list[Floats]:
    """Return outlines [n, 3] of what the finder sees along `rays` [n, 3] at `nearness` [d, n], as the rig's centre sees it.

    In best mode lenses are drawn somewhere between where the plain proxy surface has them and here.
    """
    return list(rays + nearness[..., None] * np.asarray(finder.position))


def _nearness(rays: Floats, clearance: float, *, whole: bool) -> Floats:
    """Return one over the distances in metres at which the object may be, [d, n], clearance being the lens's height above the road.

    From the nearest at which a whole face or plate looks so small to infinity, or for rays that sink to a road that falls away.
    """
    nearest = max(NEAREST, SMALLEST / _across(rays)) if whole else NEAREST
    road = rays[:, 1] / (_SLOPE * max(clearance, _LEAST_CLEARANCE))
    nearness: Floats = np.maximum(np.linspace(1 / nearest, 0, _DISTANCES)[:, None], road)
    return nearness


def enclosed(rings: Sequence[Floats]) -> Span:
    """Return the span that encloses closed outlines [n, 3] of directions of any length, a little widened.

    An outline round a pole, or so near to one that its samples cannot tell, spans all columns up to the pole.
    """
    yaws, pitches = zip(*(_outline(ring) for ring in rings), strict=True)
    south, north = min(pitch.min() for pitch in pitches), max(pitch.max() for pitch in pitches)
    if any(_holds_pole(*ring) for ring in zip(yaws, pitches, strict=True)):
        return _polar(float(south), float(north))
    turns = [yaw - 2 * np.pi * np.round((yaw.mean() - yaws[0].mean()) / (2 * np.pi)) for yaw in yaws]
    return _widest(min(yaw.min() for yaw in turns), max(yaw.max() for yaw in turns), float(south), float(north))


def _outline(ring: Floats) -> tuple[Floats, Floats]:
    """Return yaw and pitch [n + 1] of a closed outline, yaw without jumps: where it ends a turn off its start, it goes round a pole."""
    yaw, pitch = equirect.to_angles(np.concatenate([ring, ring[:1]]))
    return np.unwrap(yaw.astype(np.float64)), pitch.astype(np.float64)


def _holds_pole(yaw: Floats, pitch: Floats) -> bool:
    rays = equirect.to_rays(yaw, pitch)
    widest = np.linalg.norm(np.diff(rays, axis=0), axis=-1).max()
    return bool(abs(yaw[-1] - yaw[0]) > np.pi or np.pi / 2 - np.abs(pitch).max() < widest)


def _polar(south: float, north: float) -> Span:
    if -south > north:
        return Span(-math.pi, math.pi, -math.pi / 2, min(north + _SLACK * (north + math.pi / 2), math.pi / 2))
    return Span(-math.pi, math.pi, max(south - _SLACK * (math.pi / 2 - south), -math.pi / 2), math.pi / 2)


def _widest(west: float, east: float, south: float, north: float) -> Span:
    aside, up = _SLACK * (east - west), _SLACK * (north - south)
    return _normalised(west - aside, east + aside, south - up, north + up)


def _normalised(west: float, east: float, south: float, north: float) -> Span:
    south, north = max(south, -math.pi / 2), min(north, math.pi / 2)
    if east - west >= 2 * math.pi:
        return Span(-math.pi, math.pi, south, north)
    shift = math.floor((west + math.pi) / (2 * math.pi)) * 2 * math.pi
    return Span(west - shift, east - shift, south, north)


def united(spans: Sequence[Span]) -> Span:
    """Return the span that holds all of these, which lie within half a turn of the first."""
    whole = spans[0]
    for span in spans[1:]:
        turn = 2 * math.pi * round((whole.west + whole.east - span.west - span.east) / (4 * math.pi))
        west, east = min(whole.west, span.west + turn), max(whole.east, span.east + turn)
        whole = _normalised(west, east, min(whole.south, span.south), max(whole.north, span.north))
    return whole


def _widened(drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    wrapped = np.pad(drawn, ((0, 0), (1, 1)), mode="wrap").astype(np.uint8)
    return np.asarray(cv2.dilate(wrapped, np.ones((3, 3), np.uint8))[:, 1:-1] > 0)
