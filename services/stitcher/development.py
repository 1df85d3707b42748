"""Frames made ready to be sampled: reduced, colours aligned, light corrected, detail raised; in strips that stay in the cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.pixels.spread import Spread, each
from services.stitcher import chromatic, detail, photometry
from services.stitcher.photometry import Shade
from services.stitcher.tables import Tables

Image = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

_ROWS = 128
_SOME = 4
"""Of the tables' nodes every fourth by row and column tells well enough what is drawn."""

_SPARE = 128
"""The panorama's width over this is by how many pixels things near by may lie beyond what the tables say is drawn."""


def developed(
    frames: Sequence[Image], gains: Floats, rig: Rig, recipe: StitchRecipe, tables: Tables, spread: Spread
) -> list[Image]:
    """Return the frames uint8 [h, w, 3] of the rig's lenses as they are sampled; `gains` [L, 3] multiply their light."""
    reduced = [shrunk(frame, by) for frame, by in zip(frames, tables.reduction, strict=True)]
    if recipe.chromatic:
        reduced = [chromatic.corrected(frame, lens, spread) for frame, lens in zip(reduced, rig.lenses, strict=True)]
    shades = tables.shades if recipe.vignetting else (None,) * len(frames)
    strength = recipe.detail if recipe.mode == "best" else 0.0
    lenses = range(len(frames))
    curves = each(lambda lens: _curve(gains[lens], rig, lens, recipe.tone, shades[lens]), lenses, spread)
    manners = each(lambda lens: detail.manner(reduced[lens], float(gains[lens].mean()), strength), lenses, spread)
    ready = [np.empty_like(frame) for frame in reduced]
    drawn = [_drawn(tables, lens, *frame.shape[:2]) if strength else [] for lens, frame in enumerate(reduced)]
    strips = [(lens, top) for lens, frame in enumerate(reduced) for top in range(0, len(frame), _ROWS)]

    def develop(number: int) -> None:
        lens, top = strips[number]
        light, how = Light(shades[lens], curves[lens]), manners[lens]
        if how:
            _refine(ready[lens], top, reduced[lens], light, how, drawn[lens][top // _ROWS])
        else:
            rows = slice(top, top + _ROWS)
            ready[lens][rows] = light.on(reduced[lens], rows)

    spread(develop, range(len(strips)))
    return ready


@dataclass(frozen=True, slots=True)
class Light:
    """What corrects the light of a lens."""

    shade: Shade | None
    curve: Image | None

    def on(self, frame: Image, rows: slice) -> Image:
        """Return rows of the frame corrected."""
        return photometry.corrected(frame[rows], self.shade.pixels[rows] if self.shade else None, self.curve)


def _refine(ready: Image, top: int, frame: Image, light: Light, how: detail.Manner, columns: slice) -> None:
    """Fill a strip of rows from `top` on: its light corrected, its detail refined in the `columns` that are drawn."""
    bottom = min(top + _ROWS, len(frame))
    wanted = _with_margin(slice(top, bottom))
    rows = slice(max(0, wanted.start), min(len(frame), wanted.stop))
    lit = light.on(frame, rows)
    own = slice(top - rows.start, bottom - rows.start)
    for aside in (slice(0, columns.start), slice(columns.stop, None)):
        ready[top:bottom, aside] = lit[own, aside]
    if columns.start < columns.stop:
        part = _cut(lit, slice(wanted.start - rows.start, wanted.stop - rows.start), _with_margin(columns))
        detail.refine(ready[top:bottom, columns], part, how)


def _with_margin(own: slice) -> slice:
    """Return pixels filled up to an even number, with the margin that refining wants."""
    return slice(own.start - detail.MARGIN, own.stop + own.stop % 2 + detail.MARGIN)


def _cut(image: Image, rows: slice, columns: slice) -> Image:
    """Return a part of an image [h, w, 3]; beyond its rim as at the rim."""
    height, width = image.shape[:2]
    beyond = (max(0, -rows.start), max(0, rows.stop - height), max(0, -columns.start), max(0, columns.stop - width))
    inside = image[max(0, rows.start) : rows.stop, max(0, columns.start) : columns.stop]
    return np.asarray(cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE), np.uint8) if any(beyond) else inside


def _drawn(tables: Tables, lens: int, height: int, width: int) -> list[slice]:
    """Return, strip by strip of a lens's frame, the columns that the panorama may show; the first is even."""
    spare = tables.width // _SPARE
    maps, shares = (part[lens, 1:-1:_SOME, 1:-1:_SOME] for part in (tables.nodes.maps, tables.nodes.shares))
    x, y = maps[shares > 0].T
    columns = []
    for top in range(0, height, _ROWS):
        near = x[(y >= top - spare) & (y < top + _ROWS + spare)]
        first, last = (max(0, int(near.min()) - spare), min(width, int(near.max()) + spare)) if near.size else (0, 0)
        columns.append(slice(first // 2 * 2, last))
    return columns


def _curve(gains: Floats, rig: Rig, lens: int, tone: float, shade: Shade | None) -> Image | None:
    response, shown = rig.lenses[lens].photometry.response, photometry.rig_response(rig)
    return photometry.curve_table(gains, shade.peak if shade else None, response, tone, shown)


def shrunk(frame: Image, by: int) -> Image:
    """Halve until `by`, a power of two, is reached: OpenCV is quickest at that."""
    if by == 1:
        return frame
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    half = cv2.resize(frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return shrunk(np.asarray(half, np.uint8), by // 2)
