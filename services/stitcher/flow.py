"""Near things at seams, drawn as the rig's centre would see them: optical flow between the two lenses of a zone.

The same thing lies at p through one lens and at p + F(p) through the other. Both are drawn where it would be seen from between:
each pixel q is fetched from the first lens at q - a F and from the second at q + (1 - a) F, so that the two agree whatever share of
each is shown. `a` is the zone's `between` where displacement is wanted; towards the zone's rim it becomes the second lens's share,
which leaves the first lens alone where it draws alone.

All lenses of a rig are triggered at once, so even what drives by is displaced along one line only, the zone's `apart`; flow across
that line is noise but for a sample or so of calibration error, and flow along it is bounded by how near things can be. Where flow
does not lead back to where it came from, or another displacement would do as well, it is taken from around; where the lenses agree no better by it than without, as before blank
sky, nothing is moved; and where they still disagree the seam becomes narrow: a cut shows less than a ghost.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from services.stitcher.sheets import Sheet, fetched, raise_nodes
from services.stitcher.zones import Zone

Floats = NDArray[np.floating[Any]]
Gray = NDArray[np.uint8]

FULL_CIRCLE = 4096
"""Samples all round at which lenses are compared."""

_NEAREST = 1 / 1.2
"""1/m by which a thing can be nearer than the proxy surface, or farther."""

_ASTRAY = 1.0
"""Cells of flow that a small error of calibration may cause."""

_WORTH = 1.0
"""Grey levels by which the lenses must agree better for flow to count at all, and twice that for it to count whole."""

_AGREED, _STEEP = 8.0, 6.0
"""Grey levels from which lenses are said to disagree, and how many times as narrow the seam becomes where they differ by twice as much."""

_STILL = 1e-6

_ROWS = 6
_OTHERS = (-2, -1.5, -1, -0.75, -0.5, -0.35, -0.2, 0.2, 0.35, 0.5, 1.5, 2)
"""Other displacements that a flow is held against, as multiples of it."""

_AS_GOOD = 0.3
"""Share of what a flow gains that another displacement may lack to count as good."""


def sampling(width: int, step: int) -> int:
    """Return the pixels of a panorama from sample to sample: a power of two."""
    return int(min(step, 2 ** max(0, (width // FULL_CIRCLE).bit_length() - 1)))


def grays(frame: NDArray[np.uint8], every: int) -> Gray:
    """Return a frame uint8 [h, w, 3] as luma, shrunk by `every`, a power of two."""
    return _shrunk(np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8), every)


def _shrunk(gray: Gray, by: int) -> Gray:
    return gray if by == 1 else _shrunk(halved(gray), by // 2)


def halved(gray: Gray) -> Gray:
    """Return an image at half its size."""
    height, width = gray.shape[0] // 2, gray.shape[1] // 2
    return np.asarray(cv2.resize(gray[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def bridged(
    zone: Zone, maps: NDArray[np.float32], lumas: Sequence[Gray], step: int, every: int, round_: int
) -> tuple[Sheet, Sheet]:
    """Return the sheets by which the zone's two lenses are drawn in it.

    `maps` float32 [2, h + 2, w + 2, 2] are the zone's nodes of the two lenses, `lumas` their images shrunk by `every`.
    """
    seen = views(maps, lumas, step, every)
    fine = min(step, 2 * every)
    cells = _smooth(*between_views(*seen), fine // every) * np.float32(every / fine)
    cells = _plausible(cells, zone.raised(zone.apart, step // fine) / np.float32(fine))
    return _drawn(zone, maps, cells, [_shrunk(view, fine // every) for view in seen], step, round_)


def views(maps: NDArray[np.float32], lumas: Sequence[Gray], step: int, every: int) -> tuple[Gray, Gray]:
    """Return a zone as its two lenses see it, a sample every `every` pixels; arguments as for `bridged`."""
    one, other = (_looked_at(luma, nodes, step // every, every) for luma, nodes in zip(lumas, maps, strict=True))
    return one, other


def _looked_at(luma: Gray, nodes: NDArray[np.float32], factor: int, every: int) -> Gray:
    cells = raise_nodes(nodes, factor, slice(0, nodes.shape[0] - 2), slice(0, nodes.shape[1] - 2))
    return np.asarray(fetched(luma, (cells + 0.5) / every - 0.5), np.uint8)


def between_views(one: Gray, other: Gray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the flow float32 [h, w, 2] from one view to the other, in samples, and how far it can be trusted, float32 [h, w] 0-1."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    there = np.asarray(search.calc(one, other, None), np.float32)  # type: ignore[call-overload]
    back = np.asarray(search.calc(other, one, None), np.float32)  # type: ignore[call-overload]
    return there, _trust(there, back) * _unique(one, other, there)


def _trust(there: Floats, back: Floats) -> NDArray[np.float32]:
    """Return how far a flow leads back to where it came from, [h, w]: 1 within a fraction of a sample, 0 from two on or outside."""
    place = grid(there.shape[:2]) + there
    returned = cv2.remap(back, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1e3, 1e3))  # type: ignore[call-overload]
    astray = there + returned
    trust: NDArray[np.float32] = 1.25 - 0.5 * cv2.magnitude(astray[..., 0], astray[..., 1])
    return np.clip(trust, 0, 1)


def _unique(one: Gray, other: Gray, there: Floats) -> NDArray[np.float32]:
    """Return 0 where another displacement would do about as well as a flow, as before a facade that repeats, else 1, [h, w].

    Every sixth row tells: what stands beside a road repeats along it.
    """
    rows = np.s_[min(2, len(one) - 1) :: _ROWS]
    first, flow, place = one[rows], there[rows], grid(one.shape[:2])[rows]
    if np.abs(flow).max() <= 1:
        return np.ones(one.shape, np.float32)
    moved, *others, unmoved = (_unlike(first, other, place + np.float32(way) * flow) for way in (1, *_OTHERS, 0))
    rival = np.minimum.reduce(others) - moved < _AS_GOOD * np.maximum(unmoved - moved, 0)
    doubtful = (rival & (np.abs(flow).max(axis=-1) > 1)).astype(np.float32)
    unique = 1 - np.minimum(1, 2 * cv2.GaussianBlur(doubtful, (0, 0), 4, sigmaY=1))
    return np.asarray(cv2.resize(unique, one.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _unlike(first: Gray, other: Gray, place: Floats) -> NDArray[np.float32]:
    """Return by how many grey levels a view differs from the other at `place`, [h, w], over a small neighbourhood."""
    there = cv2.remap(other, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(cv2.blur(cv2.absdiff(first, there), (15, 3)), np.float32)


@lru_cache(maxsize=64)
def grid(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return where each cell is, (x, y) float32 [h, w, 2]."""
    return np.stack(np.meshgrid(*(np.arange(size, dtype=np.float32) for size in (shape[1], shape[0]))), axis=-1)


