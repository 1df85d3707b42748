"""Smooth maps on a coarse grid, raised to pixels where and when they are drawn.

Where a lens sees a pixel of the panorama changes so smoothly that a node every few pixels says it to a hundredth of a pixel. Raising
a strip of nodes costs a fifth of sampling the frame; keeping every pixel's map would cost hundreds of megabytes a rig.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Nodes in the centres of cells of `step` x `step` pixels, one cell more on every side than the rectangle they serve.

    The rectangle's top left pixel is (`left`, `top`) of a panorama of `round` columns; beyond the last it goes on at the first. `maps` float32 [h + 2, w + 2, 2] are pixels of the lens's image as it is sampled, `share` float32 [h + 2, w + 2]
    what the lens contributes.
    """

    step: int
    left: int
    top: int
    round: int
    maps: NDArray[np.float32]
    share: NDArray[np.float32]

    def map(self, rows: slice, columns: slice) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
        """Return OpenCV's fixed-point map of pixels of the panorama whose bounds are multiples of `step`."""
        raised = raise_nodes(self.maps, self.step, self._rows(rows), self._columns(columns))
        fixed, fraction = cv2.convertMaps(raised, None, cv2.CV_16SC2)  # type: ignore[call-overload]
        return fixed, fraction

    def shares(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the lens's share, float32 [h, w], of those pixels."""
        return np.asarray(raise_nodes(self.share, self.step, self._rows(rows), self._columns(columns)), np.float32)

    def _rows(self, pixels: slice) -> slice:
        return slice((pixels.start - self.top) // self.step, (pixels.stop - self.top) // self.step)

    def _columns(self, pixels: slice) -> slice:
        start = (pixels.start - self.left) % self.round
        return slice(start // self.step, (start + pixels.stop - pixels.start) // self.step)


def raise_nodes(nodes: NDArray[Any], step: int, rows: slice, columns: slice) -> Any:
    """Return nodes [h + 2, w + 2, ...] interpolated at the pixels of the cells `rows` x `columns`, in their own dtype."""
    part = nodes[rows.start : rows.stop + 2, columns.start : columns.stop + 2]
    if step == 1:
        return np.ascontiguousarray(part[1:-1, 1:-1])
    raised = cv2.resize(part, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    return raised[step:-step, step:-step]


def fetched(image: NDArray[Any], place: Floats) -> Any:
    """Return an image [h, w, ...] bilinearly at places (x, y) float32 [..., ..., 2], in its own dtype; beyond its rim as at the rim."""
    return cv2.remap(image, np.asarray(place, np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]


def padded(core: NDArray[Any]) -> NDArray[Any]:
    """Return nodes [h, w, ...] of a whole panorama with the margin that `Sheet` wants: round at ±180°, and over each pole."""
    height, width = core.shape[:2]
    around = np.empty((height + 2, width + 2, *core.shape[2:]), core.dtype)
    around[1:-1, 1:-1] = core
    around[[0, -1], 1:-1] = np.roll(core[[0, -1]], width // 2, axis=1)
    around[:, 0], around[:, -1] = around[:, -2], around[:, 1]
    return around
