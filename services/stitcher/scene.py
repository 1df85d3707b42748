"""What stands beside the road at a capture: the proxy surface fitted to it, from where neighbouring lenses overlap.

A lens off the rig's centre draws what is nearer or farther than the proxy surface displaced, over its whole image and not only at its
seams. So in every zone the lenses' disagreement is measured above the road; it says how far off the walls to the left and to the
right are, and all lenses are drawn by walls there. Between a lens at c and the rig's centre a thing of inverse distance rho along the
unit ray r is displaced by -rho c, across the ray: so a wrong inverse distance displaces by as much as it is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.pixels import equirect
from panoveil.pixels.spread import Spread, each, one_by_one
from services.stitcher import flow
from services.stitcher.sheets import fetched, padded
from services.stitcher.tables import Tables
from services.stitcher.zones import Zone, offsets

Floats = NDArray[np.floating[Any]]
Gray = NDArray[np.uint8]

END = 40.0
"""Metres to what closes the street ahead and behind."""

_NEAREST, _FARTHEST = 3.0, 60.0
RISES = (0.0, 0.35, 0.7, 1.1, 1.6)
"""Heights above the rig, as shares of a wall's distance, at which that distance is told: a house ends somewhere."""

_LOWEST = -0.1
"""The lowest at which walls are looked for: over the roofs of parked cars."""

_ASIDE = 0.3
_COARSER = 4
_STILL = 1e-6
_TEXTURE = 4.0
_FEWEST = 400.0
_FARTHEST_OFF = 0.5
"""Metres: of lenses farther from the rig's centre than this the displacement is no longer small."""


@dataclass(frozen=True, slots=True)
class Street:
    """Inverse distances in 1/m, [RISES], of what stands to the left and to the right of the rig's centre, level and higher up."""

    left: tuple[float, ...]
    right: tuple[float, ...]

    def inverse(self, rays: Floats, height: float) -> Floats:
        """Return one over the distance [...] of what unit rays [..., 3] meet first: a wall, an end of the street, the road."""
        rise = risen(rays)
        wall = np.where(rays[..., 0] < 0, *(np.interp(rise, RISES, side) for side in (self.left, self.right)))
        beside = np.maximum(wall * np.abs(rays[..., 0]), np.abs(rays[..., 2]) / END)
        return np.asarray(np.maximum(beside, rays[..., 1] / height))


def risen(rays: Floats) -> Floats:
    """Return how high unit rays [..., 3] meet a wall beside the street, as a share of the wall's distance."""
    rise: Floats = -rays[..., 1] / np.maximum(np.abs(rays[..., 0]), 1e-3)
    return rise


def assumed(rays: Floats, height: float, distance: float) -> Floats:
    """Return one over the distance [...] of the plain proxy surface along unit rays [..., 3]."""
    level = np.maximum(np.hypot(rays[..., 0], rays[..., 2]), 0.25)
    inverse: Floats = np.maximum(level / distance, rays[..., 1] / height)
    return inverse


def fit(tables: Tables, lumas: Sequence[Gray], height: float, distance: float, spread: Spread = one_by_one) -> Street | None:
    """Return the street as the zones' lenses disagree on it; None where they tell nothing of it, or the lenses are far apart.

    `lumas` are the lenses' images shrunk by `flow.sampling`, `height` and `distance` those of the plain proxy surface in metres.
    """
    if np.abs(tables.places).max() > _FARTHEST_OFF:
        return None
    fine = flow.sampling(tables.width, tables.step)
    every, small = (2 * fine, [flow.halved(luma) for luma in lumas]) if 2 * fine <= tables.step else (fine, lumas)
    samples = each(lambda zone: _samples(zone, tables, small, every, height, distance), tables.zones, spread)
    if not samples:
        return None
    rises, walls, weights = (np.concatenate(part) for part in zip(*samples, strict=True))
    left, right = (_profile(rises[side], walls[side], weights[side], 1 / distance) for side in (walls < 0, walls > 0))
    return Street(left, right)


def _profile(rises: Floats, walls: Floats, weights: Floats, otherwise: float) -> tuple[float, ...]:
    """Return the inverse distance of one side at `RISES`: the median of what was found nearest to each, else that of the one below."""
    nearest = np.abs(rises[:, None] - np.array(RISES)).argmin(axis=1)
    profile: list[float] = []
    for number in range(len(RISES)):
        near = nearest == number
        found = _median(np.abs(walls[near]), weights[near], profile[-1] if profile else otherwise)
        profile.append(float(np.clip(found, 1 / _FARTHEST, 1 / _NEAREST)))
    return tuple(profile)


def _samples(
    zone: Zone, tables: Tables, lumas: Sequence[Gray], every: int, height: float, distance: float
) -> tuple[Floats, Floats, Floats]:
    """Return what a zone says of walls: how high, the inverse distance in 1/m (below 0 to the left) and how much that counts, [n] each."""
    one, other = flow.views(tables.zone_maps(zone), [lumas[lens] for lens in zone.pair], tables.step, every)
    moved, trust = flow.between_views(one, other)
    rays = tables.in_rig(zone.rays(tables.step // every, tables.width // every))
    apart = zone.raised(zone.apart, tables.step // every) / every
    square = np.sum(apart * apart, axis=-1)
    rho = assumed(rays, height, distance) + np.sum(moved * apart, axis=-1) / np.maximum(square, _STILL)
    rise, aside = risen(rays), rays[..., 0]
    counts = (rise > _LOWEST) & (rise < 2 * RISES[-1]) & (np.abs(aside) > _ASIDE) & (rho > 0)
    weight = trust * _textured(one) * counts * np.sqrt(square)
    kept = weight > 0
    return rise[kept], (rho / np.where(np.abs(aside) > _ASIDE, aside, 1))[kept], weight[kept]


def _textured(image: Gray) -> Floats:
    """Return 1 where there is something across that flow can hold on to, else 0."""
    return (np.abs(cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=1 / 8)) > _TEXTURE).astype(np.float32)


def _median(values: Floats, weights: Floats, otherwise: float) -> float:
    if weights.size < _FEWEST:
        return otherwise
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(summed, summed[-1] / 2)]])


def fitted(tables: Tables, street: Street, height: float, distance: float, spread: Spread = one_by_one) -> Tables:
    """Return the tables as they are where what stands beside the road is the street."""
    coarse = tables.width // tables.step // _COARSER
    rays = equirect.rays(coarse)
    ours = tables.in_rig(rays)
    wrong = street.inverse(ours, height) - assumed(ours, height, distance)
    maps = np.empty_like(tables.nodes.maps)

    def move(lens: int) -> None:
        moves = _COARSER * wrong[..., None] * offsets(rays, tables.places[lens], coarse)
        raised = cv2.resize(padded(moves), None, fx=_COARSER, fy=_COARSER, interpolation=cv2.INTER_LINEAR)
        maps[lens] = _moved(tables.nodes.maps[lens], raised)

    spread(move, range(len(maps)))
    return replace(tables, nodes=replace(tables.nodes, maps=maps))


def _moved(nodes: NDArray[np.float32], moves: NDArray[Any]) -> NDArray[np.float32]:
    """Return nodes [h, w, 2] as they are `moves` [.., .., 2] away: against the displacement."""
    margin = _COARSER - 1
    inner = moves[margin : margin + nodes.shape[0], margin : margin + nodes.shape[1]]
    place = flow.grid(nodes.shape[:2]) - inner
    return np.asarray(fetched(nodes, place), np.float32)
