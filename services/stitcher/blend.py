"""Lens images to panorama: every pixel sampled once, seams mixed where they are, in strips that stay in the processor's cache."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from services.stitcher import photometry
from services.stitcher.spread import Spread
from services.stitcher.tables import STRIP, Patch, Run, Tables

Image = NDArray[np.uint8]


def compose(
    frames: Sequence[Image],
    curves: Sequence[NDArray[np.uint8] | None],
    backdrop: NDArray[np.float32],
    tables: Tables,
    spread: Spread,
) -> Image:
    """Return the panorama uint8 [H, W, 3].

    `frames` are the lens images in the rig's order, already reduced; `curves` their look-up tables (see `photometry.curve_table`);
    `backdrop` float32 [h, w, 3], 0-255, is a small panorama of what to show where no lens sees.
    """
    panorama: Image = cv2.resize(
        np.rint(backdrop).astype(np.uint8), (tables.width, tables.height), interpolation=cv2.INTER_LINEAR
    )  # type: ignore[assignment]

    def draw(row: int) -> None:
        for patch in tables.patches:
            for run in patch.runs.get(row, ()):
                _draw(panorama, frames[patch.lens], curves[patch.lens], patch, run)

    spread(draw, range(0, tables.height, STRIP))
    return panorama


def _draw(panorama: Image, frame: Image, curve: NDArray[np.uint8] | None, patch: Patch, run: Run) -> None:
    place = (slice(run.top, run.bottom), slice(run.left, run.right))
    target = panorama[patch.y + run.top : patch.y + run.bottom, patch.x + run.left : patch.x + run.right]
    sampled = _sample(frame, curve, patch, place)
    if run.opaque:
        target[:] = sampled
    else:
        _mix(target, sampled, patch.alpha[place])


def _sample(frame: Image, curve: NDArray[np.uint8] | None, patch: Patch, place: tuple[slice, slice]) -> Image:
    sampled = cv2.remap(frame, patch.fixed[place], patch.fraction[place], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return photometry.corrected(np.asarray(sampled, np.uint8), None if patch.shade is None else patch.shade[place], curve)


def _mix(target: Image, sampled: Image, alpha: NDArray[np.uint8]) -> None:
    """Lay `sampled` over `target`, in place: 16-bit arithmetic, alpha 255 covers whole."""
    share = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB).astype(np.uint16)
    share += share >> 7
    mixed = sampled * share
    mixed += target * (256 - share)
    mixed += 128
    target[:] = mixed >> 8
