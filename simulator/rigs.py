"""The demo's rig: five portrait fisheye lenses around, in the manner of survey cameras on car roofs."""

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import KannalaBrandt, Lens, Matrix3, Photometry, Rig

NAMES = ("front", "right", "rear-right", "rear-left", "left")
LENS_PIXELS_PER_PANORAMA_PIXEL = 1.15
RADIUS = 0.06
"""Metres from the rig's origin to each lens centre."""

_ACROSS = np.radians(92)
_ALONG = np.radians(150)
_LIFT = np.radians(17.5)
_GAINS = ((1.0, 1.0, 1.0), (0.97, 1.0, 1.02), (1.03, 0.99, 0.97), (0.98, 1.02, 1.01), (1.02, 0.98, 1.0))


def demo_rig(panorama_width: int) -> Rig:
    """Return five lenses of 92 x 150 degrees, 72 degrees apart, whose resolution matches a panorama of that width.

    They overlap by 20 degrees at the horizon and see from -57 degrees to beyond the zenith.
    """
    lenses = tuple(_lens(index, panorama_width) for index in range(len(NAMES)))
    return Rig(rig_id=f"demo5-{panorama_width}", height_above_ground=2.5, lenses=lenses)


def matched_panorama_width(rig: Rig) -> int:
    """Return the panorama width in pixels, a multiple of 32, that the sharpest lens of the rig can feed."""
    sharpest = max(max(lens.intrinsics.fx, lens.intrinsics.fy) for lens in rig.lenses)
    return max(32, round(sharpest * 2 * np.pi / LENS_PIXELS_PER_PANORAMA_PIXEL / 32) * 32)


def turned(yaw: float, pitch: float, roll: float = 0.0) -> NDArray[np.float64]:
    """Return the rotation float64 [3, 3] from a frame that looks `yaw` to the right and `pitch` up, radians, to its parent.

    `roll` is positive with the right side down.
    """
    right = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    up = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    clockwise = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(right @ up @ clockwise, np.float64)


def _lens(index: int, panorama_width: int) -> Lens:
    focal = LENS_PIXELS_PER_PANORAMA_PIXEL * panorama_width / (2 * np.pi)
    width, height = (2 * round(focal * angle / 2) for angle in (_ACROSS, _ALONG))
    yaw = 2 * np.pi * index / len(NAMES)
    return Lens(
        name=NAMES[index],
        width=width,
        height=height,
        intrinsics=_intrinsics(index, focal, width, height),
        rotation=as_matrix(turned(yaw, _LIFT)),
        position=(RADIUS * float(np.sin(yaw)), 0.0, RADIUS * float(np.cos(yaw))),
        photometry=Photometry(gain=_GAINS[index], vignetting=(-0.22 - 0.015 * index, 0.03, 0.0)),
    )


def _intrinsics(index: int, focal: float, width: int, height: int) -> KannalaBrandt:
    """No two lenses are made alike: the principal point and the distortion differ a little."""
    return KannalaBrandt(
        fx=focal,
        fy=focal,
        cx=(width - 1) / 2 + 0.002 * width * (index - 2),
        cy=(height - 1) / 2 - 0.0015 * height * (index - 2),
        k1=-0.012 + 0.002 * index,
        k2=0.001,
        max_theta=1.65,
    )


def as_matrix(rotation: NDArray[np.float64]) -> Matrix3:
    """Return a rotation [3, 3] in the form a rig holds."""
    first, second, third = ((float(row[0]), float(row[1]), float(row[2])) for row in rotation)
    return first, second, third
