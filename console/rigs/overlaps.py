"""What pairs of a rig's lenses see of the same places: samples for `photometry` out of the frames of a drive folder."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from console.rigs.photometry import Samples
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.messages import parse_manifest
from panoveil.contracts.reasons import Reason
from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, jpeg, light
from services.stitcher import proxy, seams

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]

FEWEST_CAPTURES = 3
_WIDTH = 512
_DISTANCE = 15.0
_INSIDE = 1.0
_DARK, _BRIGHT = 10.0, 242.0
_PER_PAIR = 200
_FEWEST = 30
_STEEP = 0.08
"""Log contrast from pixel to pixel of the small panorama at which a place is trusted half: parallax moves edges."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A small panorama of a rig: where in each lens's thumbnail its pixels lie, float32 [L, h, w, 2], their squared radii and who sees them.

    `shrink` says by how much each thumbnail is smaller than the frame; `areas` [h] weighs rows.
    """

    maps: NDArray[np.float32]
    squares: Floats
    seen: NDArray[np.bool_]
    shrink: tuple[int, ...]
    areas: Floats

    @classmethod
    def of(cls, rig: Rig) -> "Grid":
        """Lay the grid over the road and walls at 15 m; `Misconfigured` where no two lenses overlap."""
        points = proxy.points(equirect.rays(_WIDTH), rig.height_above_ground, _DISTANCE)
        found = [
            seams.border_distance(lens, (points - np.asarray(lens.position)) @ np.asarray(lens.rotation)) for lens in rig.lenses
        ]
        seen = np.stack([distance > _INSIDE for distance, _ in found])
        if (seen.sum(axis=0) > 1).sum() < _FEWEST:
            raise Misconfigured(f"no two lenses of rig {rig.rig_id} overlap: there is nothing to calibrate from")
        shrink = tuple(_shrink(lens) for lens in rig.lenses)
        maps = np.stack([(pixels + 0.5) / by - 0.5 for (_, pixels), by in zip(found, shrink, strict=True)])
        squares = np.stack([light.square_radius(lens, pixels) for lens, (_, pixels) in zip(rig.lenses, found, strict=True)])
        return cls(maps.astype(np.float32), squares, seen, shrink, _areas())


def _areas() -> Floats:
    """Return how much of the sphere a pixel of each row covers, [h]."""
    rows = _WIDTH // 2
    areas: Floats = np.cos((0.5 - (np.arange(rows) + 0.5) / rows) * np.pi)
    return areas


def _shrink(lens: Lens) -> int:
    return max(1, round(max(lens.intrinsics.fx, lens.intrinsics.fy) / (_WIDTH / (2 * np.pi))))


def chosen(folder: Path, most: int) -> list[Path]:
    """Return up to so many capture folders of a drive, evenly spread; `Misconfigured` where there are too few."""
    captures = sorted(path.parent for path in folder.glob(f"*/{MANIFEST_NAME}"))
    if len(captures) < FEWEST_CAPTURES:
        raise Misconfigured(f"{folder} holds {len(captures)} captures; calibrating takes {FEWEST_CAPTURES} or more, better 20")
    places = np.unique(np.linspace(0, len(captures) - 1, min(most, len(captures))).round().astype(int))
    return [captures[place] for place in places]


def sampled(captures: list[Path], rig: Rig, on_capture: Callable[[str, str], None]) -> list[Samples]:
    """Return every capture's samples; one that cannot be read is left out, and `on_capture` is told its name and why."""
    grid, found = Grid.of(rig), []
    for number, folder in enumerate(captures):
        try:
            found.append(sample(_frames(folder, rig), grid, number))
            on_capture(folder.name, "")
        except (Rejected, OSError) as error:
            on_capture(folder.name, str(error))
    if len(found) < FEWEST_CAPTURES:
        raise Misconfigured(
            f"only {len(found)} of {len(captures)} captures can be used; calibrating takes {FEWEST_CAPTURES} or more"
        )
    return found


def _frames(folder: Path, rig: Rig) -> list[Image]:
    manifest = parse_manifest((folder / MANIFEST_NAME).read_bytes())
    files = {frame.lens: folder / frame.file for frame in manifest.frames}
    missing = [lens.name for lens in rig.lenses if lens.name not in files]
    if missing:
        raise Rejected(Reason.FRAME_MISSING, f"no frame of {', '.join(missing)}")
    frames = [jpeg.decode(files[lens.name].read_bytes()) for lens in rig.lenses]
    for lens, frame in zip(rig.lenses, frames, strict=True):
        if frame.shape[:2] != (lens.height, lens.width):
            raise Rejected(Reason.WRONG_FRAME_SIZE, f"{lens.name} is not {lens.width} x {lens.height}")
    return frames


def sample(frames: list[Image], grid: Grid, seed: int) -> Samples:
    """Return the samples of one capture's frames uint8 [h, w, 3], in the rig's order; the same seed takes the same places."""
    views = np.stack([_view(frame, grid, index) for index, frame in enumerate(frames)])
    usable = grid.seen & np.all((views > _DARK) & (views < _BRIGHT), axis=-1)
    contrast = np.stack([_contrast(view) for view in views])
    rng = np.random.default_rng(seed)
    parts = [
        _pair(one, other, views, usable, contrast, grid, rng) for one, other in itertools.combinations(range(len(frames)), 2)
    ]
    kept = [part for part in parts if part is not None]
    if not kept:
        raise Rejected("no-overlap", "nowhere do two lenses see anything that is neither dark nor clipped")
    lenses, squares, values = (
        np.concatenate([getattr(part, name) for part in kept], axis=1) for name in ("lenses", "squares", "values")
    )
    return Samples(lenses, squares, values, np.concatenate([part.trust for part in kept]))


def _view(frame: Image, grid: Grid, index: int) -> NDArray[np.float32]:
    by = grid.shrink[index]
    height, width = frame.shape[0] // by, frame.shape[1] // by
    thumbnail = cv2.resize(frame[: height * by, : width * by], (width, height), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(thumbnail.astype(np.float32), (0, 0), 1.0)
    view = cv2.remap(blurred, grid.maps[index], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(view, np.float32)


def _contrast(view: NDArray[np.float32]) -> Floats:
    """Return how much the logarithm of the luma changes from pixel to pixel, [h, w]."""
    logs = np.log(np.maximum(view.mean(axis=-1), 1))
    down, across = np.gradient(logs)
    contrast: Floats = np.hypot(down, across)
    return contrast


def _pair(
    one: int,
    other: int,
    views: Floats,
    usable: NDArray[np.bool_],
    contrast: Floats,
    grid: Grid,
    rng: np.random.Generator,
) -> Samples | None:
    rows, columns = np.nonzero(usable[one] & usable[other])
    if len(rows) < _FEWEST:
        return None
    areas = grid.areas[rows]
    taken = rng.choice(len(rows), min(_PER_PAIR, len(rows) // 2), replace=False, p=areas / areas.sum())
    both = ([[one], [other]], rows[taken], columns[taken])
    steep = contrast[both].max(axis=0)
    lenses = np.repeat([[one], [other]], len(taken), axis=1)
    return Samples(lenses, grid.squares[both], views[both].astype(np.float64), 1 / (1 + (steep / _STEEP) ** 2))
