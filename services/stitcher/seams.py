"""Which lens a panorama pixel is taken from, and how neighbours share a seam."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import BrownConrady, Lens
from panoveil.pixels import lenses

Floats = NDArray[np.floating[Any]]

_TINY = 1e-6


def border_distance(lens: Lens, points: Floats) -> tuple[Floats, Floats]:
    """Return how far inside a lens's image points [..., 3] of its frame are, and where: degrees [...] and pixels [..., 2].

    The distance grows from 0 at the image's border towards its middle and weighs all borders together, so that it has no ridges:
    along a border, the lens that sees more sideways still wins. Points the lens does not see get 0.
    """
    pixels, visible = lenses.project(lens.intrinsics, points)
    off_axis = np.arctan2(np.hypot(points[..., 0], points[..., 1]), points[..., 2])
    margins = [*_image_margins(lens, pixels), np.minimum(lenses.edge(lens.intrinsics), np.pi) - off_axis]
    inverse = np.zeros_like(off_axis)
    for margin in margins:
        visible &= margin > 0
        inverse += 1 / np.maximum(margin, _TINY)
    return np.where(visible, np.degrees(1 / inverse), 0), pixels


def _image_margins(lens: Lens, pixels: NDArray[np.float32]) -> list[Floats]:
    """Return the angles in radians, measured along the image's axes, to its left, right, top and bottom border."""
    model = lens.intrinsics
    margins = []
    for axis, (focal, centre, size) in enumerate(((model.fx, model.cx, lens.width), (model.fy, model.cy, lens.height))):
        angle, low, high = (_angle(lens, (value - centre) / focal) for value in (pixels[..., axis], 0.0, size - 1.0))
        margins += [angle - low, high - angle]
    return margins


def _angle(lens: Lens, offset: Any) -> Any:
    return np.arctan(offset) if isinstance(lens.intrinsics, BrownConrady) else offset


def weights(distances: Floats, degrees: float, seam_width: float) -> NDArray[np.float32]:
    """Return each lens's share float32 [L, h, w] of every panorama pixel; what is missing to 1 no lens sees.

    `distances` [L, h, w] are border distances on an equirectangular grid of `degrees` a step, whose columns wrap round.
    Each pixel belongs to the lens in which it lies farthest from the border; ownership passes over `seam_width` degrees, linearly.
    """
    owner = np.where(distances.max(axis=0) > 0, distances.argmax(axis=0), -1)
    feather = min(0.5, seam_width / 2)
    shares = np.empty(distances.shape, np.float32)
    for index, distance in enumerate(distances):
        ramp = np.clip(0.5 + _signed_distance(owner == index) * (degrees / seam_width), 0, 1)
        shares[index] = ramp * np.clip(distance / feather, 0, 1)
    seen = np.clip(distances.sum(axis=0) / feather, 0, 1)
    shares *= seen / np.maximum(shares.sum(axis=0), _TINY)
    return shares


def _signed_distance(region: NDArray[np.bool_]) -> Floats:
    """Return the distance in grid steps to the region's rim, positive inside; columns wrap round."""
    pad = region.shape[1] // 4
    wrapped = np.pad(region, ((0, 0), (pad, pad)), mode="wrap").astype(np.uint8)
    inside = _distance(wrapped) - _distance(1 - wrapped)
    signed = inside - 0.5 * np.sign(inside)
    return signed[:, pad : pad + region.shape[1]]


def _distance(mask: NDArray[np.uint8]) -> Floats:
    if mask.all():
        return np.full(mask.shape, float(mask.shape[1]))
    return cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float32)
