"""Frames made ready to be sampled: reduced, colours aligned, light corrected, detail raised; in strips that stay in the cache."""

from collections.abc import Sequence
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

_ROWS = 64


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
    edges = each(lambda lens: detail.table(reduced[lens], float(gains[lens].mean()), strength), lenses, spread)
    ready = [np.empty_like(frame) for frame in reduced]
    strips = [(lens, top) for lens, frame in enumerate(reduced) for top in range(0, len(frame), _ROWS)]

    def develop(number: int) -> None:
        lens, top = strips[number]
        _develop(ready[lens], top, reduced[lens], shades[lens], curves[lens], edges[lens])

    spread(develop, range(len(strips)))
    return ready


def _develop(
    ready: Image, top: int, frame: Image, shade: Shade | None, curve: Image | None, edges: NDArray[np.uint8] | None
) -> None:
    """Fill a strip of rows from `top` on; detail needs a row more on either side."""
    margin = 0 if edges is None else 1
    rows = slice(max(0, top - margin), min(len(frame), top + _ROWS + margin))
    lit = photometry.corrected(frame[rows], None if shade is None else shade.pixels[rows], curve)
    own = slice(top - rows.start, top - rows.start + _ROWS)
    ready[top : top + _ROWS] = lit if edges is None else detail.refined(lit, own, edges)


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
