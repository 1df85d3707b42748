"""How good each lens's frame is, in the numbers that messages carry.

Sharpness, clipping and light are measured on a fixed small sample of tiles in full resolution, what neighbours disagree on on the small
panorama. The score is a product of four factors, each 1 where all is well and falling as its measure gets worse:

    sharpness    (sharpness - 1/16) / (0.15 - 1/16)     within 0..1; 1 where there is no coarse detail to judge by
    clipping     1 - clipped share
    exposure     1 / (1 + (gain in stops / 1.5)^2)
    neighbours   1 / (1 + (overlap difference / 40)^2)

and 0 where the lens shows nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.messages import LensQuality
from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import lenses

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]
Place = tuple[int, int]

TILE = 32
"""Pixels of a tile's side, whole eights."""

_TILES = 5
"""Tiles across and down."""

_BLACK, _WHITE = 2, 255
_MIDDLE = 118.0
"""Grey level of a surface that reflects 18 %, in sRGB."""

_LEAST_COARSE = 2.0
"""Coarse detail, grey levels squared, without which nothing can be said of sharpness."""

_NOTHING = 1.5
"""Grey levels of deviation within and between tiles, noise taken off, up to which a frame shows nothing at all."""

_SHARP, _SMOOTH = 0.15, 1 / 16
"""Sharpness from which it is good enough, and that of a picture that only grows brighter to one side."""

_STOPS, _LEVELS = 1.5, 40.0


@dataclass(frozen=True, slots=True)
class Tiles:
    """The top left corners (x, y) of every lens's tiles, in the rig's order."""

    places: tuple[tuple[Place, ...], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a frame's tiles show: energies [4, N] (variance within blocks of 2, of 4, of 8 pixels without the finer, and the rest), means [N] of the green channel."""

    energies: Floats
    means: Floats
    dark_share: float
    bright_share: float


def tiles(rig: Rig) -> Tiles:
    """Lay a grid of tiles into each lens's image, where it images anything."""
    return Tiles(tuple(_places(lens) for lens in rig.lenses))


def _places(lens: Lens) -> tuple[Place, ...]:
    across, down = ((np.arange(_TILES) + 0.5) / _TILES * size - TILE / 2 for size in (lens.width, lens.height))
    corners = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2).round().astype(int)
    inside = (corners >= 0).all(axis=1) & (corners + TILE <= (lens.width, lens.height)).all(axis=1)
    ends = corners[:, None] + np.array([(0, 0), (TILE, 0), (0, TILE), (TILE, TILE)])
    back, visible = lenses.project(lens.intrinsics, lenses.unproject(lens.intrinsics, ends))
    kept = inside & (visible & (np.abs(back - ends).max(axis=-1) < 1)).all(axis=1)
    return tuple((int(x), int(y)) for x, y in corners[kept])


def measure(
    rig: Rig, frames: Sequence[Image], rig_tiles: Tiles, gains: Floats, differences: Sequence[float | None]
) -> tuple[LensQuality, ...]:
    """Measure the frames uint8 [h, w, 3] of a capture, in the rig's order.

    `gains` [L] are the factors by which exposure matching made each lens brighter, `differences` each lens's to its neighbours.
    """
    samples = [sample(frame, places) for frame, places in zip(frames, rig_tiles.places, strict=True)]
    return tuple(
        _quality(lens.name, own, float(np.log2(gain)), difference)
        for lens, own, gain, difference in zip(rig.lenses, samples, gains, differences, strict=True)
    )


def sample(frame: Image, places: Sequence[Place]) -> Sample:
    """Look at the tiles of a frame uint8 [h, w, 3]."""
    if not places:
        return Sample(np.zeros((4, 0)), np.zeros(0), 0.0, 0.0)
    pieces = np.stack([frame[y : y + TILE, x : x + TILE] for x, y in places])
    light = pieces[..., 1].astype(np.float64)
    some = pieces[:, ::2, ::2]
    highest = np.maximum(np.maximum(some[..., 0], some[..., 1]), some[..., 2])
    return Sample(_energies(light), light.mean(axis=(1, 2)), float(np.mean(highest <= _BLACK)), float(np.mean(highest == _WHITE)))


def _energies(light: Floats) -> Floats:
    """Split the variance of tiles [N, T, T] by scale: halving loses exactly the variance within blocks of two by two (Haar 1910)."""
    powers = []
    for _ in range(4):
        powers.append(np.mean(light**2, axis=(1, 2)))
        light = (light[:, ::2, ::2] + light[:, 1::2, ::2] + light[:, ::2, 1::2] + light[:, 1::2, 1::2]) / 4
    rest = powers[3] - np.mean(light, axis=(1, 2)) ** 2
    return np.stack([powers[0] - powers[1], powers[1] - powers[2], powers[2] - powers[3], rest])


def _quality(name: str, own: Sample, stops: float, difference: float | None) -> LensQuality:
    sharpness, dead = sharpness_of(own), shows_nothing(own)
    clipped = own.dark_share + own.bright_share
    return LensQuality(
        lens=name,
        score=0.0 if dead else score(sharpness, clipped, stops, difference),
        dead=dead,
        sharpness=sharpness,
        dark_share=own.dark_share,
        bright_share=own.bright_share,
        level=float(np.log2(max(float(own.means.mean()) if own.means.size else 0.0, 1.0) / _MIDDLE)),
        gain=stops,
        overlap_difference=difference,
    )


def sharpness_of(own: Sample) -> float | None:
    """Return the finest detail by the detail four times as coarse, noise taken off; None where there is nothing to judge by.

    Pictures of the world hold about as much of the one as of the other, whatever they show (Field 1987), unless they are blurred. The
    noise is what the quietest tiles show: a quarter of it is left with every halving.
    """
    if not own.means.size:
        return None
    noise = float(np.quantile(own.energies[0], 0.1))
    fine = float(np.maximum(own.energies[0] - noise, 0).mean())
    coarse = float(np.maximum(own.energies[2] - noise / 16, 0).mean())
    return fine / coarse if coarse > _LEAST_COARSE else None


def shows_nothing(own: Sample) -> bool:
    """Whether the frame is of one colour, but for noise."""
    if not own.means.size:
        return False
    within = np.sqrt(own.energies[3].max())
    return bool(max(within, own.means.std()) < _NOTHING)


def score(sharpness: float | None, clipped: float, stops: float, difference: float | None) -> float:
    """Return 0..1 by the formula above."""
    sharp = 1.0 if sharpness is None else float(np.clip((sharpness - _SMOOTH) / (_SHARP - _SMOOTH), 0, 1))
    agreeing = 1.0 if difference is None else 1 / (1 + (difference / _LEVELS) ** 2)
    return sharp * max(0.0, 1 - clipped) / (1 + (stops / _STOPS) ** 2) * agreeing
