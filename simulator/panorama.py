"""What a world looks like from the rig's origin: the panorama that a stitcher ought to make, exact and without any glass.

The sphere is cut into tiles of the panorama. Each is photographed by a perfect pinhole at the rig's origin that looks at its middle,
finer than the panorama, sampled twofold and averaged: neighbours meet without a seam, for they show one world from one point.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import BrownConrady, Lens, Rig
from panoveil.pixels import equirect, lenses
from simulator.drive import World
from simulator.rigs import as_matrix, turned
from simulator.stage import remembered_rays

Image = NDArray[np.uint8]

_ACROSS, _DOWN = 8, 4
_OVER = 2
"""Samples a panorama pixel, in either direction."""

_MARGIN = 4.0
"""Pixels of a pinhole's picture round what its tile needs: room for the cubic kernel."""


def panorama(world: World, rig: Rig, capture: int, width: int, finer: float = 1.5) -> Image:
    """Return what is to be seen from the rig's origin at a capture, RGB uint8 [width / 2, width, 3]; width a multiple of 8.

    `finer` is how many times as fine as the panorama the world is photographed.
    """
    if width % _ACROSS:
        raise ValueError(f"a panorama of {width} pixels cannot be cut into {_ACROSS} tiles")
    image = np.empty((width // 2, width, 3), np.uint8)
    focal = finer * width / (2 * np.pi)
    for place in _tiles(width):
        image[place] = _tile(world, rig, capture, _rays(place, width), focal)
    remembered_rays.cache_clear()
    return image


def _tiles(width: int) -> Iterator[tuple[slice, slice]]:
    side = width // _ACROSS
    for row in range(_DOWN):
        for column in range(_ACROSS):
            yield slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)


def _rays(place: tuple[slice, slice], width: int) -> NDArray[np.float32]:
    """Return the unit rays float32 [2 h, 2 w, 3] of a tile's samples."""
    rows, columns = (np.arange(_OVER * part.start, _OVER * part.stop) + 0.5 for part in place)
    yaw = (columns / (_OVER * width) - 0.5) * 2 * np.pi
    pitch = (0.5 - rows / (_OVER * (width // 2))) * np.pi
    return equirect.to_rays(yaw[None, :], pitch[:, None])


def _tile(world: World, rig: Rig, capture: int, rays: NDArray[np.float32], focal: float) -> Image:
    yaw, pitch = equirect.to_angles(rays[rays.shape[0] // 2, rays.shape[1] // 2])
    rotation = turned(float(yaw), float(pitch))
    lens = pinhole(rays @ rotation.astype(np.float32), rotation, focal)
    picture = world.frame(rig.model_copy(update={"lenses": (lens,)}), lens, capture)
    pixels, _ = lenses.project(lens.intrinsics, rays @ rotation.astype(np.float32))
    samples = cv2.remap(picture, pixels, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    size = (rays.shape[1] // _OVER, rays.shape[0] // _OVER)
    return np.asarray(cv2.resize(samples, size, interpolation=cv2.INTER_AREA), np.uint8)


def pinhole(seen: NDArray[np.float32], rotation: NDArray[np.float64], focal: float) -> Lens:
    """Return a perfect lens at the rig's origin, `focal` in pixels, whose picture just holds the rays [..., 3] of its own frame."""
    plane = (focal * seen[..., :2] / seen[..., 2:]).reshape(-1, 2)
    low, high = np.floor(plane.min(axis=0) - _MARGIN), np.ceil(plane.max(axis=0) + _MARGIN)
    width, height = (int(size) + 1 for size in high - low)
    intrinsics = BrownConrady(fx=focal, fy=focal, cx=float(-low[0]), cy=float(-low[1]))
    return Lens(name="pinhole", width=width, height=height, intrinsics=intrinsics, rotation=as_matrix(rotation))
