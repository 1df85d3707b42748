"""One lens at one place in the world: where it sees each point, and which ray each of its pixels sees."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens
from panoveil.pixels import lenses
from simulator.rigs import turned

Floats = NDArray[np.floating[Any]]

_COARSE = 8


@dataclass(frozen=True, slots=True)
class Station:
    """Where the rig's origin is in the world (x right, y down, z along the street, metres), where it heads and how it leans (radians).

    `pitch` is positive with the nose up, `roll` with the right side down.
    """

    x: float
    y: float
    z: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def place(self) -> NDArray[np.float64]:
        """The origin, float64 [3]."""
        return np.array([self.x, self.y, self.z])

    @property
    def rotation(self) -> NDArray[np.float64]:
        """Rig frame to world, float64 [3, 3]."""
        return turned(self.yaw, self.pitch, self.roll)

    @property
    def level(self) -> "Station":
        """The same with its car level: the frame of a panorama that was levelled."""
        return replace(self, pitch=0.0, roll=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A lens standing in the world: unit rays float32 [H, W, 3] in world directions, from `eye` float64 [3]."""

    lens: Lens
    eye: NDArray[np.float64]
    rotation: NDArray[np.float64]
    rays: NDArray[np.float32]

    def project(self, points: Floats) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return pixels float32 [..., 2] of world points [..., 3] and bool [...]: can the lens image them at all."""
        return lenses.project(self.lens.intrinsics, (points - self.eye) @ self.rotation)

    def may_see(self, place: Floats, radius: float) -> bool:
        """Whether a ball in the world could be on the sensor: a quick look."""
        apart = (np.asarray(place) - self.eye) @ self.rotation
        distance = float(np.linalg.norm(apart))
        if distance <= radius:
            return True
        off_axis = np.arccos(np.clip(apart[2] / distance, -1, 1)) - np.arcsin(radius / distance)
        return bool(off_axis < lenses.edge(self.lens.intrinsics))

    def sees(self, points: Floats) -> NDArray[np.bool_]:
        """Return bool [...]: world points [..., 3] that fall on the sensor, whatever may stand before them."""
        pixels, valid = self.project(points)
        size = np.array([self.lens.width, self.lens.height])
        inside = np.abs(pixels - (size - 1) / 2) < size / 2
        return np.asarray(valid & inside.all(axis=-1))


def lens_rays(lens: Lens) -> NDArray[np.float32]:
    """Return the unit rays float32 [H, W, 3] of every pixel in the rig frame.

    Exact on a grid of eight pixels and linear between: less than a fiftieth of a pixel off.
    """
    columns, rows = lens.width // _COARSE + 3, lens.height // _COARSE + 3
    across = (np.arange(columns) - 0.5) * _COARSE - 0.5
    down = (np.arange(rows) - 0.5) * _COARSE - 0.5
    coarse = lenses.unproject(lens.intrinsics, np.stack(np.meshgrid(across, down), axis=-1))
    fine = cv2.resize(coarse, (columns * _COARSE, rows * _COARSE), interpolation=cv2.INTER_LINEAR)
    fine = fine[_COARSE : _COARSE + lens.height, _COARSE : _COARSE + lens.width]
    fine = fine @ np.array(lens.rotation, np.float32).T
    return np.ascontiguousarray(fine / np.linalg.norm(fine, axis=-1, keepdims=True), np.float32)


def stand(lens: Lens, rays: NDArray[np.float32], station: Station) -> View:
    """Place a lens, with its `lens_rays`, in the world."""
    eye = station.place + station.rotation @ np.array(lens.position)
    straight = station.yaw == station.pitch == station.roll == 0
    world = rays if straight else rays @ station.rotation.T.astype(np.float32)
    return View(lens, eye, station.rotation @ np.array(lens.rotation), world)
