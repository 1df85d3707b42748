"""Our stitcher through its public door, as its service goes through it."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.stitching.scenes import Scene
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.pixels import jpeg
from panoveil.pixels.spread import Spread, one_by_one
from services.stitcher import tables
from services.stitcher.stitch import stitch

Image = NDArray[np.uint8]

MODES = ("fast", "best")


def recipe(mode: str, width: int) -> StitchRecipe:
    """Return the recipe of a mode."""
    return StitchRecipe.model_validate({"width": width, "mode": mode})


def panorama(scene: Scene, mode: str, width: int, cache: Path) -> Image:
    """Return the panorama of a scene, as it is before it is encoded."""
    settings = recipe(mode, width)
    return stitch(scene.images, scene.rig, settings, tables.load(scene.rig, settings, cache)).image


class Line:
    """The whole way of a capture, JPEGs in, a JPEG out, with tables that are already there."""

    def __init__(self, rig: Rig, mode: str, width: int, cache: Path) -> None:
        self.rig, self.recipe = rig, recipe(mode, width)
        self.tables = tables.load(rig, self.recipe, cache)

    def alone(self, frames: Mapping[str, bytes]) -> bytes:
        """Do everything in this thread."""
        images = {name: jpeg.decode(data) for name, data in frames.items()}
        return self._encoded(stitch(images, self.rig, self.recipe, self.tables).image, one_by_one)

    def shared(self, frames: Mapping[str, bytes], workers: ThreadPoolExecutor) -> bytes:
        """Decode frames and draw strips in the pool's threads, as the service does."""
        images = dict(zip(frames, workers.map(jpeg.decode, frames.values()), strict=True))
        spread = partial(_spread, workers)
        return self._encoded(stitch(images, self.rig, self.recipe, self.tables, spread).image, spread)

    def _encoded(self, image: Image, spread: Spread) -> bytes:
        return jpeg.encode_patchable(image, self.recipe.jpeg_quality, spread)


def _spread(workers: ThreadPoolExecutor, work: Callable[[int], None], numbers: Iterable[int]) -> None:
    for _ in workers.map(work, numbers):
        pass