def _plausible(flow: Floats, apart: Floats) -> Floats:
    """Return the flow [h, w, 2] as far as things can cause it."""
    square = np.maximum(np.sum(apart * apart, axis=-1), _STILL)
    nearness = np.sum(flow * apart, axis=-1) / square
    along = np.clip(nearness, -_NEAREST, _NEAREST)[..., None] * apart
    return np.asarray(along + np.clip(flow - along, -_ASTRAY, _ASTRAY))


def _drawn(
    zone: Zone, maps: NDArray[np.float32], cells: Floats, seen: Sequence[Gray], step: int, round_: int
) -> tuple[Sheet, Sheet]:
    """Return the two sheets, of the flow on fine cells [h, w, 2] and the two lenses' views on the same."""
    ratio = cells.shape[0] // zone.rows
    fade, between, *shares = (zone.raised(nodes, ratio) for nodes in (zone.fade, zone.between, *zone.shares))
    way = shares[1] + fade * (between - shares[1])
    moved = _fetched(cells * np.minimum(1, 2 * fade)[..., None], way)
    moved = moved * _worth(seen, moved, way)[..., None]
    shares = _narrowed(shares, _disagreement(seen, moved, way))
    places = (_positions(way.shape, ratio) + _with_margin(moved * (part / ratio)[..., None]) for part in (-way, 1 - way))
    one, other = (
        Sheet(step // ratio, zone.left * step, zone.top * step, round_, fetched(nodes, place), _with_margin(share))
        for nodes, place, share in zip(maps, places, shares, strict=True)
    )
    return one, other


def _worth(seen: Sequence[Gray], moved: Floats, way: Floats) -> Floats:
    """Return whether the two views agree better for being moved, [h, w], smoothly from 0 to 1."""
    gained = _disagreement(seen, np.zeros_like(moved), way) - _disagreement(seen, moved, way)
    return np.asarray(cv2.GaussianBlur(np.clip(gained / _WORTH - 1, 0, 1), (0, 0), 2))


def _disagreement(seen: Sequence[Gray], moved: Floats, way: Floats) -> Floats:
    """Return by how many grey levels the two views differ where they are drawn, [h, w], smoothed."""
    one, other = (
        fetched(view, grid(way.shape) + moved * part[..., None]).astype(np.float32)
        for view, part in zip(seen, (-way, 1 - way), strict=True)
    )
    return np.asarray(cv2.GaussianBlur(np.abs(one - other), (0, 0), 2))


def _narrowed(shares: Sequence[Floats], disagreement: Floats) -> list[Floats]:
    """Return shares whose seam is the narrower the more the lenses disagree; their sum stays."""
    total = shares[0] + shares[1]
    second = shares[1] / np.maximum(total, _STILL)
    steeper = 1 + (_STEEP - 1) * np.clip((disagreement - _AGREED) / _AGREED, 0, 1)
    cut = np.clip((second - 0.5) * steeper + 0.5, 0, 1)
    return [total * (1 - cut), total * cut]


def _positions(shape: tuple[int, ...], ratio: int) -> NDArray[np.float32]:
    """Return where fine cells [h, w], with a margin of one, lie among the nodes with theirs: (x, y) float32 [h + 2, w + 2, 2]."""
    return (grid((shape[0] + 2, shape[1] + 2)) - np.float32(0.5)) / np.float32(ratio) + np.float32(0.5)


def _with_margin(cells: Floats) -> NDArray[np.float32]:
    return np.asarray(cv2.copyMakeBorder(np.asarray(cells, np.float32), 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.float32)


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
    return np.asarray(fetched(moved, grid(way.shape) - moved * way[..., None]))
