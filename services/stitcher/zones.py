"""Where two lenses overlap along a seam: the zones in which the panorama is drawn as it looks from between them.

A lens off the rig's centre draws near things displaced, its neighbour draws them displaced the other way: hence doubled objects at
seams. Seen from the rig's centre they would stand in between, at a share of the way that follows from where the two lenses are
(`Zone.between`). A zone says how much of that displacement is wanted where: all of it at the seam, none at the zone's rim.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.pixels import equirect
from services.stitcher.layout import BLOCK, STRIP, Area, by_block, present
from services.stitcher.sheets import raise_nodes

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

_REACH = 8.0
"""Degrees to each side of a seam over which the displacement fades in."""

_RAMP = 4.0
"""Degrees over which it does so."""

_STEEPEST = 65.0
"""Degrees of pitch beyond which a panorama is stretched too much to compare the lenses in it."""

_FAINT = 0.25
_POLAR = np.radians(75)
_APART = 1e-4
"""Metres: lenses nearer to each other than this see no parallax to speak of."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A rectangle of the panorama's nodes round a part of the seam of two lenses; `left` + columns may go on beyond ±180°.

    All arrays carry a node more on every side than the rectangle: `fade` float32 how much displacement is wanted, `between` float32
    how far from the first lens's view to the second's the rig's centre is, `apart` float32 [h + 2, w + 2, 2] by how many pixels
    (x, y) the second lens draws a thing away from the first, per 1/m that it is nearer than the proxy surface, `shares` float32
    [2, h + 2, w + 2] what the two contribute.
    """

    pair: tuple[int, int]
    left: int
    top: int
    fade: NDArray[np.float32]
    between: NDArray[np.float32]
    apart: NDArray[np.float32]
    shares: NDArray[np.float32]
    area: Area

    @property
    def rows(self) -> int:
        """Nodes from top to bottom, without the margin."""
        return int(self.fade.shape[0]) - 2

    @property
    def columns(self) -> int:
        """Nodes from left to right, without the margin."""
        return int(self.fade.shape[1]) - 2

    def raised(self, nodes: NDArray[np.float32], finer: int) -> NDArray[np.float32]:
        """Return nodes of the zone at its cells, each node's cut into `finer` x `finer`."""
        return np.asarray(raise_nodes(nodes, finer, slice(0, self.rows), slice(0, self.columns)), np.float32)

    def rays(self, finer: int, width: int) -> Floats:
        """Return the unit rays [h, w, 3] of the zone's cells, each node's cut into `finer` x `finer`; `width` such cells go all round."""
        across = np.arange(self.left * finer, (self.left + self.columns) * finer)
        down = np.arange(self.top * finer, (self.top + self.rows) * finer)
        return _rays(down, across, width)


def find_zones(shares: Floats, sees: NDArray[np.uint8], step: int, places: Floats, recipe: StitchRecipe) -> tuple[Zone, ...]:
    """Return the zones of all seams, of padded `shares` and `sees` [L, h + 2, w + 2]; none in fast mode.

    `places` [L, 3] are the lens centres in the panorama's own axes, which a turned panorama does not share with the rig.
    """
    if recipe.mode == "fast":
        return ()
    there = present(shares, step)
    pairs = itertools.combinations(range(len(shares)), 2)
    return tuple(zone for pair in pairs for zone in _zones(pair, shares, sees, there, step, places, recipe.seam_width))


def _zones(
    pair: tuple[int, int],
    shares: Floats,
    sees: NDArray[np.uint8],
    there: Mask,
    step: int,
    places: Floats,
    seam_width: float,
) -> Iterator[Zone]:
    one, other = (shares[index][1:-1, 1:-1] for index in pair)
    if not np.any((one > 0) & (other > 0)):
        return
    alone = np.asarray(~np.delete(there, pair, axis=0).any(axis=0))
    both = (sees[pair[0]] & sees[pair[1]])[1:-1, 1:-1] > 0
    degrees = 180 / one.shape[0]
    fade = _faded((one > 0) & (other > 0), both & _to_nodes(alone, step, len(both)), degrees, seam_width)
    wanted = (by_block(fade, step, np.maximum) > 0) & there[list(pair)].any(axis=0) & alone
    for blocks in _parts(wanted):
        yield _zone(pair, fade, blocks, shares, step, places)


def _faded(seam: Mask, allowed: Mask, degrees: float, seam_width: float) -> NDArray[np.float32]:
    """Return how much displacement is wanted, [h, w]: 0 outside of what is `allowed` and at its rim."""
    height, width = seam.shape
    pitch = np.abs(90 - (np.arange(height) + 0.5) * degrees)
    rows, margin = np.flatnonzero(pitch < _STEEPEST + _REACH), int(_REACH / degrees) + 2
    core = _around(np.asarray(seam[rows].any(axis=0)), margin)
    place = np.ix_(rows, np.arange(core.start - margin, core.stop + margin) % width)
    near = _distance(~seam[place]) * degrees < _REACH - seam_width / 2
    inside = near & (allowed & (pitch < _STEEPEST)[:, None])[place]
    fade = np.zeros(seam.shape, np.float32)
    depth = _distance(inside)[:, margin:-margin] * (degrees / _RAMP)
    fade[np.ix_(rows, np.arange(core.start, core.stop) % width)] = np.clip(depth, 0, 1)
    return fade


