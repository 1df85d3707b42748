"""The remap tables of a rig under a recipe: computed once, kept on disk, mapped into memory and shared by every process.

Everything smooth is computed on a coarse grid of the panorama and raised to full size: where a ray ends, where each lens sees that
point, how lenses share it. A lens's patch is the rectangle of the panorama in which the lens has a share at all.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect
from services.stitcher import proxy, seams

Floats = NDArray[np.floating[Any]]

FORMAT = 2
"""Raised when what lies on disk changes its meaning."""

OVERVIEW = 512
"""Width of the small panorama on which exposure, quality and the unseen parts are worked out."""

STRIP = 64
"""Rows of the panorama drawn at a time: few enough to stay in the processor's cache."""

_NODES = 2048
_BLOCK = 32
_BANDS = 8
_OPAQUE = 255


class Run(NamedTuple):
    """Part of a strip of a patch, in the patch's rows and columns, that is drawn in one go: over what is there, or mixed with it."""

    top: int
    bottom: int
    left: int
    right: int
    opaque: bool


@dataclass(frozen=True, slots=True)
class Patch:
    """One lens's rectangle of the panorama, its top left corner at (x, y); all arrays are [h, w, ...] of that rectangle.

    `fixed` int16 [h, w, 2] and `fraction` uint16 [h, w] are OpenCV's fixed-point map into the lens's image, `alpha` uint8 [h, w] how
    much of what was drawn before this patch covers, `shade` uint8 [h, w] the vignetting's correction, 255 standing for `shade_peak`, or None.
    `runs` says, by the panorama's row at which a strip begins, what there is to draw in it.
    """

    lens: int
    x: int
    y: int
    fixed: NDArray[np.int16]
    fraction: NDArray[np.uint16]
    alpha: NDArray[np.uint8]
    shade: NDArray[np.uint8] | None
    shade_peak: float
    runs: Mapping[int, tuple[Run, ...]]


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole panorama small: `maps` float32 [L, h, w, 2] into thumbnails, `seen` bool [L, h, w], `shares` and `shades` float32 [L, h, w].

    A thumbnail is the lens's image shrunk by `shrink`; `shares` are the seam weights and `shades` corrects vignetting and rig gain 1.
    """

    maps: NDArray[np.float32]
    seen: NDArray[np.bool_]
    shares: NDArray[np.float32]
    shades: NDArray[np.float32]
    shrink: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """What stitching a rig needs: `reduction` is the whole factor by which each lens's image is shrunk before it is sampled."""

    width: int
    lenses: tuple[str, ...]
    reduction: tuple[int, ...]
    patches: tuple[Patch, ...]
    overview: Overview

    @property
    def height(self) -> int:
        """Rows of the panorama."""
        return self.width // 2


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The coarse grid, one node every `step` pixels with one more before and two after: `maps` [L, h, w, 2] in full-size lens pixels."""

    step: int
    maps: NDArray[np.float32]
    shares: NDArray[np.float32]


class _Box(NamedTuple):
    """A rectangle of the panorama in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A lens as its patches need it: its place in the rig, by how much its image is reduced, what undoes its vignetting on the nodes."""

    index: int
    reduction: int
    shade: NDArray[np.float32] | None
    shade_peak: float


def load(rig: Rig, recipe: StitchRecipe, cache: Path) -> Tables:
    """Return the tables from `cache`, building them there first where they are missing; several processes may do so at once.

    Tables that do not open (a disk that filled up, a machine that lost power) are built anew. `Rejected(UNKNOWN_RIG)` where no lens
    sees anything.
    """
    folder = cache / key(rig, recipe)
    if not (folder / "plan.json").exists():
        _publish(rig, recipe, folder)
    try:
        return _open(folder)
    except (OSError, ValueError, KeyError, EOFError):
        shutil.rmtree(folder, ignore_errors=True)
    _publish(rig, recipe, folder)
    return _open(folder)


def key(rig: Rig, recipe: StitchRecipe) -> str:
    """Return the name of the tables: it changes with all that decides them."""
    geometry = recipe.model_dump(mode="json", include={"width", "seam_width", "proxy_distance"})
    text = json.dumps([FORMAT, rig.model_dump(mode="json"), geometry], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _publish(rig: Rig, recipe: StitchRecipe, folder: Path) -> None:
    """Build beside and rename: a reader sees whole tables or none; the slower of two builders throws its own away."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write(rig, recipe, scratch)
        os.rename(scratch, folder)  # noqa: PTH104 - Path.rename says the same and hides that it is the point
    except OSError:
        if not (folder / "plan.json").exists():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(rig: Rig, recipe: StitchRecipe, folder: Path) -> None:
    nodes = _nodes(rig, recipe)
    reduction = [_reduction(lens, recipe.width) for lens in rig.lenses]
    sources = [_source(index, lens, nodes, reduction[index]) for index, lens in enumerate(rig.lenses)]
    plans = [
        _write_patch(folder, f"patch{number}", nodes, sources[index], box)
        for number, (index, box) in enumerate(_boxes(nodes, recipe.width))
    ]
    if not plans:
        raise Rejected(Reason.UNKNOWN_RIG, f"no lens of rig {rig.rig_id} sees anything: check rotations and intrinsics")
    plan = {"width": recipe.width, "lenses": [lens.name for lens in rig.lenses], "reduction": reduction, "patches": plans}
    plan["shrink"] = _write_overview(folder, rig, recipe, nodes)
    (folder / "plan.json").write_text(json.dumps(plan))


