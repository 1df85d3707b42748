"""Frames of one capture to its panorama: a page of verbs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import QualityV1
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig, Vec3
from panoveil.pixels import light as photo
from panoveil.pixels.spread import Spread, each, one_by_one
from services.stitcher import blend, fill, finish, flow, photometry, quality, scene, steady
from services.stitcher.development import developed, shrunk
from services.stitcher.level import Turn, levelled, upright
from services.stitcher.sheets import Sheet, padded
from services.stitcher.tables import Overview, Tables
from services.stitcher.zones import Zone

Image = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

_SOME = np.s_[:, ::2, ::2]
"""Light is smooth: of the small panorama a quarter of the pixels knows it as well as all."""

_COARSE = 8


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
    frames: Mapping[str, Image],
    rig: Rig,
    recipe: StitchRecipe,
    tables: Tables,
    spread: Spread = one_by_one,
    light: Floats | None = None,
    views: "Views | None" = None,
    turn: Turn | None = None,
) -> Panorama:
    """Return the panorama of one capture.

    `frames` are uint8 [h, w, 3] RGB by lens name, in the rig's sizes; `spread` may call strips in other threads. `light` [L, 3] are the
    gains of the lenses on top of the rig's calibration, unless told those that match the lenses with one another. `views` are the
    frames as `look` sees them, where that is known already. `turn` takes rays of the panorama into the rig frame, `level.turn_of` a
    capture's pose.
    `Rejected(FRAME_MISSING | WRONG_FRAME_SIZE)` where they do not fit the rig.
    """
    ordered = in_order(frames, rig)
    views = views or look(ordered, rig, recipe, tables.overview, spread)
    matched = views.light(recipe).gains if light is None else light
    shown = views.shown(matched)
    gains = photometry.rig_gains(rig) * matched
    ready = developed(ordered, gains, rig, recipe, tables, spread)
    backdrop = _to_nodes(finish.toned(upright(_backdrop(shown, tables.overview), turn), recipe.tone), tables)
    image = _drawn(ready, backdrop, rig, recipe, levelled(tables, turn, recipe, spread), spread)
    measured = quality.measure(image, shown, tables.overview.seen)
    return Panorama(finish.sharpened(image, recipe.sharpen, spread), measured, shown, gains)


@dataclass(frozen=True, slots=True)
class Views:
    """A capture's lenses on the small panorama: linear in light, vignetting and calibrated gain undone, float32 [L, h, w, 3].

    `usable` bool [L, h / 2, w / 2] says which of every second row and column are neither clipped nor dark, `shares` how much of each
    the panorama shows there, `response` what the panorama shows light with.
    """

    linear: Floats
    usable: NDArray[np.bool_]
    shares: Floats
    response: Vec3

    def light(self, recipe: StitchRecipe, neighbours: Sequence[steady.Neighbour] = ()) -> steady.Light:
        """Return the light that the recipe gives the capture, among neighbours of its drive."""
        wanted = {"match": recipe.exposure_match, "steady": recipe.steady}
        return steady.of_capture(self.linear[_SOME], self.usable, self.shares, neighbours, **wanted)

    def shown(self, gains: Floats) -> Floats:
        """Return the views under gains [L, 3] as the panorama shows them, 0-255."""
        light = self.linear * gains[:, None, None, :].astype(np.float32)
        return photo.respond(self.response, light) if any(self.response) else np.minimum(light, photo.WHITE, out=light)


def look(frames: list[Image], rig: Rig, recipe: StitchRecipe, overview: Overview, spread: Spread = one_by_one) -> Views:
    """Return the frames [h, w, 3] of a capture, in the rig's order, on the small panorama."""
    linear = np.empty((*overview.seen.shape, 3), np.float32)
    usable = np.empty_like(overview.seen[_SOME])
    gains = photometry.rig_gains(rig).astype(np.float32)

    def see(index: int) -> None:
        sensed, lens = _view(frames[index], overview, index), rig.lenses[index]
        usable[index] = overview.seen[_SOME][index] & photometry.usable(sensed[::2, ::2])
        scale = overview.shades[index][..., None] * gains[index] if recipe.vignetting else gains[index]
        np.multiply(photo.linear(lens.photometry.response, sensed), scale, out=linear[index])

    spread(see, range(len(frames)))
    return Views(linear, usable, overview.shares[_SOME], photometry.rig_response(rig))


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


def _view(frame: Image, overview: Overview, index: int) -> NDArray[np.float32]:
    thumbnail = _thumbnail(frame, overview.shrink[index])
    seen = cv2.remap(thumbnail, overview.maps[index], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(seen, np.float32)


def _thumbnail(frame: Image, by: int) -> Image:
    """Shrink a frame for statistics: of a large one every fourth pixel across and down is enough."""
    if by < _COARSE:
        return shrunk(frame, by)
    some = cv2.resize(frame[2:, 2:], (frame.shape[1] // 4, frame.shape[0] // 4), interpolation=cv2.INTER_NEAREST)
    return shrunk(some, by // 4)  # type: ignore[arg-type]


def _drawn(frames: list[Image], backdrop: Image, rig: Rig, recipe: StitchRecipe, tables: Tables, spread: Spread) -> Image:
    """Return the panorama; in best mode by the street that the frames show, and at seams from between the lenses."""
    if not tables.zones:
        return blend.compose(blend.Canvas(tables, frames, backdrop, ()), spread)
    every = flow.sampling(tables.width, tables.step)
    lumas = each(lambda frame: flow.grays(frame, every), frames, spread)
    surface = (rig.height_above_ground, recipe.proxy_distance)
    street = scene.fit(tables, lumas, *surface, spread)
    by = tables if street is None else scene.fitted(tables, street, *surface, spread)

    def bridge(zone: Zone) -> dict[int, Sheet]:
        pair = flow.bridged(zone, by.zone_maps(zone), [lumas[lens] for lens in zone.pair], by.step, every, by.width)
        return dict(zip(zone.pair, pair, strict=True))

    return blend.compose(blend.Canvas(by, frames, backdrop, each(bridge, by.zones, spread)), spread)


def _to_nodes(small: NDArray[np.float32], tables: Tables) -> Image:
    size = (tables.width // tables.step, tables.height // tables.step)
    nodes: Image = np.rint(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)).astype(np.uint8)
    return padded(nodes)


def _backdrop(views: Floats, overview: Overview) -> NDArray[np.float32]:
    """Return a panorama float32 [h / 2, w / 2, 3] of what lenses see, grown smoothly into what none sees."""
    shares = overview.shares[_SOME]
    mixed = np.einsum("lhwc,lhw->hwc", views[_SOME], shares)
    known = shares.sum(axis=0)
    return fill.smooth(mixed / np.maximum(known, 1e-6)[..., None], known)
