"""Overlapping pieces of a picture for models that take no larger one, and what was found in them put together again."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panoveil.detection._port import Detections, Images

OVERLAP = 256
"""Pixels that neighbours share: what is no larger lies whole in one of them. The views' levels are meant for objects up to 160."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The piece of a picture from pixel (x, y), `width` x `height`."""

    x: int
    y: int
    width: int
    height: int

    def of(self, images: Images) -> Images:
        """Return the piece of uint8 [N, H, W, 3]."""
        return images[:, self.y : self.y + self.height, self.x : self.x + self.width]

    def placed(self, found: Detections) -> Detections:
        """Return what was found in the piece in the coordinates of the picture."""
        return Detections(found.boxes + np.array([self.x, self.y, self.x, self.y], np.float32), found.scores)


def tiles(width: int, height: int, longest: int | None) -> list[Tile]:
    """Return tiles no side of which exceeds `longest` pixels, more than 256; the picture itself where it is small enough or there is no limit."""
    if longest is None or max(width, height) <= longest:
        return [Tile(0, 0, width, height)]
    rows, columns = _starts(height, longest), _starts(width, longest)
    across, down = min(width, longest), min(height, longest)
    return [Tile(x, y, across, down) for y, x in itertools.product(rows, columns)]


def _starts(length: int, longest: int) -> list[int]:
    """Return where pieces begin so that the last ends with the picture."""
    last = max(length - longest, 0)
    return [*range(0, last, longest - OVERLAP), last]


def joined(pieces: Sequence[Tile], found: Sequence[list[Detections]]) -> list[Detections]:
    """Return, per picture, everything that was found in its pieces; what lies in several is found several times."""
    if len(pieces) == 1:
        return found[0]
    per_picture = zip(*([tile.placed(one) for one in many] for tile, many in zip(pieces, found, strict=True)), strict=True)
    return [
        Detections(np.concatenate([one.boxes for one in parts]), np.concatenate([one.scores for one in parts]))
        for parts in per_picture
    ]
