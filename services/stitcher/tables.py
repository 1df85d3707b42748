"""The remap tables of a rig under a recipe: computed once, kept on disk, mapped into memory and shared by every process.

Everything is smooth, so it is kept on a coarse grid of the panorama (see `sheets`): where each lens sees what lies there, what it
contributes, what undoes its vignetting. A few megabytes a lens, whatever the panorama's size.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect
from panoveil.pixels.lenses import NOWHERE
from services.stitcher import layout, proxy, seams
from services.stitcher.photometry import Shade
from services.stitcher.sheets import Sheet, padded
from services.stitcher.zones import Zone, find_zones

Floats = NDArray[np.floating[Any]]

FORMAT = 3
"""Raised when what lies on disk changes its meaning."""

OVERVIEW = 512
"""Width of the small panorama on which exposure, quality and the unseen parts are worked out."""

_LARGEST_STEP = 8
_NODES = 1024
_OPAQUE = 255
_WIDE = np.ones((7, 7), np.uint8)


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
class Nodes:
    """The coarse grid of a whole panorama, padded by a node on every side as `Sheet` wants it.

    `maps` float32 [L, h, w, 2] into the lenses' reduced images, `shares` float32 [L, h, w], `sees` uint8 [L, h, w] 1 where the lens
    sees well.
    """

    maps: NDArray[np.float32]
    shares: NDArray[np.float32]
    sees: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tables:
    """What stitching a rig needs.

    `reduction` is the whole factor by which each lens's image is shrunk before it is sampled, `shades` what undoes the vignetting of
    lenses that have any, `places` float64 [L, 3] the lens centres in metres, in the panorama's axes, `runs` what
    is drawn in every strip, `zones` where seams are drawn from between the lenses, and `turn` float64 [3, 3] takes rays of the panorama into
    the rig frame where the two differ.
    """

    width: int
    step: int
    lenses: tuple[str, ...]
    reduction: tuple[int, ...]
    shades: tuple[Shade | None, ...]
    places: NDArray[np.float64]
    nodes: Nodes
    overview: Overview
    zones: tuple[Zone, ...]
    runs: tuple[tuple[layout.Run, ...], ...]
    turn: NDArray[np.float64] | None = None

    @property
    def height(self) -> int:
        """Rows of the panorama."""
        return self.width // 2

    def sheet(self, lens: int) -> Sheet:
        """Return a lens's map of the whole panorama."""
        return Sheet(self.step, 0, 0, self.width, self.nodes.maps[lens], self.nodes.shares[lens])

    def in_rig(self, rays: Floats) -> Floats:
        """Return rays [..., 3] of the panorama in the rig frame."""
        return rays if self.turn is None else rays @ self.turn.T

    def zone_maps(self, zone: Zone) -> NDArray[np.float32]:
        """Return the maps of a zone's two lenses on its nodes, float32 [2, h + 2, w + 2, 2]."""
        nodes = self.width // self.step
        columns = np.arange(zone.left - 1, zone.left + zone.columns + 1) % nodes + 1
        return np.stack([self.nodes.maps[lens][zone.top : zone.top + zone.rows + 2][:, columns] for lens in zone.pair])


def load(rig: Rig, recipe: StitchRecipe, cache: Path) -> Tables:
    """Return the tables from `cache`, building them there first where they are missing; several processes may do so at once.

    Tables that do not open (a disk that filled up, a machine that lost power) are built anew. `Rejected(UNKNOWN_RIG)` where no lens
    sees anything.
    """
    folder = cache / key(rig, recipe)
    if not (folder / "plan.json").exists():
        _publish(rig, recipe, folder)
    try:
        return _open(folder, rig, recipe)
    except (OSError, ValueError, KeyError, EOFError):
        shutil.rmtree(folder, ignore_errors=True)
    _publish(rig, recipe, folder)
    return _open(folder, rig, recipe)


