"""Pictures with things in them that the twin of a detector finds."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import AnonymizeRecipe, Model
from panoveil.detection.views import View

Picture = NDArray[np.uint8]

FACE = (255, 0, 0)
PLATE = (0, 0, 255)
MODEL = Model(name="face", version="1", sha256="0" * 64, threshold=0.3)
RECIPE = AnonymizeRecipe(face=MODEL, plate=MODEL.model_copy(update={"name": "plate"}))
HASTY = RECIPE.model_copy(update={"verification_rounds": 1})
"""Gives up at once: later rounds count only what touches something that was hidden, which a ghost may not."""


def street(width: int = 1024, height: int = 512, seed: int = 3) -> Picture:
    """Soft texture of subdued colours, without an object."""
    rough = np.random.default_rng(seed).integers(80, 170, (height // 16, width // 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def paint(picture: Picture, colour: tuple[int, int, int], x: int, y: int, width: int, height: int) -> None:
    """Put an object at (x, y); beyond the right edge it goes on at the left."""
    picture[y : y + height, np.arange(x, x + width) % picture.shape[1]] = colour


def looks(plan: Sequence[View]) -> int:
    """How often a detector is asked to look through all of a plan."""
    return sum(len(view.kinds) for view in plan)
