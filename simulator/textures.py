"""Textures with their mip chain in one image, premultiplied by their alpha, and how to look things up in them."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_MOST_LEVELS = 11
_SHRINK = np.exp2(-np.arange(_MOST_LEVELS)).astype(np.float32)
_EVERY = 4
_ONE_TAP = 1.4
_FAR = np.float32(1e6)


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """An RGBA image uint8 [height, width, 4], premultiplied, and its halvings stacked below it in `atlas`."""

    atlas: Image
    width: int
    height: int
    tops: Floats
    rights: Floats
    bottoms: Floats

    @classmethod
    def of(cls, image: Image) -> Self:
        """Build from RGB uint8 [H, W, 3] or straight-alpha RGBA uint8 [H, W, 4]."""
        levels = _halvings(_premultiplied(image))
        sizes = np.array([level.shape[:2] for level in levels], np.float32)
        tops = np.concatenate([[0], np.cumsum(sizes[:-1, 0])]).astype(np.float32)
        return cls(_stacked(levels), image.shape[1], image.shape[0], tops, sizes[:, 1] - 1, sizes[:, 0] - 1)

    def alpha_at(self, across: Floats, down: Floats) -> Floats:
        """Return the opacity 0..1 float32 at texels of the finest level; 0 outside."""
        inside = (across >= 0) & (across < self.width) & (down >= 0) & (down < self.height)
        columns = np.clip(across, 0, self.width - 1).astype(np.intp)
        rows = np.clip(down, 0, self.height - 1).astype(np.intp)
        return np.where(inside, self.atlas[rows, columns, 3] / np.float32(255), np.float32(0)).astype(np.float32)


def sample(texture: Texture, across: Floats, down: Floats) -> Image:
    """Look up texels float32 [h, w] (0 is the texture's left or top edge) for neighbouring pixels.

    Return premultiplied RGBA uint8 [h, w, 4]: up to four taps along the longer side of each pixel's footprint, from the fitting
    level.
    """
    step_across, step_down, level = _footprint(texture, across, down)
    index = level.astype(np.intp)
    shrink = _SHRINK[index]
    top, right, bottom = texture.tops[index], texture.rights[index], texture.bottoms[index]
    across, down = np.clip(across, -_FAR, _FAR), np.clip(down, -_FAR, _FAR)
    longest = float((np.maximum(np.abs(step_across), np.abs(step_down)) * shrink).max())
    taps = []
    for offset in _taps(longest):
        x = np.clip((across + offset * step_across) * shrink - 0.5, 0, right)
        y = np.clip((down + offset * step_down) * shrink - 0.5, 0, bottom) + top
        taps.append(cv2.remap(texture.atlas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    while len(taps) > 1:
        taps = [cv2.addWeighted(first, 0.5, second, 0.5, 0) for first, second in zip(taps[::2], taps[1::2], strict=True)]
    return taps[0].astype(np.uint8, copy=False)


def _taps(longest: float) -> NDArray[np.float32]:
    """Return where along footprints of up to so many texels to look: 1, 2 or 4 shares of the footprint, evenly about 0."""
    count = 1 if longest < _ONE_TAP else 2 if longest < 2 * _ONE_TAP else 4
    return ((np.arange(count) + 0.5) / count - 0.5).astype(np.float32)


def _footprint(texture: Texture, across: Floats, down: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the longer side of each pixel's footprint as (across, down) in texels, and the level whose texels fit.

    Measured on every fourth pixel: footprints change slowly.
    """
    step = _EVERY if min(across.shape) > 2 * _EVERY else 1
    some_across, some_down = across[::step, ::step], down[::step, ::step]
    right = _change(some_across, 1, step), _change(some_down, 1, step)
    below = _change(some_across, 0, step), _change(some_down, 0, step)
    length_right = right[0] ** 2 + right[1] ** 2
    length_below = below[0] ** 2 + below[1] ** 2
    sideways = length_right > length_below
    longer = np.where(sideways, right[0], below[0]), np.where(sideways, right[1], below[1])
    texels = np.maximum(np.minimum(length_right, length_below), np.maximum(length_right, length_below) / 16)
    level = np.clip(np.round(0.5 * np.log2(np.maximum(texels, 1e-6))), 0, len(texture.tops) - 1)
    step_across, step_down, levels = (_spread(values, across.shape, step) for values in (*longer, level))
    return step_across, step_down, levels


def _change(values: Floats, axis: int, step: int) -> Floats:
    """Change from pixel to pixel, of the same shape; the last repeats the one before."""
    if values.shape[axis] == 1:
        return np.zeros_like(values)
    change = np.diff(values, axis=axis) / np.float32(step)
    return np.concatenate([change, change[-1:] if axis == 0 else change[:, -1:]], axis=axis)


def _spread(values: Floats, shape: tuple[int, ...], step: int) -> Floats:
    """Repeat every value `step` times both ways, cut to a shape."""
    if step == 1:
        return np.asarray(values, np.float32)
    size = (values.shape[1] * step, values.shape[0] * step)
    large = cv2.resize(np.asarray(values, np.float32), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(large[: shape[0], : shape[1]], np.float32)


def _premultiplied(image: Image) -> Image:
    if image.shape[2] == 3:  # noqa: PLR2004 - RGB
        return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA).astype(np.uint8, copy=False)
    alpha = np.ascontiguousarray(image[..., 3])
    fourfold = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    return cv2.multiply(image, fourfold, scale=1 / 255).astype(np.uint8, copy=False)


def _halvings(image: Image) -> list[Image]:
    levels = [image]
    while min(levels[-1].shape[:2]) > 1 and len(levels) < _MOST_LEVELS:
        height, width = levels[-1].shape[:2]
        smaller = cv2.resize(levels[-1], (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
        levels.append(smaller.astype(np.uint8, copy=False))
    return levels


def _stacked(levels: list[Image]) -> Image:
    height = sum(level.shape[0] for level in levels)
    atlas = np.zeros((height, levels[0].shape[1], 4), np.uint8)
    top = 0
    for level in levels:
        atlas[top : top + level.shape[0], : level.shape[1]] = level
        top += level.shape[0]
    return atlas
