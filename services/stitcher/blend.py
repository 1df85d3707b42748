"""Lens images to panorama: every pixel sampled once, seams mixed where they are, in strips that stay in the processor's cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.pixels.spread import Spread
from services.stitcher.layout import STRIP, Run
from services.stitcher.sheets import Sheet, raise_nodes
from services.stitcher.tables import Tables

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Canvas:
    """What strips are drawn from: `frames` uint8 [h, w, 3] reduced and corrected, and per zone its two lenses' sheets.

    `backdrop` uint8 [h + 2, w + 2, 3], on the tables' nodes, is what to show where no lens sees.
    """

    tables: Tables
    frames: Sequence[Image]
    backdrop: NDArray[np.uint8]
    bridges: Sequence[Mapping[int, Sheet]]

    def sheet(self, lens: int, run: Run) -> Sheet:
        """Return by which map a lens is drawn in a run."""
        return self.tables.sheet(lens) if run.zone is None else self.bridges[run.zone][lens]


def compose(canvas: Canvas, spread: Spread) -> Image:
    """Return the panorama uint8 [H, W, 3]."""
    tables = canvas.tables
    panorama = np.empty((tables.height, tables.width, 3), np.uint8)

    def draw(row: int) -> None:
        rows = slice(row, min(row + STRIP, tables.height))
        for run in tables.runs[row // STRIP]:
            _draw(panorama[rows, run.left : run.right], canvas, rows, run)

    spread(draw, range(0, tables.height, STRIP))
    return panorama


def _draw(target: Image, canvas: Canvas, rows: slice, run: Run) -> None:
    if not run.lenses:
        target[:] = _behind(canvas, rows, run)
    elif len(run.lenses) == 1 and not run.backdrop:
        _sample(canvas, run.lenses[0], rows, run, target)
    else:
        _mix(target, canvas, rows, run)


def _mix(target: Image, canvas: Canvas, rows: slice, run: Run) -> None:
    """Lay the run's lenses over one another by their shares, and the backdrop in what they leave."""
    weight = np.zeros(target.shape[:2], np.float32)
    for number, lens in enumerate(run.lenses):
        share = canvas.sheet(lens, run).shares(rows, slice(run.left, run.right))
        sampled = _sample(canvas, lens, rows, run)
        target[:] = cv2.blendLinear(target, sampled, weight, share) if number else sampled
        weight += share
    if run.backdrop:
        behind = np.ascontiguousarray(_behind(canvas, rows, run))
        target[:] = cv2.blendLinear(target, behind, weight, np.maximum(1 - weight, 0))


def _behind(canvas: Canvas, rows: slice, run: Run) -> Image:
    """Return the backdrop enlarged to the pixels of a run."""
    behind: Image = raise_nodes(canvas.backdrop, canvas.tables.step, *_cells(canvas.tables.step, rows, run))
    return behind


def _cells(step: int, rows: slice, run: Run) -> tuple[slice, slice]:
    return slice(rows.start // step, rows.stop // step), slice(run.left // step, run.right // step)


def _sample(canvas: Canvas, lens: int, rows: slice, run: Run, target: Image | None = None) -> Image:
    """Return what a lens shows in a run; into `target` where there is one."""
    fixed, fraction = canvas.sheet(lens, run).map(rows, slice(run.left, run.right))
    frame = canvas.frames[lens]
    return cv2.remap(frame, fixed, fraction, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]
