"""Textured walls round a rig, photographed by plain geometry, and drawn by tables with or without flow."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, lenses
from panoveil.pixels.spread import one_by_one
from services.stitcher import blend, flow, proxy
from services.stitcher.sheets import Sheet
from services.stitcher.tables import Tables

Image = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


def textured(width: int, seed: int = 0, grain: float = 1.5, contrast: float = 35.0) -> Image:
    """Return a panorama of grey blotches, the smallest `grain` pixels large, some larger."""
    rng = np.random.default_rng(seed)
    layers = [_blurred(rng.normal(size=(width // 2, width)), size) for size in (grain, 3 * grain, 9 * grain)]
    gray = 125 + contrast * sum(layers) / np.sqrt(len(layers))
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _blurred(field: Floats, size: float) -> Floats:
    margin = field.shape[1] // 4
    soft = cv2.GaussianBlur(np.pad(field, ((0, 0), (margin, margin)), mode="wrap"), (0, 0), size)[:, margin:-margin]
    return np.asarray(soft / soft.std())


def frames(rig: Rig, panorama: Image, distance: float) -> list[Image]:
    """Return what the lenses see of a round wall, and of the road, that look like the panorama from the rig's origin."""
    return [seen(lens, panorama, rig.height_above_ground, distance) for lens in rig.lenses]


def seen(lens: Lens, panorama: Image, height: float, distance: float) -> Image:
    """Return what one lens sees of them."""
    across, down = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    rays = lenses.unproject(lens.intrinsics, np.stack([across, down], axis=-1)) @ np.asarray(lens.rotation, np.float32).T
    points = proxy.exits(np.asarray(lens.position), rays, height, distance)
    around = cv2.copyMakeBorder(panorama, 0, 0, 4, 4, cv2.BORDER_WRAP)
    places = equirect.to_pixels(points, panorama.shape[1]) + np.array([4, 0], np.float32)
    return np.asarray(cv2.remap(around, places, None, cv2.INTER_CUBIC), np.uint8)  # type: ignore[call-overload]


def lumas(images: Sequence[Image], tables: Tables) -> list[Image]:
    """Return frames as lenses are compared in."""
    return [flow.grays(image, flow.sampling(tables.width, tables.step)) for image in images]


def bridges(images: Sequence[Image], tables: Tables) -> list[dict[int, Sheet]]:
    """Return by what the zones are drawn in best mode."""
    gray, every = lumas(images, tables), flow.sampling(tables.width, tables.step)
    pairs = [
        flow.bridged(zone, tables.zone_maps(zone), [gray[lens] for lens in zone.pair], tables.step, every, tables.width)
        for zone in tables.zones
    ]
    return [dict(zip(zone.pair, pair, strict=True)) for zone, pair in zip(tables.zones, pairs, strict=True)]


def composed(images: Sequence[Image], tables: Tables) -> Image:
    """Return the panorama as tables and their zones draw it, black where no lens sees; nothing else is done to the frames."""
    black = np.zeros((*tables.nodes.shares.shape[1:], 3), np.uint8)
    return blend.compose(blend.Canvas(tables, images, black, bridges(images, tables)), one_by_one)
