"""The views of a lens's frame that look for faces and plates before stitching.

They show what the panorama's own plan shows, at the same scales to a radian, in the frame's own geometry: per level the band of
elevations it is meant for, for faces or for plates, as far as the panorama draws this lens there, or only near the seams. Everything
is widened sideways by half a level's reach, so that an object which the lens draws in part lies whole in a view, if the lens sees it
whole; up to the full reach at the next coarser level.
"""

import math
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import SecondSource
from panoveil.contracts.rig import Lens
from panoveil.detection import KINDS
from panoveil.detection.views import REACH, Crop, Level, crops, levels, south
from panoveil.pixels import equirect, lenses
from services.stitcher.carry import Drawing

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Area = tuple[int, int, int, int]

_GRID = 16
"""Frame pixels between the places of a frame that are asked where they are drawn."""

_ASTRAY = 1.0


def plan(drawing: Drawing, source: SecondSource) -> tuple[tuple[Crop, ...], ...]:
    """Return the views of every lens's frame, in the rig's order."""
    return tuple(tuple(_views(index, drawing, source)) for index in range(len(drawing.rig.lenses)))


def _views(index: int, drawing: Drawing, source: SecondSource) -> Iterator[Crop]:
    lens, width = drawing.rig.lenses[index], drawing.recipe.width
    yaw, pitch, seen = _places(lens, drawing)
    for level in levels(source.view_plan):
        wanted = _reached(drawing, index, level, source)
        height, columns = wanted.shape
        rows = np.clip(((0.5 - pitch / np.pi) * height).astype(int), 0, height - 1)
        looked_at = seen & wanted[rows, ((yaw / (2 * np.pi) + 0.5) * columns).astype(int) % columns]
        scale = level.scale * width / (2 * math.pi) / max(lens.intrinsics.fx, lens.intrinsics.fy)
        for area in _areas(looked_at, lens):
            yield from crops(area, lens.width, lens.height, scale)


def _places(lens: Lens, drawing: Drawing) -> tuple[Floats, Floats, Mask]:
    """Return yaw and pitch [h, w] at which the panorama would draw every sixteenth pixel, and which of them the lens images at all."""
    across, down = (np.arange(0, size + _GRID, _GRID) for size in (lens.width, lens.height))
    pixels = np.stack(np.meshgrid(across, down), axis=-1) - 0.5
    rays = lenses.unproject(lens.intrinsics, pixels)
    back, visible = lenses.project(lens.intrinsics, rays)
    seen = visible & (np.abs(back - pixels).max(axis=-1) < _ASTRAY)
    yaw, pitch = equirect.to_angles(drawing.exits(lens, rays.astype(np.float64) @ np.asarray(lens.rotation).T))
    return yaw, pitch, np.asarray(seen)


def _reached(drawing: Drawing, index: int, level: Level, source: SecondSource) -> Mask:
    """Return bool [h, w], a small panorama: where within the level's band an object may lie that the lens draws, or shares."""
    drawn = drawing.shared[index] if source.where == "seams" else drawing.drawn[index]
    height, width = drawn.shape
    pitch = 90 - (np.arange(height) + 0.5) / height * 180
    north, end = (max(level.faces, level.plates), min(south(drawing.recipe.width, level.scale, kind) for kind in KINDS))
    band = (pitch <= north) & (pitch >= end)
    # A degree of yaw is shorter off the horizon: as much as it is at the band's edge.
    shortest = math.cos(math.radians(max(abs(pitch[band]), default=0.0)))
    reach = math.ceil(REACH / 2 / level.scale / drawing.recipe.width * width / shortest)
    wrapped = np.pad(drawn & band[:, None], ((0, 0), (width, width)), mode="wrap").astype(np.uint8)
    return np.asarray(cv2.dilate(wrapped, np.ones((1, 2 * reach + 1), np.uint8))[:, width : 2 * width] > 0)


def _areas(wanted: Mask, lens: Lens) -> Iterator[Area]:
    """Yield a rectangle of the frame round every connected part of `wanted`, which is bool on the grid."""
    _, _, parts, _ = cv2.connectedComponentsWithStats(wanted.astype(np.uint8), connectivity=8)
    for left, top, across, down, _ in parts[1:].tolist():
        x0, y0 = max(0, left - 1) * _GRID, max(0, top - 1) * _GRID
        yield x0, y0, min(lens.width, (left + across) * _GRID), min(lens.height, (top + down) * _GRID)
