"""What happens to cameras on a car roof: a mount that was knocked, a drop, mud, a cover left on."""

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Rig
from simulator.rigs import as_matrix

Image = NDArray[np.uint8]

_RIM = 0.3
_MUD = (60, 50, 40)


def knocked(rig: Rig, lens: str, turn: tuple[float, float, float]) -> Rig:
    """Return the rig as its mount really holds it: one lens is turned by a rotation vector in its own frame, degrees.

    Photograph with it and stitch with the rig it was.
    """
    rotation = cv2.Rodrigues(np.radians(turn))[0]
    lenses = tuple(
        each.model_copy(update={"rotation": as_matrix(np.asarray(each.rotation) @ rotation)}) if each.name == lens else each
        for each in rig.lenses
    )
    return rig.model_copy(update={"lenses": lenses})


def wet(frame: Image, place: tuple[float, float], radius: float) -> Image:
    """Return the frame uint8 [h, w, 3] with a drop on the glass: what lies behind is blurred beyond recognition.

    `place` (x, y) and `radius` are shares of the frame's width and height, and of its width.
    """
    size = radius * frame.shape[1]
    return _laid_over(frame, cv2.GaussianBlur(frame, (0, 0), size / 2), place, radius)


def muddy(frame: Image, place: tuple[float, float], radius: float) -> Image:
    """Return the frame uint8 [h, w, 3] with mud on the glass, as `wet` puts a drop."""
    return _laid_over(frame, np.full_like(frame, _MUD), place, radius)


def covered(frame: Image, seed: int) -> Image:
    """Return what the sensor records with the cover on: noise."""
    dark = np.random.default_rng(seed).poisson(2, frame.shape)
    return dark.astype(np.uint8)


def _laid_over(frame: Image, over: NDArray[np.generic], place: tuple[float, float], radius: float) -> Image:
    height, width = frame.shape[:2]
    down, across = np.mgrid[:height, :width]
    distance = np.hypot(across - place[0] * width, down - place[1] * height) / (radius * width)
    share = np.clip((1 - distance) / _RIM + 0.5, 0, 1)[..., None]
    mixed = frame * (1 - share) + over * share
    return np.asarray(np.rint(mixed), np.uint8)
