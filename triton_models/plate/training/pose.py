"""Turn a flat plate in space and lay it into a picture."""

from dataclasses import dataclass

import cv2
import numpy as np

from .arrays import Boxes, Floats, Pixels

LABEL_MARGIN = 0.08
"""Synthetic boxes are grown by this share a side, because people draw boxes loosely."""

READABLE = 18.0
"""Pixels: plates this tall may be turned further than smaller ones, and still be read."""


@dataclass(frozen=True)
class Pose:
    """Corners of a plate in the picture, clockwise from the upper left: float32 [4, 2], pixels."""

    corners: Floats

    def box(self, margin: float = LABEL_MARGIN) -> Boxes:
        """Return the upright box around the plate: [1, 4]."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        edge = (high - low) * margin
        return np.concatenate([low - edge, high + edge])[None].astype(np.float32)

    def moved(self, centre: tuple[float, float]) -> "Pose":
        """Return the same pose around another centre."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        shift = np.asarray(centre, np.float32) - (low + high) / 2
        return Pose((self.corners + shift).astype(np.float32))


def random_pose(rng: np.random.Generator, aspect: float, height: float, *, calm: bool = False) -> Pose:
    """Turn a plate of the given width-to-height ratio so that its upright box is `height` pixels tall.

    A calm pose faces the camera within 20 degrees; otherwise the yaw reaches 65, of a plate tall enough to be read even then 76, and half
    of the time the camera looks down on the plate by up to 40 degrees, as a survey car's does on parked cars: turned and seen from
    above, a plate is slanted.
    """
    steepest = 76.0 if height >= READABLE else 65.0
    limit = 20.0 if calm else float(rng.choice([15.0, 35.0, steepest], p=[0.35, 0.3, 0.35]))
    down = rng.uniform(5, 40) if not calm and rng.random() < 0.5 else rng.uniform(-12, 12)
    turn = np.radians([rng.uniform(-limit, limit), down, float(np.clip(rng.normal(0, 3), -9, 9))])
    flat = np.array([[-aspect, -1, 0], [aspect, -1, 0], [aspect, 1, 0], [-aspect, 1, 0]]) / 2
    solid = flat @ _rotation(turn).T
    distance = aspect * rng.uniform(3, 15)
    seen = solid[:, :2] / (1 + solid[:, 2:] / distance)
    return Pose((seen * height / np.ptp(seen[:, 1])).astype(np.float32))


def _rotation(turn: Floats) -> Floats:
    """Rotation matrix [3, 3] of yaw, pitch and roll in radians."""
    yaw, pitch, roll = turn
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y, np.float32)


def lay(image: Pixels, patch: Pixels, pose: Pose) -> None:
    """Paint a patch into the picture at a pose, in place, with soft edges and no aliasing."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = pose.box(0)[0]
    left, top = max(int(x0) - 1, 0), max(int(y0) - 1, 0)
    right, bottom = min(int(x1) + 3, width), min(int(y1) + 3, height)
    if right <= left or bottom <= top:
        return
    small = _shrunk(patch, pose)
    local = ((pose.corners - (left, top)) * 2).astype(np.float32)
    size = ((right - left) * 2, (bottom - top) * 2)
    plate, share = _warped(small, local, size)
    region = image[top:bottom, left:right].astype(np.float32)
    image[top:bottom, left:right] = region * (1 - share) + plate * share


def _shrunk(patch: Pixels, pose: Pose) -> Pixels:
    """Shrink a patch to about twice the size it will have in the picture."""
    edges = np.linalg.norm(pose.corners - np.roll(pose.corners, -1, axis=0), axis=1)
    width, height = 2 * max(edges[0], edges[2]), 2 * max(edges[1], edges[3])
    size = (max(int(min(width, patch.shape[1])), 4), max(int(min(height, patch.shape[0])), 4))
    return np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_AREA), np.uint8)


def _warped(patch: Pixels, corners: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Warp at twice the size and average down: the picture and its share, float32, half of `size`."""
    height, width = patch.shape[:2]
    origin = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(origin, corners)
    plate = cv2.warpPerspective(patch, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size)
    half = (size[0] // 2, size[1] // 2)
    plate, mask = cv2.resize(plate, half, interpolation=cv2.INTER_AREA), cv2.resize(mask, half, interpolation=cv2.INTER_AREA)
    return np.asarray(plate, np.float32), np.asarray(mask[..., None] / 255.0, np.float32)
