"""Which lenses draw where: every strip of the panorama cut into runs that are drawn in one go."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

STRIP = 128
"""Rows of the panorama drawn at a time: few enough to stay in the processor's cache."""

BLOCK = 16
"""Columns that are drawn alike."""

_WIDEST = 2048
_WHOLE = 1 - 1 / 512
_ZONE_BIT = 20


class Run(NamedTuple):
    """Columns of a strip that the same lenses draw, the backdrop too where they leave something; through a seam's zone or not."""

    left: int
    right: int
    lenses: tuple[int, ...]
    backdrop: bool
    zone: int | None


class Area(NamedTuple):
    """Where a zone may draw: its two lenses, and bool [strips, blocks]."""

    pair: tuple[int, int]
    blocks: NDArray[np.bool_]


def present(shares: Floats, step: int) -> NDArray[np.bool_]:
    """Return whether each lens has a share in a block or beside it, bool [L, strips, blocks], of padded `shares` [L, h + 2, w + 2]."""
    some = np.stack([cv2.dilate((share > 0).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1] for share in shares])
    return np.asarray(by_block(some, step, np.maximum) > 0)


def runs(shares: Floats, step: int, areas: Sequence[Area] = ()) -> tuple[tuple[Run, ...], ...]:
    """Return the runs of every strip, of padded `shares` [L, h + 2, w + 2] on nodes every `step` pixels."""
    there = present(shares, step)
    total = cv2.erode(shares.sum(axis=0, dtype=np.float32), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    open_ = by_block(total, step, np.minimum) < _WHOLE
    keys = np.tensordot(1 << np.arange(len(there)), there, axes=1) | (open_.astype(int) << (_ZONE_BIT - 1))
    for number, area in enumerate(areas):
        keys = np.where(area.blocks, (keys & ((1 << _ZONE_BIT) - 1)) | (number + 1) << _ZONE_BIT, keys)
    return tuple(tuple(_strip(row, len(there))) for row in keys)


def by_block(nodes: NDArray[Any], step: int, how: np.ufunc) -> NDArray[Any]:
    """Return [..., strips, blocks] of nodes [..., h, w] every `step` pixels: `how`, maximum or minimum, over those of every block."""
    tall, wide = STRIP // step, BLOCK // step
    height, width = nodes.shape[-2:]
    missing = [(0, 0)] * (nodes.ndim - 2) + [(0, -height % tall), (0, -width % wide)]
    whole = np.pad(nodes, missing, mode="edge") if height % tall or width % wide else nodes
    down = how.reduce(whole.reshape(*nodes.shape[:-2], -1, tall, whole.shape[-1]), axis=-2)
    return np.asarray(how.reduce(down.reshape(*down.shape[:-1], -1, wide), axis=-1))


def _strip(keys: NDArray[np.int_], lenses: int) -> list[Run]:
    cuts = np.flatnonzero((np.diff(keys, prepend=-1) != 0) | (np.arange(len(keys)) % (_WIDEST // BLOCK) == 0))
    ends = [*cuts[1:].tolist(), len(keys)]
    return [_run(first * BLOCK, last * BLOCK, int(keys[first]), lenses) for first, last in zip(cuts.tolist(), ends, strict=True)]


def _run(left: int, right: int, key: int, lenses: int) -> Run:
    drawn = tuple(index for index in range(lenses) if key >> index & 1)
    zone = (key >> _ZONE_BIT) - 1
    return Run(left, right, drawn, bool(key >> (_ZONE_BIT - 1) & 1), zone if zone >= 0 else None)
