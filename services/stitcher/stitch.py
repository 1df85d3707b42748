"""Frames of one capture to its panorama: a page of verbs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import Quality
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from services.stitcher import blend, fill, flow, photometry, quality
from services.stitcher.sheets import Sheet, padded
from services.stitcher.tables import Overview, Tables

Image = NDArray[np.uint8]
_COARSE = 8
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Panorama:
    """The stitched image, uint8 [H, W, 3] RGB, and what was measured on it."""

    image: Image
    quality: Quality


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
    reduced = _reduced(ordered, tables)
    backdrop = _to_nodes(_backdrop(views, tables.overview), tables)
    canvas = blend.Canvas(tables, reduced, _curves(gains, tables), backdrop, _bridges(reduced, tables, spread))
    image = blend.compose(canvas, spread)
    return Panorama(image, quality.measure(image, views, tables.overview.seen))


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
    thumbnail = _thumbnail(frame, overview.shrink[index])
    seen = cv2.remap(thumbnail, overview.maps[index], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    shaded: Floats = seen * overview.shades[index][..., None]
    return shaded


def _thumbnail(frame: Image, by: int) -> Image:
    """Shrink a frame for statistics: of a large one every fourth pixel across and down is enough."""
    if by < _COARSE:
        return _shrunk(frame, by)
    some = cv2.resize(frame[2:, 2:], (frame.shape[1] // 4, frame.shape[0] // 4), interpolation=cv2.INTER_NEAREST)
    return _shrunk(some, by // 4)  # type: ignore[arg-type]


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
    return [photometry.curve_table(own, peak) for own, peak in zip(gains, tables.peaks, strict=True)]


def _bridges(frames: list[Image], tables: Tables, spread: blend.Spread) -> list[Mapping[int, Sheet]]:
    """Return for every zone by which maps its two lenses are drawn in it."""
    every = flow.sampling(tables.width, tables.step)
    lumas: dict[int, Image] = {}
    bridges: list[Mapping[int, Sheet]] = [{}] * len(tables.zones)

    def look(lens: int) -> None:
        lumas[lens] = flow.grays(frames[lens], every)

    def bridge(number: int) -> None:
        zone = tables.zones[number]
        sheets = flow.bridged(zone, tables.zone_maps(zone), [lumas[lens] for lens in zone.pair], tables.step, every, tables.width)
        bridges[number] = dict(zip(zone.pair, sheets, strict=True))

    spread(look, sorted({lens for zone in tables.zones for lens in zone.pair}))
    spread(bridge, range(len(tables.zones)))
    return bridges


def _to_nodes(small: NDArray[np.float32], tables: Tables) -> Image:
    size = (tables.width // tables.step, tables.height // tables.step)
    nodes: Image = np.rint(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)).astype(np.uint8)
    return padded(nodes)


def _backdrop(views: Floats, overview: Overview) -> NDArray[np.float32]:
    shares = overview.shares
    mixed = np.sum(views * shares[..., None], axis=0)
    known = shares.sum(axis=0)
    return fill.smooth(mixed / np.maximum(known, 1e-6)[..., None], known)
