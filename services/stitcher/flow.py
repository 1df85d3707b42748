"""Near things at seams, drawn as the rig's centre would see them: optical flow between the two lenses of a zone.

The same thing lies at p through one lens and at p + F(p) through the other. Both are drawn where it would be seen from between:
each pixel q is fetched from the first lens at q - a F and from the second at q + (1 - a) F, so that the two agree whatever share of
each is shown. `a` is the zone's `between` where displacement is wanted; towards the zone's rim it becomes the second lens's share,
which leaves the first lens alone where it draws alone. Where the flow cannot be trusted (see `_trust`) it is taken from around.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from services.stitcher.sheets import Sheet, raise_nodes
from services.stitcher.zones import Zone

Floats = NDArray[np.floating[Any]]
Gray = NDArray[np.uint8]

FULL_CIRCLE = 4096
"""Samples all round at which lenses are compared."""


def sampling(width: int, step: int) -> int:
    """Return the pixels of a panorama from sample to sample: a power of two."""
    return int(min(step, 2 ** max(0, (width // FULL_CIRCLE).bit_length() - 1)))


def grays(frame: NDArray[np.uint8], every: int) -> Gray:
    """Return a frame uint8 [h, w, 3] as luma, shrunk by `every`, a power of two."""
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    while every > 1:
        gray, every = halved(gray), every // 2
    return gray  # type: ignore[return-value]


def halved(gray: Gray) -> Gray:
    """Return an image at half its size."""
    height, width = gray.shape[0] // 2, gray.shape[1] // 2
    return cv2.resize(gray[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def bridged(
    zone: Zone, maps: NDArray[np.float32], lumas: Sequence[Gray], step: int, every: int, round_: int
) -> tuple[Sheet, Sheet]:
    """Return the sheets by which the zone's two lenses are drawn in it.

    `maps` float32 [2, h + 2, w + 2, 2] are the zone's nodes of the two lenses, `lumas` their images shrunk by `every`.
    """
    flow, trust = between_views(*views(maps, lumas, step, every))
    return _displaced(zone, maps, flow, trust, step, every, round_)


def views(maps: NDArray[np.float32], lumas: Sequence[Gray], step: int, every: int) -> tuple[Gray, Gray]:
    """Return a zone as its two lenses see it, a sample every `every` pixels; arguments as for `bridged`."""
    one, other = (_looked_at(luma, nodes, step // every, every) for luma, nodes in zip(lumas, maps, strict=True))
    return one, other


def _looked_at(luma: Gray, nodes: NDArray[np.float32], factor: int, every: int) -> Gray:
    cells = raise_nodes(nodes, factor, slice(0, nodes.shape[0] - 2), slice(0, nodes.shape[1] - 2))
    return cv2.remap(luma, (cells + 0.5) / every - 0.5, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload, return-value]


def between_views(one: Gray, other: Gray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the flow float32 [h, w, 2] from one view to the other, in samples, and how far it can be trusted, float32 [h, w] 0-1."""
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    there = search.calc(one, other, None)
    back = search.calc(other, one, None)
    return there, _trust(there, back)


def _trust(there: Floats, back: Floats) -> NDArray[np.float32]:
    """Return how far a flow leads back to where it came from, [h, w]: 1 within a fraction of a sample, 0 from two on or outside."""
    place = grid(there.shape[:2]) + there
    returned = cv2.remap(back, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1e3, 1e3))  # type: ignore[call-overload]
    astray = there + returned
    trust: NDArray[np.float32] = 1.25 - 0.5 * cv2.magnitude(astray[..., 0], astray[..., 1])
    return np.clip(trust, 0, 1)


@lru_cache(maxsize=64)
def grid(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return where each cell is, (x, y) float32 [h, w, 2]."""
    return np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32) for size in (shape[1], shape[0]))), axis=-1)


def _displaced(
    zone: Zone, maps: NDArray[np.float32], flow: Floats, trust: Floats, step: int, every: int, round_: int
) -> tuple[Sheet, Sheet]:
    fine = min(step, 2 * every)
    ratio = step // fine
    rows, columns = slice(0, zone.rows), slice(0, zone.columns)
    fade, between = (_with_margin(raise_nodes(nodes, ratio, rows, columns)) for nodes in (zone.fade, zone.between))
    shares = [_with_margin(raise_nodes(share, ratio, rows, columns)) for share in zone.shares]
    moved = _with_margin(_smooth(flow, trust, fine // every)) * (every / fine) * np.minimum(1, 2 * fade)[..., None]
    way = shares[1] + fade * (between - shares[1])
    moved = _fetched(moved, way)
    sheets = []
    for nodes, share, part in zip(maps, shares, (-way, 1 - way), strict=True):
        place = _positions(fade.shape, ratio) + moved * (part / ratio)[..., None]
        drawn = cv2.remap(nodes, place.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        sheets.append(Sheet(fine, zone.left * step, zone.top * step, round_, drawn, share))
    return sheets[0], sheets[1]


def _positions(shape: tuple[int, ...], ratio: int) -> NDArray[np.float32]:
    """Return where the fine cells, with their margin, lie among the nodes with theirs: (x, y) float32 [h, w, 2]."""
    return (grid(shape[:2]) - np.float32(0.5)) / np.float32(ratio) + np.float32(0.5)


def _with_margin(cells: Floats) -> NDArray[np.float32]:
    return cv2.copyMakeBorder(np.asarray(cells, np.float32), 1, 1, 1, 1, cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _smooth(flow: Floats, trust: Floats, shrink: int) -> Floats:
    """Return the flow on cells of `shrink` samples, where it cannot be trusted what is trusted around, else none."""
    size = (flow.shape[1] // shrink, flow.shape[0] // shrink)
    weight = cv2.resize(trust, size, interpolation=cv2.INTER_AREA)
    known = cv2.resize(flow * trust[..., None], size, interpolation=cv2.INTER_AREA)
    around = cv2.GaussianBlur(weight, (0, 0), 4)[..., None] + 0.02
    mean = cv2.GaussianBlur(known, (0, 0), 4) / around
    return (known + (1 - weight)[..., None] * mean).astype(np.float32)


def _fetched(moved: Floats, way: Floats) -> Floats:
    """Return the displacement of what is drawn at each cell: the flow is known where the first lens sees a thing, not where it is drawn."""
    place = _positions(way.shape, 1) - moved * way[..., None]
    return cv2.remap(moved, place.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]
