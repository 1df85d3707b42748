"""What no lens saw: the car beneath, perhaps the zenith. Filled smoothly and neutrally, so that nothing looks like a thing."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_NOTHING = 1e-4
_EAGER = 8
"""A pixel an eighth of which is known is taken as it is: what is near counts, not the average of far away."""

_TALLEST = 8
"""Columns are joined long before rows: the ground beneath the car should look like the road, not like the sky."""


def smooth(image: Floats, known: Floats) -> NDArray[np.float32]:
    """Return the small panorama [h, w, 3] with what is not `known` [h, w] (0-1) grown smoothly in from around; columns wrap round."""
    pad = image.shape[1] // 2
    weight = _wrapped(known[..., None], pad)
    grown = _pull(_wrapped(image, pad) * weight, weight)
    return cv2.GaussianBlur(grown, (0, 0), 2)[:, pad : pad + image.shape[1]].astype(np.float32)


def _wrapped(image: Floats, pad: int) -> NDArray[np.float32]:
    return np.pad(image, ((0, 0), (pad, pad), (0, 0)), mode="wrap").astype(np.float32)


def _pull(colour: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return colour / weight, and where weight is small, more and more of the same from a coarser image."""
    height, width = weight.shape[:2]
    own = np.divide(colour, np.maximum(weight, _NOTHING), dtype=np.float32)
    if max(height, width) == 1:
        return own
    half = (max(1, width // 2), height // 2 if width == 1 or height > _TALLEST * width else height)
    below = _pull(_resized(colour, half, cv2.INTER_AREA), _resized(weight, half, cv2.INTER_AREA))
    above = _resized(below, (width, height), cv2.INTER_LINEAR)
    trust: NDArray[np.float32] = np.minimum(np.float32(1), _EAGER * weight)
    return own * trust + above * (1 - trust)


def _resized(image: NDArray[np.float32], size: tuple[int, int], how: int) -> NDArray[np.float32]:
    """Resize, and keep the channels' axis, which OpenCV drops where there is one."""
    resized = cv2.resize(image, size, interpolation=how).astype(np.float32)
    return resized.reshape(size[1], size[0], -1)
