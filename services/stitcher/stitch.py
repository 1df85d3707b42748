"""Frames of one capture to its panorama: a page of verbs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import Quality
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Lens, Rig, Vec3
from panoveil.pixels import light as photo
from services.stitcher import blend, chromatic, fill, finish, photometry, quality, steady
from services.stitcher.spread import Spread, one_by_one
from services.stitcher.tables import Overview, Tables

Image = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Panorama:
    """The stitched image, uint8 [H, W, 3] RGB, and what was measured on it."""

    image: Image
    quality: Quality


def stitch(
    frames: Mapping[str, Image],
    rig: Rig,
    recipe: StitchRecipe,
    tables: Tables,
    spread: Spread = one_by_one,
    light: Floats | None = None,
) -> Panorama:
    """Return the panorama of one capture.

    `frames` are uint8 [h, w, 3] RGB by lens name, in the rig's sizes; `spread` may call strips in other threads. `light` [L, 3] are the
    gains of the lenses on top of the rig's calibration, unless told those that match the lenses with one another.
    `Rejected(FRAME_MISSING | WRONG_FRAME_SIZE)` where they do not fit the rig.
    """
    ordered = in_order(frames, rig)
    views = look(ordered, rig, recipe, tables.overview)
    matched = views.light(recipe).gains if light is None else light
    shown = views.shown(matched)
    aligned = [_aligned(frame, lens, recipe, spread) for frame, lens in zip(_reduced(ordered, tables), rig.lenses, strict=True)]
    backdrop = finish.toned(_backdrop(shown, tables.overview), recipe.tone)
    image = blend.compose(aligned, _curves(photometry.rig_gains(rig) * matched, rig, recipe, tables), backdrop, tables, spread)
    measured = quality.measure(image, shown, tables.overview.seen)
    return Panorama(finish.sharpened(image, recipe.sharpen, spread), measured)


@dataclass(frozen=True, slots=True)
class Views:
    """A capture's lenses on the small panorama: linear in light, vignetting and calibrated gain undone, float32 [L, h, w, 3].

    `usable` bool [L, h, w] says where they are neither clipped nor dark, `shares` [L, h, w] how much of each the panorama shows,
    `response` what the panorama shows light with.
    """

    linear: Floats
    usable: NDArray[np.bool_]
    shares: Floats
    response: Vec3

    def light(self, recipe: StitchRecipe, neighbours: Sequence[steady.Neighbour] = ()) -> steady.Light:
        """Return the light that the recipe gives the capture, among neighbours of its drive."""
        wanted = {"match": recipe.exposure_match, "steady": recipe.steady}
        return steady.of_capture(self.linear, self.usable, self.shares, neighbours, **wanted)

    def shown(self, gains: Floats) -> Floats:
        """Return the views under gains [L, 3] as the panorama shows them, 0-255."""
        return photo.respond(self.response, self.linear * gains[:, None, None, :].astype(np.float32))


def look(frames: list[Image], rig: Rig, recipe: StitchRecipe, overview: Overview) -> Views:
    """Return the frames [h, w, 3] of a capture, in the rig's order, on the small panorama."""
    sensed = np.stack([_view(frame, overview, index) for index, frame in enumerate(frames)])
    usable = overview.seen & photometry.usable(sensed)
    for view, lens, gains, shade in zip(sensed, rig.lenses, photometry.rig_gains(rig), overview.shades, strict=True):
        light = photo.linear(lens.photometry.response, view) * gains.astype(np.float32)
        view[:] = light * shade[..., None] if recipe.vignetting else light
    return Views(sensed, usable, overview.shares, photometry.rig_response(rig))


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
    thumbnail = _shrunk(frame, overview.shrink[index])
    seen = cv2.remap(thumbnail, overview.maps[index], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(seen, np.float32)


def _aligned(frame: Image, lens: Lens, recipe: StitchRecipe, spread: Spread) -> Image:
    return chromatic.corrected(frame, lens, spread) if recipe.chromatic else frame


def _reduced(frames: list[Image], tables: Tables) -> list[Image]:
    return [_shrunk(frame, by) for frame, by in zip(frames, tables.reduction, strict=True)]


def _shrunk(frame: Image, by: int) -> Image:
    """Halve until `by`, a power of two, is reached: OpenCV is quickest at that."""
    if by == 1:
        return frame
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    half = cv2.resize(frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return _shrunk(half, by // 2)  # type: ignore[arg-type]


def _curves(gains: Floats, rig: Rig, recipe: StitchRecipe, tables: Tables) -> list[Image | None]:
    peaks = {patch.lens: patch.shade_peak for patch in tables.patches if patch.shade is not None and recipe.vignetting}
    shown = photometry.rig_response(rig)
    responses = [lens.photometry.response for lens in rig.lenses]
    return [
        photometry.curve_table(own, peaks.get(index), response, recipe.tone, shown)
        for index, (own, response) in enumerate(zip(gains, responses, strict=True))
    ]


def _backdrop(views: Floats, overview: Overview) -> NDArray[np.float32]:
    shares = overview.shares
    mixed = np.sum(views * shares[..., None], axis=0)
    known = shares.sum(axis=0)
    return fill.smooth(mixed / np.maximum(known, 1e-6)[..., None], known)
