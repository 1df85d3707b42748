"""A photographed panorama painted on a street with depth: from the rig's origin it looks just like the photograph, from anywhere else not.

A flat road, four walls at different distances, blocks as of parked cars before them, a sky infinitely far away. What a lens meets along
a ray shows what the photograph has in that point's direction from the origin. So lenses off the origin see true parallax; a strip
that the origin does not see shows what hides it, twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect
from simulator.stage import remembered_rays
from simulator.truth import TrueObject
from simulator.views import Station

Image = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

_BORDER = 4
_ROWS_AT_ONCE = 256
_SKY = 1e5
_PARALLEL = 1e-9


@dataclass(frozen=True, slots=True)
class Block:
    """A box on the road along the axes of the rig frame (x right, z forward): metres from the origin, and its height."""

    left: float
    right: float
    back: float
    front: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Distances in metres to the walls left, right, ahead and behind, their height above the road, and what stands before them."""

    left: float = 7.0
    right: float = 9.0
    ahead: float = 40.0
    behind: float = 40.0
    wall: float = 9.0
    blocks: tuple[Block, ...] = (
        Block(-4.9, -3.1, 4.0, 8.4, 1.5),
        Block(-4.9, -3.1, -5.5, -1.2, 1.5),
        Block(3.3, 5.1, -1.5, 2.8, 1.45),
        Block(3.4, 5.2, 5.0, 9.4, 1.7),
        Block(3.2, 5.0, -9.0, -4.6, 1.5),
        Block(-1.2, 0.7, -13.0, -8.5, 1.5),
    )


class Painted:
    """A world of one capture a panorama: RGB uint8 [W / 2, W, 3] each."""

    def __init__(self, panoramas: Sequence[Image], layout: Layout | None = None) -> None:
        self._panoramas = [cv2.copyMakeBorder(each, 0, 0, _BORDER, _BORDER, cv2.BORDER_WRAP) for each in panoramas]
        self._layout = layout or Layout()

    def station(self, capture: int) -> Station:
        """Return where the rig stands: every panorama is a street of its own."""
        if not 0 <= capture < len(self._panoramas):
            raise IndexError(f"there are {len(self._panoramas)} panoramas, there is no number {capture}")
        return Station(0.0, 0.0, 10.0 * capture)

    def frame(self, rig: Rig, lens: Lens, capture: int) -> Image:
        """Return what the lens would see through perfect glass, RGB uint8 [H, W, 3]."""
        eye, rays = np.asarray(lens.position, np.float32), remembered_rays(lens)
        frame = np.empty(rays.shape, np.uint8)
        for row in range(0, len(rays), _ROWS_AT_ONCE):
            part = rays[row : row + _ROWS_AT_ONCE]
            points = eye + part * reach(eye, part, rig.height_above_ground, self._layout)[..., None]
            frame[row : row + _ROWS_AT_ONCE] = self._seen(points, capture)
        return frame

    def truth(self, rig: Rig, capture: int, panorama_width: int) -> tuple[TrueObject, ...]:  # noqa: ARG002 - as every world's
        """Return nothing: who is in the photographs is not known."""
        return ()

    def _seen(self, points: Floats, capture: int) -> Image:
        bordered = self._panoramas[capture]
        pixels = equirect.to_pixels(points, bordered.shape[1] - 2 * _BORDER) + np.array([_BORDER, 0], np.float32)
        return np.asarray(
            cv2.remap(bordered, pixels, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),  # type: ignore[call-overload]
            np.uint8,
        )


def reach(eye: Floats, rays: Floats, height: float, layout: Layout) -> Floats:
    """Return how far it is, metres [...], from `eye` [3] along unit rays [..., 3] to what they meet first; the road is at y = height."""
    nearest = _plane(eye[1], rays[..., 1], height)
    top = height - layout.wall
    for axis, place in ((0, -layout.left), (0, layout.right), (2, layout.ahead), (2, -layout.behind)):
        distance = _plane(eye[axis], rays[..., axis], place)
        meets = eye[1] + rays[..., 1] * distance > top
        nearest = np.minimum(nearest, np.where(meets, distance, _SKY))
    for block in layout.blocks:
        nearest = np.minimum(nearest, _box(eye, rays, block, height))
    return nearest.astype(np.float32)


def _plane(start: float, way: Floats, place: float) -> Floats:
    distance = (place - start) / np.where(np.abs(way) < _PARALLEL, _PARALLEL, way)
    return np.where(distance > 0, np.minimum(distance, _SKY), _SKY)


def _box(eye: Floats, rays: Floats, block: Block, height: float) -> Floats:
    """Return where rays enter the box, far away where they do not: the last of three slabs entered before the first is left."""
    low = np.array([block.left, height - block.height, block.back], np.float32)
    high = np.array([block.right, height, block.front], np.float32)
    way = np.where(np.abs(rays) < _PARALLEL, np.float32(_PARALLEL), rays)
    one, other = (low - eye) / way, (high - eye) / way
    enter, leave = np.minimum(one, other).max(axis=-1), np.maximum(one, other).min(axis=-1)
    return np.where((enter < leave) & (enter > 0), enter, _SKY)
