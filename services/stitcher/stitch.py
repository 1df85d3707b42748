"""Frames of one capture to its panorama: a page of verbs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import QualityV1
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from services.stitcher import blend, fill, photometry, quality
from services.stitcher.tables import Overview, Tables

Image = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Panorama:
    """The stitched image, uint8 [H, W, 3] RGB, what was measured on it, and what it was measured on.

    `views` float32 [L, h, w, 3] are the corrected lens images on the small panorama, `gains` [L, 3] the factors that corrected them.
    """

    image: Image
    quality: QualityV1
    views: Floats
    gains: Floats


def stitch(
    frames: Mapping[str, Image], rig: Rig, recipe: StitchRecipe, tables: Tables, spread: blend.Spread = blend.one_by_one
) -> Panorama:
    """Return the panorama of one capture.

    `frames` are uint8 [h, w, 3] RGB by lens name, in the rig's sizes; `spread` may call strips in other threads.
    `Rejected(FRAME_MISSING | WRONG_FRAME_SIZE)` where they do not fit the rig.
    """
    ordered = in_order(frames, rig)
    views = _views(ordered, tables.overview)
    gains = photometry.rig_gains(rig)
    if recipe.exposure_match:
        gains = gains * photometry.exposure_gains(_lit(views, gains), tables.overview.seen)
    views = _lit(views, gains)
    image = blend.compose(_reduced(ordered, tables), _curves(gains, tables), _backdrop(views, tables.overview), tables, spread)
    return Panorama(image, quality.measure(image, views, tables.overview.seen), views, gains)


def in_order(frames: Mapping[str, Image], rig: Rig) -> list[Image]:
    """Return the frames in the order of the rig's lenses; `Rejected(FRAME_MISSING | WRONG_FRAME_SIZE)` where they do not fit it."""
    for lens in rig.lenses:
        if lens.name not in frames:
            raise Rejected(Reason.FRAME_MISSING, f"no frame of lens {lens.name}")
        height, width = frames[lens.name].shape[:2]
        if (width, height) != (lens.width, lens.height):
            detail = f"lens {lens.name} gave {width} x {height}, rig {rig.rig_id} says {lens.width} x {lens.height}"
            raise Rejected(Reason.WRONG_FRAME_SIZE, detail)
    return [frames[lens.name] for lens in rig.lenses]


def _views(frames: list[Image], overview: Overview) -> Floats:
    """Return every lens on the small panorama, vignetting undone: float32 [L, h, w, 3]."""
    return np.stack([_view(frame, overview, index) for index, frame in enumerate(frames)])


def _view(frame: Image, overview: Overview, index: int) -> Floats:
    thumbnail = _shrunk(frame, overview.shrink[index])
    seen = cv2.remap(thumbnail, overview.maps[index], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    shaded: Floats = seen * overview.shades[index][..., None]
    return shaded


def _lit(views: Floats, gains: Floats) -> Floats:
    lit: Floats = np.minimum(views * gains[:, None, None, :].astype(np.float32), 255)
    return lit


def _reduced(frames: list[Image], tables: Tables) -> list[Image]:
    return [_shrunk(frame, by) for frame, by in zip(frames, tables.reduction, strict=True)]


def _shrunk(frame: Image, by: int) -> Image:
    """Halve until `by`, a power of two, is reached: OpenCV is quickest at that."""
    if by == 1:
        return frame
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    half = cv2.resize(frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return _shrunk(half, by // 2)  # type: ignore[arg-type]


def _curves(gains: Floats, tables: Tables) -> list[NDArray[np.uint8] | None]:
    peaks = {patch.lens: patch.shade_peak if patch.shade is not None else None for patch in tables.patches}
    return [photometry.curve_table(own, peaks.get(index)) for index, own in enumerate(gains)]


def _backdrop(views: Floats, overview: Overview) -> NDArray[np.float32]:
    shares = overview.shares
    mixed = np.sum(views * shares[..., None], axis=0)
    known = shares.sum(axis=0)
    return fill.smooth(mixed / np.maximum(known, 1e-6)[..., None], known)
