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
from panoveil.contracts.rig import Rig, Vec3
from panoveil.pixels import light as photo
from services.stitcher import blend, chromatic, fill, finish, flow, photometry, quality, steady
from services.stitcher.level import Turn, levelled, upright
from services.stitcher.photometry import Shade
from services.stitcher.sheets import Sheet, padded
from services.stitcher.spread import Spread, one_by_one
from services.stitcher.tables import Overview, Tables

Image = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

_SOME = np.s_[:, ::2, ::2]
"""Light is smooth: of the small panorama a quarter of the pixels knows it as well as all."""

_COARSE = 8


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
    turn: Turn | None = None,
) -> Panorama:
    """Return the panorama of one capture.

    `frames` are uint8 [h, w, 3] RGB by lens name, in the rig's sizes; `spread` may call strips in other threads. `light` [L, 3] are the
    gains of the lenses on top of the rig's calibration, unless told those that match the lenses with one another. `turn` takes rays of
    the panorama into the rig frame, `level.turn_of` a capture's pose.
    `Rejected(FRAME_MISSING | WRONG_FRAME_SIZE)` where they do not fit the rig.
    """
    ordered = in_order(frames, rig)
    views = look(ordered, rig, recipe, tables.overview)
    matched = views.light(recipe).gains if light is None else light
    shown = views.shown(matched)
    corrected = _corrected(ordered, photometry.rig_gains(rig) * matched, rig, recipe, tables, spread)
    backdrop = _to_nodes(finish.toned(upright(_backdrop(shown, tables.overview), turn), recipe.tone), tables)
    drawn = levelled(tables, turn, recipe, spread)
    image = blend.compose(blend.Canvas(drawn, corrected, backdrop, _bridges(corrected, drawn, spread)), spread)
    measured = quality.measure(image, shown, tables.overview.seen)
    return Panorama(finish.sharpened(image, recipe.sharpen, spread), measured)


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
        return photo.respond(self.response, self.linear * gains[:, None, None, :].astype(np.float32))


def look(frames: list[Image], rig: Rig, recipe: StitchRecipe, overview: Overview) -> Views:
    """Return the frames [h, w, 3] of a capture, in the rig's order, on the small panorama."""
    sensed = np.stack([_view(frame, overview, index) for index, frame in enumerate(frames)])
    usable = overview.seen[_SOME] & photometry.usable(sensed[_SOME])
    for view, lens, gains, shade in zip(sensed, rig.lenses, photometry.rig_gains(rig), overview.shades, strict=True):
        scale = shade[..., None] * gains.astype(np.float32) if recipe.vignetting else gains.astype(np.float32)
        np.multiply(photo.linear(lens.photometry.response, view), scale, out=view)
    return Views(sensed, usable, overview.shares[_SOME], photometry.rig_response(rig))


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
        return _shrunk(frame, by)
    some = cv2.resize(frame[2:, 2:], (frame.shape[1] // 4, frame.shape[0] // 4), interpolation=cv2.INTER_NEAREST)
    return _shrunk(some, by // 4)  # type: ignore[arg-type]


def _corrected(frames: list[Image], gains: Floats, rig: Rig, recipe: StitchRecipe, tables: Tables, spread: Spread) -> list[Image]:
    """Return the frames as they are sampled: reduced, colours aligned, light corrected by gains [L, 3] and the rig's calibration."""
    reduced = [_shrunk(frame, by) for frame, by in zip(frames, tables.reduction, strict=True)]
    if recipe.chromatic:
        reduced = [chromatic.corrected(frame, lens, spread) for frame, lens in zip(reduced, rig.lenses, strict=True)]
    shades = tables.shades if recipe.vignetting else (None,) * len(frames)
    curves = _curves(gains, rig, recipe, shades)
    return [photometry.corrected(*one, spread) for one in zip(reduced, shades, curves, strict=True)]


def _shrunk(frame: Image, by: int) -> Image:
    """Halve until `by`, a power of two, is reached: OpenCV is quickest at that."""
    if by == 1:
        return frame
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    half = cv2.resize(frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return _shrunk(half, by // 2)  # type: ignore[arg-type]


def _curves(gains: Floats, rig: Rig, recipe: StitchRecipe, shades: Sequence[Shade | None]) -> list[Image | None]:
    shown = photometry.rig_response(rig)
    return [
        photometry.curve_table(own, shade.peak if shade else None, lens.photometry.response, recipe.tone, shown)
        for own, shade, lens in zip(gains, shades, rig.lenses, strict=True)
    ]


def _bridges(frames: list[Image], tables: Tables, spread: Spread) -> list[Mapping[int, Sheet]]:
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
    """Return a panorama float32 [h / 2, w / 2, 3] of what lenses see, grown smoothly into what none sees."""
    shares = overview.shares[_SOME]
    mixed = np.einsum("lhwc,lhw->hwc", views[_SOME], shares)
    known = shares.sum(axis=0)
    return fill.smooth(mixed / np.maximum(known, 1e-6)[..., None], known)