def _around(flags: Mask, margin: int) -> slice:
    """Return the shortest run of a ring of flags that holds all that are True and `margin` more on both sides, at most the ring."""
    places, count = np.flatnonzero(flags), len(flags)
    if not places.size:
        return slice(0, 0)
    gaps = np.diff(places, append=places[0] + count)
    widest = int(gaps.argmax())
    length = count - int(gaps[widest]) + 1 + 2 * margin
    start = int(places[(widest + 1) % len(places)]) - margin
    return slice(start, start + length) if length < count else slice(0, count)


def _distance(mask: Mask) -> Floats:
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _to_nodes(blocks: Mask, step: int, height: int) -> Mask:
    """Return blocks at their nodes, [height, w]; the last strip may be cut short."""
    return np.repeat(np.repeat(blocks, STRIP // step, axis=0)[:height], BLOCK // step, axis=1)


def _parts(wanted: Mask) -> Iterator[Mask]:
    """Yield every connected part of a mask whose columns wrap round; one that goes all the way round is cut at its first column."""
    free = np.flatnonzero(~wanted.any(axis=0))
    shift = int(free[0]) if free.size else 0
    count, labels = cv2.connectedComponents(np.roll(wanted, -shift, axis=1).astype(np.uint8), connectivity=4)
    for label in range(1, count):
        yield np.roll(labels == label, shift, axis=1)


def _zone(pair: tuple[int, int], fade: Floats, blocks: Mask, shares: Floats, step: int, places: Floats) -> Zone:
    columns = _span(np.asarray(blocks.any(axis=0)))
    rows = np.flatnonzero(blocks.any(axis=1))
    across = np.arange(columns.start * BLOCK // step - 1, columns.stop * BLOCK // step + 1)
    down = np.arange(rows[0] * STRIP // step - 1, min(len(fade), (rows[-1] + 1) * STRIP // step) + 1)
    own = fade * _to_nodes(blocks, step, len(fade))
    height, width = fade.shape
    place = np.ix_(np.clip(down, 0, height - 1), across % width)
    rays = _rays(down, across, width)
    first, second = (places[index] for index in pair)
    return Zone(
        pair=pair,
        left=int(across[1]),
        top=int(down[1]),
        fade=own[place],
        between=_between(rays, first, second),
        apart=offsets(rays, first, width * step) - offsets(rays, second, width * step),
        shares=np.stack([shares[index][1:-1, 1:-1][place] for index in pair]).astype(np.float32),
        area=Area(pair, blocks),
    )


def _span(flags: Mask) -> slice:
    """Return the run of True in a ring of flags; its end may lie beyond the ring's."""
    count = len(flags)
    if flags.all():
        return slice(0, count)
    starts = np.flatnonzero(flags & ~np.roll(flags, 1))
    start = int(starts[0])
    return slice(start, start + int(flags.sum()))


def _rays(down: NDArray[np.int_], across: NDArray[np.int_], width: int) -> Floats:
    yaw = ((across + 0.5) / width - 0.5) * 2 * np.pi
    pitch = (0.5 - (down + 0.5) / (width // 2)) * np.pi
    return equirect.to_rays(yaw[None, :], pitch[:, None]).astype(np.float64)


def offsets(rays: Floats, place: Floats, width: int) -> NDArray[np.float32]:
    """Return by how many pixels (x, y) [..., 2] a lens at `place` [3] displaces, per 1/m of inverse distance: it draws at -offset."""
    across = np.hypot(rays[..., 0], rays[..., 2])
    safe = np.maximum(across, np.cos(_POLAR))
    right = (place[0] * rays[..., 2] - place[2] * rays[..., 0]) / np.maximum(across, 1e-6)
    up = -place[1] * across + rays[..., 1] * (place[0] * rays[..., 0] + place[2] * rays[..., 2]) / np.maximum(across, 1e-6)
    return (np.stack([right / safe, -up], axis=-1) * (width / (2 * np.pi))).astype(np.float32)


def _between(rays: Floats, one: Floats, other: Floats) -> NDArray[np.float32]:
    """Return how far from lens `one`'s view to `other`'s the rig's centre is, [h, w], within 0 and 1.

    A point off the proxy surface is displaced against what the centre sees by a multiple of the lens's offset across the ray; the
    multiple is the same for both lenses.
    """
    across_one, across_other = (place - rays * (rays @ place)[..., None] for place in (one, other))
    apart = across_one - across_other
    square = np.sum(apart * apart, axis=-1)
    share = np.sum(across_one * apart, axis=-1) / np.maximum(square, _APART**2)
    return np.where(square > _APART**2, np.clip(share, 0, 1), 0.5).astype(np.float32)