def key(rig: Rig, recipe: StitchRecipe) -> str:
    """Return the name of the tables: it changes with all that decides them."""
    geometry = recipe.model_dump(mode="json", include={"width", "seam_width", "proxy_distance", "nadir_cap"})
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
    if not nodes.shares.any():
        raise Rejected(Reason.UNKNOWN_RIG, f"no lens of rig {rig.rig_id} sees anything: check rotations and intrinsics")
    for field in fields(nodes):
        np.save(folder / f"nodes.{field.name}.npy", getattr(nodes, field.name))
    peaks = [_write_shade(folder, lens, reduction(lens, recipe.width)) for lens in rig.lenses]
    shrink = _write_overview(folder, rig, recipe, nodes.shares)
    (folder / "plan.json").write_text(json.dumps({"peaks": peaks, "shrink": shrink}))


def _nodes(rig: Rig, recipe: StitchRecipe) -> Nodes:
    step = step_of(recipe.width)
    degrees = 360 * step / recipe.width
    ends = proxy.points(equirect.rays(recipe.width // step), rig.height_above_ground, recipe.proxy_distance)
    found = [_through(lens, ends, 1.5 * degrees) for lens in rig.lenses]
    distances = np.stack([distance for distance, _ in found])
    shares = seams.weights(distances, degrees, recipe.seam_width) * _above_cap(distances.shape[1], recipe.nadir_cap)
    reduced = [(maps + 0.5) / reduction(lens, recipe.width) - 0.5 for lens, (_, maps) in zip(rig.lenses, found, strict=True)]
    return Nodes(
        maps=_all_padded(reduced, np.float32),
        shares=_all_padded(list(shares), np.float32),
        sees=_all_padded(list(distances > 0), np.uint8),
    )


def step_of(width: int) -> int:
    """Return the pixels from node to node: a power of two that leaves enough nodes and divides strips and blocks."""
    return int(min(_LARGEST_STEP, 2 ** max(0, (width // _NODES).bit_length() - 1)))


def _all_padded(cores: Sequence[Any], dtype: Any) -> NDArray[Any]:
    return np.stack([padded(core).astype(dtype) for core in cores])


def _through(lens: Lens, ends: Floats, margin: float) -> tuple[Floats, NDArray[np.float32]]:
    """Return how far inside the lens's image points [h, w, 3] are, in degrees, 0 where it does not see them well, and where.

    Kept are nodes that are far from what the lens cannot image at all, for there the map means nothing. The margin goes from all distances, so that they still end at 0 instead of breaking off,
    which would show as a stair.
    """
    distance, maps = seams.border_distance(lens, _seen_by(lens, ends))
    imaged = cv2.erode(padded(maps[..., 0] > NOWHERE / 2).astype(np.uint8), _WIDE)[1:-1, 1:-1]
    kept: Floats = np.maximum(distance - margin, 0) * imaged
    return kept, maps


def _seen_by(lens: Lens, points: Floats) -> Floats:
    """Return points of the rig frame in the lens's frame: the inverse of a rotation is its transpose."""
    turned: Floats = (points - np.asarray(lens.position, points.dtype)) @ np.asarray(lens.rotation, points.dtype)
    return turned


def _above_cap(height: int, cap: float) -> Floats:
    """Return 1 where the panorama shows what lenses see, falling to 0 within `cap` degrees of the nadir, [h, 1]."""
    if not cap:
        return np.ones((height, 1), np.float32)
    from_nadir = 180 - (np.arange(height) + 0.5) / height * 180
    return np.clip(from_nadir - cap + 0.5, 0, 1)[:, None].astype(np.float32)


def _shade(lens: Lens, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / vignetting [...] at pixels [..., 2], within what a sane lens can need."""
    first, second, third = lens.photometry.vignetting
    x, y = pixels[..., 0] - lens.intrinsics.cx, pixels[..., 1] - lens.intrinsics.cy
    square = np.minimum((x * x + y * y) * (4 / (lens.width**2 + lens.height**2)), 1.5)
    fall_off = 1 + square * (first + square * (second + square * third))
    shade: Floats = 1 / np.clip(fall_off, 0.2, 2)
    return shade.astype(np.float32)


def _write_shade(folder: Path, lens: Lens, by: int) -> float | None:
    """Write what undoes the lens's vignetting on the pixels of its reduced frame; return what 255 of it stands for."""
    if not any(lens.photometry.vignetting):
        return None
    across, down = (by * (np.arange(size // by, dtype=np.float32) + 0.5) - 0.5 for size in (lens.width, lens.height))
    shade = _shade(lens, np.stack(np.meshgrid(across, down), axis=-1))
    np.save(folder / f"shade.{lens.name}.npy", np.rint(_OPAQUE * shade / shade.max()).astype(np.uint16) << 8)
    return float(shade.max())


def reduction(lens: Lens, width: int, most: int = 8) -> int:
    """Return the power of two by which a lens is finer than a panorama of `width`: sampling it unreduced would alias."""
    ratio = max(lens.intrinsics.fx, lens.intrinsics.fy) / (width / (2 * np.pi))
    return int(min(most, 2 ** int(np.log2(max(1.0, ratio)))))


def _write_overview(folder: Path, rig: Rig, recipe: StitchRecipe, shares: NDArray[np.float32]) -> list[int]:
    ends = proxy.points(equirect.rays(OVERVIEW), rig.height_above_ground, recipe.proxy_distance)
    found = [seams.border_distance(lens, _seen_by(lens, ends)) for lens in rig.lenses]
    shrink = np.array([reduction(lens, OVERVIEW, 64) for lens in rig.lenses])
    pixels = np.stack([pixels for _, pixels in found])
    np.save(folder / "overview.maps.npy", ((pixels + 0.5) / shrink[:, None, None, None] - 0.5).astype(np.float32))
    np.save(folder / "overview.seen.npy", np.stack([distance > 0 for distance, _ in found]))
    np.save(folder / "overview.shares.npy", np.stack([_at_overview(share) for share in shares]))
    shades = [_shade(lens, place) for lens, place in zip(rig.lenses, pixels, strict=True)]
    np.save(folder / "overview.shades.npy", np.stack(shades))
    return [int(by) for by in shrink]


def _at_overview(share: NDArray[np.float32]) -> NDArray[np.float32]:
    nodes = share.shape[1] - 2
    centres = (np.arange(OVERVIEW, dtype=np.float32) + 0.5) * (nodes / OVERVIEW) + 0.5
    across, down = np.meshgrid(centres, centres[: OVERVIEW // 2])
    return cv2.remap(share, across, down, cv2.INTER_LINEAR).astype(np.float32)


def _open(folder: Path, rig: Rig, recipe: StitchRecipe) -> Tables:
    plan = json.loads((folder / "plan.json").read_text())
    parts = {part: np.load(folder / f"overview.{part}.npy") for part in ("maps", "seen", "shares", "shades")}
    nodes = Nodes(**{field.name: _mapped(folder / f"nodes.{field.name}.npy") for field in fields(Nodes)})
    step, places = step_of(recipe.width), np.array([lens.position for lens in rig.lenses], np.float64)
    zones = find_zones(nodes.shares, nodes.sees, step, places, recipe)
    return Tables(
        width=recipe.width,
        step=step,
        lenses=tuple(lens.name for lens in rig.lenses),
        reduction=tuple(reduction(lens, recipe.width) for lens in rig.lenses),
        shades=tuple(_open_shade(folder, lens, peak) for lens, peak in zip(rig.lenses, plan["peaks"], strict=True)),
        places=places,
        nodes=nodes,
        overview=Overview(**parts, shrink=tuple(plan["shrink"])),
        zones=zones,
        runs=layout.runs(nodes.shares, step, [zone.area for zone in zones]),
    )


def _open_shade(folder: Path, lens: Lens, peak: float | None) -> Shade | None:
    return None if peak is None else Shade(_mapped(folder / f"shade.{lens.name}.npy"), peak)


def _mapped(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))
