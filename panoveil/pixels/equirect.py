"""Equirectangular panoramas: pixels, angles and rays of the rig frame (x right, y down, z forward).

A panorama is W x W/2. Its centre column looks along the rig's z, yaw grows to the right, pitch upwards, both in radians.
Pixel (0, 0) is the centre of the top left pixel: yaw = ((u + .5) / W - .5) 2 pi, pitch = (.5 - (v + .5) / H) pi.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def rays(width: int, height: int | None = None) -> NDArray[np.float32]:
    """Return the unit rays float32 [H, W, 3] of the pixel centres; the height is half the width unless told."""
    rows = height or width // 2
    yaw = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    pitch = (0.5 - (np.arange(rows) + 0.5) / rows) * np.pi
    return to_rays(yaw[None, :], pitch[:, None])


def to_rays(yaw: Floats, pitch: Floats) -> NDArray[np.float32]:
    """Return the unit rays float32 [..., 3] of angles in radians; the two broadcast."""
    across = np.cos(pitch)
    parts = np.broadcast_arrays(across * np.sin(yaw), -np.sin(pitch), across * np.cos(yaw))
    return np.stack(parts, axis=-1, dtype=np.float32, casting="same_kind")


def to_angles(rays: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return yaw in [-pi, pi] and pitch in [-pi/2, pi/2] of rays [..., 3] of any length; float32, radians."""
    right, down, forward = rays[..., 0], rays[..., 1], rays[..., 2]
    yaw = np.arctan2(right, forward)
    pitch = np.arctan2(-down, np.hypot(right, forward))
    return yaw.astype(np.float32), pitch.astype(np.float32)


def to_pixels(rays: Floats, width: int) -> NDArray[np.float32]:
    """Return the pixels (u, v) float32 [..., 2] at which rays [..., 3] meet a panorama of `width` x `width / 2`.

    u lies in [-.5, width - .5]: a sampler must wrap columns round.
    """
    yaw, pitch = to_angles(rays)
    u = (yaw / (2 * np.pi) + 0.5) * width - 0.5
    v = (0.5 - pitch / np.pi) * (width // 2) - 0.5
    return np.stack([u, v], axis=-1).astype(np.float32)
