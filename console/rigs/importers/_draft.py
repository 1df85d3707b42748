"""What every parser makes of its file: cameras in the file's own frame, and what a person should know of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Intrinsics, Photometry

Matrix = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


class Format(StrEnum):
    """What `--format` may say; the same stands at the front of an imported rig's id."""

    PANOVEIL = "panoveil"
    HUGIN = "hugin"
    KALIBR = "kalibr"
    OPENCV = "opencv"
    COLMAP = "colmap"
    OPENSFM = "opensfm"
    NUSCENES = "nuscenes"
    DOUBLE_SPHERE = "double-sphere"


class Axes(StrEnum):
    """How the axes of a file's frame lie in the car: `rig` is right, down, ahead; `ego` is ahead, left, up."""

    RIG = "rig"
    EGO = "ego"


class LensModel(StrEnum):
    """Which of OpenCV's two models four nameless coefficients belong to."""

    FISHEYE = "fisheye"
    PINHOLE = "pinhole"


PictureSize = Callable[[str], tuple[int, int] | None]
"""A lens's name to the (width, height) of its picture, or None where there is none at hand."""


@dataclass(frozen=True, slots=True)
class Pose:
    """`rotation` [3, 3] turns lens rays into the file's frame, `position` [3] is the lens centre there."""

    rotation: Matrix
    position: Matrix = field(default_factory=lambda: np.zeros(3))

    @classmethod
    def from_camera(cls, rotation: Matrix, translation: Matrix) -> "Pose":
        """Turn the other way round: x_lens = rotation @ x_frame + translation."""
        return cls(rotation.T, -rotation.T @ translation)


@dataclass(frozen=True, slots=True)
class Camera:
    """One lens as a file has it; `pose` is None where the file does not say where the lens looks."""

    name: str
    size: tuple[int, int]
    intrinsics: Intrinsics
    pose: Pose | None
    photometry: Photometry = field(default_factory=Photometry)


@dataclass(frozen=True, slots=True)
class Draft:
    """A calibration as read. `axes` is None where the format leaves them open; `grounded`: its frame's origin lies on the road."""

    format: Format
    cameras: tuple[Camera, ...]
    axes: Axes | None = Axes.RIG
    grounded: bool = False
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person adds to a file: see `panoveil rig import --help`.

    Angles in degrees, lengths in metres. `turn` is the yaw, pitch and roll of the file's frame in the car, `poses` stand in the rig
    frame and go before the file's own, `names` rename the lenses in the file's order, `fov` is the full angle that a fisheye images,
    `within` how many pixels a refitted lens may be off.
    """

    format: Format | None = None
    rig_id: str | None = None
    height: float | None = None
    size: tuple[int, int] | None = None
    axes: Axes | None = None
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    poses: dict[str, Pose] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    lens_model: LensModel | None = None
    fov: float | None = None
    within: float = 0.05


def turned(yaw: float, pitch: float, roll: float) -> Matrix:
    """Return the rotation [3, 3] of a lens that looks `yaw` to the right and `pitch` up and is rolled clockwise, in degrees.

    Clockwise as seen from behind the lens: its right side goes down. These are Hugin's angles too.
    """
    a, b, c = np.radians([yaw, pitch, roll])
    right = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    up = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    clockwise = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(right @ up @ clockwise, np.float64)
