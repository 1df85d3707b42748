"""The array shapes that the modules hand to one another."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""uint8 [height, width, 3], RGB, or [height, width] for a mask."""

Boxes = npt.NDArray[np.float32]
"""float32 [count, 4]: x0, y0, x1, y1 in pixels of the image they belong to."""

Floats = npt.NDArray[np.float32]
"""float32 of any shape."""

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

NO_BOXES: Boxes = np.zeros((0, 4), np.float32)


@dataclass(frozen=True)
class Scene:
    """A picture with its plates, and the regions where nobody knows."""

    image: Pixels
    plates: Boxes
    unknown: Boxes


def stack(*parts: Boxes) -> Boxes:
    """Join box lists, any of which may be empty."""
    return np.concatenate([np.asarray(part, np.float32).reshape(-1, 4) for part in parts])


def corners_of(rows: list[list[float]]) -> Boxes:
    """Turn annotation rows [x, y, width, height] into corner boxes."""
    boxes = np.asarray(rows, np.float32).reshape(-1, 4).copy()
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def grow(boxes: Boxes, share: float) -> Boxes:
    """Grow every box by a share of its own size on each side."""
    margin = (boxes[:, 2:] - boxes[:, :2]) * share
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1).astype(np.float32)


def overlap(first: Boxes, second: Boxes) -> Floats:
    """Intersection over union of every pair: [len(first), len(second)]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    total = areas(first)[:, None] + areas(second)[None, :] - shared
    return np.asarray(shared / np.maximum(total, 1e-6), np.float32)


def touches(first: Boxes, second: Boxes) -> npt.NDArray[np.bool_]:
    """Whether each box of the first list meets any of the second: [len(first)]."""
    return np.asarray((overlap(first, second) > 0).any(axis=1), np.bool_)


def areas(boxes: Boxes) -> Floats:
    """Area of each box in square pixels: [count]."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.float32)
