"""Lateral chromatic aberration undone: red and blue are laid over green, which stays as it is."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens
from panoveil.pixels import light
from panoveil.pixels.spread import Spread, one_by_one

Image = NDArray[np.uint8]
Maps = NDArray[np.float32]

_ROWS = 64
_RED, _BLUE = 0, 2


def needed(lens: Lens) -> bool:
    """Say whether the lens's calibration knows of any."""
    return any(lens.chromatic.red) or any(lens.chromatic.blue)


def corrected(frame: Image, lens: Lens, spread: Spread = one_by_one) -> Image:
    """Return the frame uint8 [h, w, 3] RGB with red and blue sampled (cubic) where the lens put them; itself where it put them right.

    The frame may be a reduced one: its width says by how much.
    """
    if not needed(lens):
        return frame
    result = np.empty_like(frame)

    def correct(top: int) -> None:
        result[top : top + _ROWS] = _corrected_rows(frame, lens, slice(top, min(top + _ROWS, frame.shape[0])))

    spread(correct, range(0, frame.shape[0], _ROWS))
    return result


def _corrected_rows(frame: Image, lens: Lens, rows: slice) -> Image:
    channels = [np.ascontiguousarray(frame[rows, :, channel]) for channel in range(3)]
    for channel, across, down in _maps(frame, lens, rows):
        first, last = _reach(down, frame.shape[0])
        source = np.ascontiguousarray(frame[first:last, :, channel])
        channels[channel] = np.asarray(
            cv2.remap(source, across, down - np.float32(first), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
        )
    return np.asarray(cv2.merge(channels), np.uint8)


def _maps(frame: Image, lens: Lens, rows: slice) -> Iterator[tuple[int, Maps, Maps]]:
    """Yield each channel that is displaced and where its pixels of `rows` lie in the frame, float32 [h, w] each."""
    reduction = round(lens.width / frame.shape[1])
    centre = (np.array([lens.intrinsics.cx, lens.intrinsics.cy]) + 0.5) / reduction - 0.5
    across = (np.arange(frame.shape[1]) - centre[0]).astype(np.float32)[None, :]
    down = (np.arange(rows.start, rows.stop) - centre[1]).astype(np.float32)[:, None]
    square = (across**2 + down**2) * np.float32(4 * reduction**2 / (lens.width**2 + lens.height**2))
    for channel, shift in ((_RED, lens.chromatic.red), (_BLUE, lens.chromatic.blue)):
        if any(shift):
            factor = np.asarray(light.magnified(shift, square), np.float32)
            yield channel, factor * across + np.float32(centre[0]), factor * down + np.float32(centre[1])


def _reach(down: Maps, height: int, margin: int = 3) -> tuple[int, int]:
    """Return the first and, one beyond, the last row of the frame that a strip is sampled from."""
    return int(np.clip(down.min() - margin, 0, height - 1)), int(np.clip(down.max() + margin + 1, 1, height))
