"""One look at a capture's lenses: what each is worth now, and what the drive's watch should remember of it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.messages import LensQuality
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from services.stitcher import dirt, drift, lens_quality, photometry
from services.stitcher.tables import Overview

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FEWEST_PIXELS = 20


@dataclass(frozen=True, slots=True)
class Spots:
    """Where a rig's frames are looked at: tiles, windows in the overlaps, cells bool [L, h, w] of the small panorama."""

    tiles: lens_quality.Tiles
    windows: drift.Windows
    cells: NDArray[np.bool_]

    @classmethod
    def of(cls, rig: Rig, recipe: StitchRecipe, overview: Overview) -> "Spots":
        """Lay them out, once a rig."""
        windows = drift.windows(rig, recipe.proxy_distance)
        return cls(lens_quality.tiles(rig), windows, dirt.cells_seen(overview.seen))


@dataclass(frozen=True, slots=True)
class Glance:
    """What a drive's watch remembers of a capture: what it says of turns, and squared detail and light float32 [L, h, w] of cells."""

    turns: drift.Turns
    squares: NDArray[np.float32]
    levels: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one capture shows: each lens's quality by itself, and the glance for the watch."""

    lenses: tuple[LensQuality, ...]
    glance: Glance


def inspect(frames: Sequence[Image], views: Floats, gains: Floats, rig: Rig, spots: Spots, overview: Overview) -> Inspection:
    """Look at the frames uint8 [h, w, 3] of a capture, in the rig's order.

    `views` float32 [L, h, w, 3] are the corrected lens images on the small panorama, `gains` [L, 3] the factors that corrected them.
    """
    brighter = (gains / photometry.rig_gains(rig)).mean(axis=1)
    lumas = views @ _LUMA
    measured = lens_quality.measure(rig, frames, spots.tiles, brighter, disagreements(lumas, overview.seen))
    lights = dirt.light(lumas)
    glance = Glance(drift.measure(frames, spots.windows), dirt.detail(lights) ** 2, dirt.levels(lights, spots.cells))
    return Inspection(measured, glance)


def disagreements(lumas: Floats, seen: NDArray[np.bool_]) -> list[float | None]:
    """Return each lens's mean absolute luma difference to its neighbours, of lumas and bool [L, h, w]; None where it has none.

    Every other row and column will do.
    """
    lumas, seen = lumas[:, ::2, ::2], seen[:, ::2, ::2]
    totals, counts = np.zeros(len(lumas)), np.zeros(len(lumas))
    for one, other in itertools.combinations(range(len(lumas)), 2):
        both = seen[one] & seen[other]
        total = np.abs(lumas[one][both] - lumas[other][both]).sum()
        totals[[one, other]] += total
        counts[[one, other]] += both.sum()
    return [float(total / count) if count >= _FEWEST_PIXELS else None for total, count in zip(totals, counts, strict=True)]