def _nodes(rig: Rig, recipe: StitchRecipe) -> _Nodes:
    step = _step(recipe.width)
    ends = proxy.points(_node_rays(recipe.width, step), rig.height_above_ground, recipe.proxy_distance)
    degrees = 360 * step / recipe.width
    maps = np.empty((len(rig.lenses), *ends.shape[:2], 2), np.float32)
    distances = np.empty(maps.shape[:3], np.float32)
    for index, lens in enumerate(rig.lenses):
        distance, maps[index] = seams.border_distance(lens, _seen_by(lens, ends))
        distances[index] = _eroded(distance, 1.5 * degrees)
    del ends
    core = seams.weights(distances[:, 1:-2, 1:-2], degrees, recipe.seam_width)
    shares = np.pad(np.pad(core, ((0, 0), (0, 0), (1, 2)), mode="wrap"), ((0, 0), (1, 2), (0, 0)), mode="edge")
    return _Nodes(step, maps, shares)


def _step(width: int) -> int:
    """Return the largest power of two that leaves enough nodes: OpenCV interpolates at 32nds of a step, which must hit every pixel."""
    return int(min(32, 2 ** max(0, (width // _NODES).bit_length() - 1)))


def _node_rays(width: int, step: int) -> Floats:
    across = np.arange(-step, width + 2 * step, step)
    down = np.arange(-step, width // 2 + 2 * step, step)
    yaw = ((across + 0.5) / width - 0.5) * 2 * np.pi
    pitch = (0.5 - (down + 0.5) / (width // 2)) * np.pi
    return equirect.to_rays(yaw[None, :], pitch[:, None])


def _seen_by(lens: Lens, points: Floats) -> Floats:
    """Return points of the rig frame in the lens's frame: the inverse of a rotation is its transpose."""
    turned: Floats = (points - np.asarray(lens.position, points.dtype)) @ np.asarray(lens.rotation, points.dtype)
    return turned


def _eroded(distance: Floats, margin: float) -> Floats:
    """Keep nodes whose every neighbour is seen too: between a seen and an unseen node the map means nothing.

    The margin goes from all distances, so that they still end at 0 instead of breaking off, which would show as a stair.
    """
    seen = cv2.erode((distance > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    kept: Floats = np.maximum(distance - margin, 0) * seen
    return kept


def _shade(lens: Lens, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / vignetting [...] at pixels [..., 2], within what a sane lens can need."""
    first, second, third = lens.photometry.vignetting
    x, y = pixels[..., 0] - lens.intrinsics.cx, pixels[..., 1] - lens.intrinsics.cy
    square = np.minimum((x * x + y * y) * (4 / (lens.width**2 + lens.height**2)), 1.5)
    fall_off = 1 + square * (first + square * (second + square * third))
    shade: Floats = 1 / np.clip(fall_off, 0.2, 2)
    return shade.astype(np.float32)


def _reduction(lens: Lens, width: int, most: int = 8) -> int:
    """Return the power of two by which a lens is finer than a panorama of `width`: sampling it unreduced would alias."""
    ratio = max(lens.intrinsics.fx, lens.intrinsics.fy) / (width / (2 * np.pi))
    return int(min(most, 2 ** int(np.log2(max(1.0, ratio)))))


def _boxes(nodes: _Nodes, width: int) -> Iterator[tuple[int, _Box]]:
    """Yield (lens, rectangle) for every patch.

    A lens that looks across ±180° has patches at either end, and each band of rows has its own: the lens that sees the zenith is as
    wide as the panorama there, and only there.
    """
    band = width // nodes.step // (2 * _BANDS)
    for index, share in enumerate(nodes.shares):
        some = cv2.dilate((share > 0).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-2, 1:-2] > 0
        for top in range(0, some.shape[0], band):
            for first, last in _spans(np.asarray(some[top : top + band].any(axis=0))):
                rows = top + np.flatnonzero(some[top : top + band, first:last].any(axis=1))
                place = np.array([first, rows[0], last, rows[-1] + 1]) * nodes.step
                yield index, _Box(*np.minimum(place, (width, width // 2, width, width // 2)).tolist())


def _spans(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return [first, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _source(index: int, lens: Lens, nodes: _Nodes, reduction: int) -> _Source:
    owned = nodes.shares[index] > 0
    if not any(lens.photometry.vignetting) or not owned.any():
        return _Source(index, reduction, None, 1.0)
    shade = _shade(lens, nodes.maps[index])
    return _Source(index, reduction, shade, float(shade[owned].max()))


def _write_patch(folder: Path, name: str, nodes: _Nodes, source: _Source, box: _Box) -> dict[str, Any]:
    fixed, fraction = _fixed_point(nodes, source, box)
    arrays = {"fixed": fixed, "fraction": fraction, "alpha": _alpha(nodes, source, box)}
    if source.shade is not None:
        arrays["shade"] = _scaled(_raise(source.shade, nodes.step, box) / source.shade_peak)
    for part, array in arrays.items():
        np.save(folder / f"{name}.{part}.npy", array)
    shade = {"shaded": source.shade is not None, "shade_peak": source.shade_peak}
    return {"name": name, "lens": source.index, "x": box.left, "y": box.top, **shade}


def _fixed_point(nodes: _Nodes, source: _Source, box: _Box) -> tuple[NDArray[Any], NDArray[Any]]:
    maps = (_raise(nodes.maps[source.index], nodes.step, box) + 0.5) / source.reduction - 0.5
    return cv2.convertMaps(maps[..., 0], maps[..., 1], cv2.CV_16SC2)


def _alpha(nodes: _Nodes, source: _Source, box: _Box) -> NDArray[np.uint8]:
    """Return how much a patch covers of what lies below: lenses are laid one over the other, and all shares must come out right."""
    share = _raise(nodes.shares[source.index], nodes.step, box)
    beneath = _raise(1 - nodes.shares[source.index + 1 :].sum(axis=0), nodes.step, box)
    return _scaled(share / np.maximum(beneath, 1e-6))


def _scaled(share: Floats) -> NDArray[np.uint8]:
    return np.rint(_OPAQUE * np.clip(share, 0, 1)).astype(np.uint8)


def _raise(grid: Floats, step: int, box: _Box) -> NDArray[np.float32]:
    """Return nodes [h, w, ...] interpolated at the pixels of `box`."""
    matrix = np.array([[1 / step, 0, box.left / step + 1], [0, 1 / step, box.top / step + 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    source = np.ascontiguousarray(grid, np.float32)
    return cv2.warpAffine(
        source, matrix, (box.right - box.left, box.bottom - box.top), flags=flags, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)


def _write_overview(folder: Path, rig: Rig, recipe: StitchRecipe, nodes: _Nodes) -> list[int]:
    ends = proxy.points(equirect.rays(OVERVIEW), rig.height_above_ground, recipe.proxy_distance)
    found = [seams.border_distance(lens, _seen_by(lens, ends)) for lens in rig.lenses]
    shrink = np.array([_reduction(lens, OVERVIEW, 64) for lens in rig.lenses])
    pixels = np.stack([pixels for _, pixels in found])
    np.save(folder / "overview.maps.npy", ((pixels + 0.5) / shrink[:, None, None, None] - 0.5).astype(np.float32))
    np.save(folder / "overview.seen.npy", np.stack([distance > 0 for distance, _ in found]))
    np.save(folder / "overview.shares.npy", np.stack([_at_overview(share, nodes.step, recipe.width) for share in nodes.shares]))
    shades = [_shade(lens, place) for lens, place in zip(rig.lenses, pixels, strict=True)]
    np.save(folder / "overview.shades.npy", np.stack(shades))
    return [int(by) for by in shrink]


def _at_overview(share: NDArray[np.float32], step: int, width: int) -> NDArray[np.float32]:
    centres = (np.arange(OVERVIEW, dtype=np.float32) + 0.5) * (width / OVERVIEW) - 0.5
    place = centres / step + 1
    across, down = np.meshgrid(place, place[: OVERVIEW // 2])
    return cv2.remap(share, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR).astype(np.float32)


def _open(folder: Path) -> Tables:
    plan = json.loads((folder / "plan.json").read_text())
    parts = {part: np.load(folder / f"overview.{part}.npy") for part in ("maps", "seen", "shares", "shades")}
    overview = Overview(**parts, shrink=tuple(plan["shrink"]))
    return Tables(
        width=plan["width"],
        lenses=tuple(plan["lenses"]),
        reduction=tuple(plan["reduction"]),
        patches=tuple(_open_patch(folder, entry) for entry in plan["patches"]),
        overview=overview,
    )


def _open_patch(folder: Path, entry: dict[str, Any]) -> Patch:
    parts = {part: _mapped(folder / f"{entry['name']}.{part}.npy") for part in ("fixed", "fraction", "alpha")}
    shade = _mapped(folder / f"{entry['name']}.shade.npy") if entry["shaded"] else None
    runs = _runs(parts["alpha"], entry["y"])
    return Patch(entry["lens"], entry["x"], entry["y"], **parts, shade=shade, shade_peak=entry["shade_peak"], runs=runs)


def _runs(alpha: NDArray[np.uint8], y: int) -> dict[int, tuple[Run, ...]]:
    strips = range(y // STRIP * STRIP, y + alpha.shape[0], STRIP)
    return {strip: tuple(_strip_runs(alpha, max(0, strip - y), min(alpha.shape[0], strip - y + STRIP))) for strip in strips}


def _strip_runs(alpha: NDArray[np.uint8], top: int, bottom: int) -> Iterator[Run]:
    """Yield the runs of whole blocks of columns in which alpha is not 0 throughout."""
    starts = np.arange(0, alpha.shape[1], _BLOCK)
    highest = np.maximum.reduceat(alpha[top:bottom].max(axis=0), starts)
    lowest = np.minimum.reduceat(alpha[top:bottom].min(axis=0), starts)
    kind = np.where(highest == 0, 0, np.where(lowest == _OPAQUE, 2, 1))
    cuts = np.flatnonzero(np.diff(kind, prepend=-1))
    for left, right, what in zip(starts[cuts], [*starts[cuts[1:]], alpha.shape[1]], kind[cuts], strict=True):
        if what:
            yield Run(top, bottom, int(left), int(right), bool(what > 1))


def _mapped(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))
