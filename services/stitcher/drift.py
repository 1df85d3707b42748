"""Whether a lens still looks where the rig says: what neighbours see in common is held against each other, and small turns are solved for.

Every overlap holds fixed windows: small squares of the tangent plane, sampled through both lenses where the proxy surface puts what
they show. How far the second picture is shifted against the first is measured by Lucas-Kanade steps (Baker & Matthews 2004) from a
start that all windows of the overlap vote for by phase correlation (Kuglin & Hines 1975). Along the line between two lenses a shift
may be parallax of what is nearer or farther than the proxy; across it only a turn can shift. So each shift counts with what its
picture and its depth leave sure, and the turns of all lenses (rotation vectors in the rig frame, radians) are solved for at once.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, lenses
from services.stitcher import proxy

Floats = NDArray[np.floating[Any]]
Spectra = NDArray[np.complexfloating[Any, Any]]
Image = NDArray[np.uint8]

SIDE = 32
"""Pixels of a window; a power of two, for the Fourier transform."""

FINEST = np.radians(0.12)
"""Radians a window's pixel, or more where the lenses are coarser."""

_WINDOWS = 12
"""Windows an overlap at most."""

_UNSURE_NEARNESS = 0.03
"""One over metres, one sigma: what stands above the road is at the proxy's distance, give or take this from window to window."""

_UNSURE_SIDE = 0.06
"""One over metres, one sigma: by which all windows of an overlap are off alike, for houses are nearer on one side of the street."""

_UNSURE_ROAD = 0.15
"""Share by which the road's nearness is unsure: kerbs, slopes and what stands on it."""

_NOISE = 0.35
"""Pixels by which any shift may be wrong, one sigma."""

_SPREAD = np.radians(2.0)
"""What a turn is expected to be at most, one sigma: keeps lenses in place of which little is known."""

_WORTH = 5.0
"""Captures that a whole drive counts for: what is wrong with depths stays wrong, however often it is measured."""

_FEW, _SMALL = 3000.0, np.radians(0.02)
"""How strongly few turned lenses are preferred to many, and turns that cost nothing."""

_TURNED = np.radians(0.12)
"""Lenses that seem turned by more, and by half as much as any, are measured once more, all others held in place."""


@dataclass(frozen=True, slots=True)
class Glass:
    """How a window is cut from a lens's frame: the box (x0, y0, x1, y1), shrunk to `size` (w, h), sampled at `map` float32 [S, S, 2]."""

    lens: int
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    map: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a rig: `glasses` pairs of them, `pair` int [P] which of the N overlaps each lies in.

    `turn` float64 [P, 2, 3L + N] is by how many pixels the second picture shifts by radian of each lens's turn and by one over metres
    of each overlap's nearness, `parallax` float64 [P, 2] one sigma of the shift by depth, in pixels; `step` is radians a pixel.
    """

    lenses: int
    step: float
    glasses: tuple[tuple[Glass, Glass], ...]
    pair: NDArray[np.intp]
    turn: NDArray[np.float64]
    parallax: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Turns:
    """What captures say of all turns and nearnesses w: `weights` float64 [K, K], `pull` [K] of the normal equations weights w = pull.

    K is 3L + N as in `Windows`; `matched` are windows whose two pictures were found to show the same.
    """

    weights: NDArray[np.float64]
    pull: NDArray[np.float64]
    matched: int


def windows(rig: Rig, distance: float) -> Windows:
    """Lay windows into the overlaps of a rig under a proxy surface at `distance` metres."""
    step = _step(rig)
    centres = _centres(step)
    corners = np.stack([_grid(centre, _CORNERS * step) for centre in centres])
    seen = [_sees(lens, corners, rig, distance) for lens in rig.lenses]
    overlaps = [
        _overlap(rig, one, other, places, distance)
        for one, other in itertools.combinations(range(len(rig.lenses)), 2)
        if (places := _chosen(centres[seen[one] & seen[other]])).size
    ]
    pair = np.repeat(np.arange(len(overlaps)), np.array([len(found) for found in overlaps], np.intp))
    every = [window for found in overlaps for window in found]
    turn = np.array([window.turn for window in every]).reshape(-1, 2, 3 * len(rig.lenses))
    nearness = np.array([window.nearness for window in every]).reshape(-1, 2, 1) * np.eye(len(overlaps))[pair][:, None]
    parallax = np.array([window.parallax for window in every]).reshape(-1, 2)
    glasses = tuple(window.glasses for window in every)
    return Windows(len(rig.lenses), step, glasses, pair, np.concatenate([turn, nearness], axis=2), parallax)


@dataclass(frozen=True, slots=True)
class _Window:
    """One window, its arrays as in `Windows`; `nearness` [2] is the shift by what its overlap's nearness is off."""

    glasses: tuple[Glass, Glass]
    turn: Floats
    nearness: Floats
    parallax: Floats


def _overlap(rig: Rig, one: int, other: int, centres: Floats, distance: float) -> list[_Window]:
    """Return the windows round centres [n, 3], unit rays, that both lenses see."""
    step = _step(rig)
    found = []
    for centre in centres:
        grid = _grid(centre, _OFFSETS * step)
        glasses = _glass(rig, one, grid, step, distance), _glass(rig, other, grid, step, distance)
        turn = _turn(len(rig.lenses), one, other, centre, step)
        found.append(_Window(glasses, turn, *_parallax(rig, one, other, centre, step, distance)))
    return found


def _step(rig: Rig) -> float:
    focal = [max(lens.intrinsics.fx, lens.intrinsics.fy) for lens in rig.lenses]
    return float(max(FINEST, 1 / min(focal)))


def _tangents(centre: Floats) -> Floats:
    """Return the unit vectors to the right and down of a direction, [2, 3]."""
    right = np.cross(centre, [0.0, -1.0, 0.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(centre, right)])


def _grid(centre: Floats, offsets: Floats) -> Floats:
    """Return the unit rays [n, n, 3] that lie `offsets` [n], radians, to the right of a ray and below it."""
    right, down = _tangents(centre)
    rays = centre + offsets[None, :, None] * right + offsets[:, None, None] * down
    unit: Floats = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return unit


def _centres(step: float) -> Floats:
    """Return the unit rays [n, 3] round which windows may lie, half a window apart, from the lowest up."""
    apart = SIDE * step / 2
    pitches = np.arange(-_LOWEST, _HIGHEST, apart)
    rows = [np.arange(-np.pi, np.pi, apart / np.cos(pitch)) for pitch in pitches]
    return np.concatenate([equirect.to_rays(row, np.array(pitch)) for row, pitch in zip(rows, pitches, strict=True)]).astype(
        np.float64
    )


def _chosen(centres: Floats) -> Floats:
    """Return up to `_WINDOWS` of the rays [n, 3], evenly by elevation."""
    some = np.linspace(0, len(centres) - 1, min(_WINDOWS, len(centres))).astype(int)
    chosen: Floats = centres[np.unique(some)]
    return chosen


def _sees(lens: Lens, rays: Floats, rig: Rig, distance: float) -> NDArray[np.bool_]:
    """Return which windows bool [n] the lens sees whole, by their corners [n, 2, 2, 3]."""
    pixels, visible = _pixels(lens, rays, rig, distance)
    inside = (pixels >= 1).all(axis=-1) & (pixels <= (lens.width - 2, lens.height - 2)).all(axis=-1)
    return np.asarray((visible & inside).all(axis=(1, 2)))


def _pixels(lens: Lens, rays: Floats, rig: Rig, distance: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    ends = proxy.points(rays, rig.height_above_ground, distance)
    return lenses.project(lens.intrinsics, (ends - np.asarray(lens.position)) @ np.asarray(lens.rotation))


def _turn(count: int, one: int, other: int, centre: Floats, step: float) -> Floats:
    """Return how many pixels the second picture shifts by radian of each lens's turn, [2, 3L]."""
    moved = np.cross(centre, _tangents(centre)) / step
    turn = np.zeros((2, 3 * count))
    turn[:, 3 * one : 3 * one + 3], turn[:, 3 * other : 3 * other + 3] = moved, -moved
    return turn


def _parallax(rig: Rig, one: int, other: int, centre: Floats, step: float, distance: float) -> tuple[Floats, Floats]:
    """Return how many pixels [2] it shifts by what its overlap's nearness is off, and by one sigma of its own. The road has no side."""
    apart = np.asarray(rig.lenses[other].position) - np.asarray(rig.lenses[one].position)
    reach = float(np.linalg.norm(proxy.points(centre, rig.height_above_ground, distance)))
    on_road = reach * centre[1] > rig.height_above_ground * _ALMOST
    shift = -(_tangents(centre) @ apart) / step
    return shift * (not on_road), shift * (max(_UNSURE_ROAD / reach, _UNSURE_LEAST) if on_road else _UNSURE_NEARNESS)


def _glass(rig: Rig, index: int, grid: Floats, step: float, distance: float) -> Glass:
    lens = rig.lenses[index]
    pixels, _ = _pixels(lens, grid, rig, distance)
    by = max(1, int(step * max(lens.intrinsics.fx, lens.intrinsics.fy) + 0.25))
    low = np.maximum(np.floor(pixels.min(axis=(0, 1))).astype(int) - 2 * by, 0)
    high = np.minimum(np.ceil(pixels.max(axis=(0, 1))).astype(int) + 2 * by, (lens.width, lens.height))
    width, height = ((high - low) // by).tolist()
    x, y = low.tolist()
    place = (pixels - low + 0.5) / by - 0.5
    return Glass(index, (x, y, x + width * by, y + height * by), (width, height), place.astype(np.float32))


def measure(frames: Sequence[Image], rig_windows: Windows) -> Turns:
    """Measure what one capture says; `frames` uint8 [h, w, 3] RGB in the rig's order."""
    size = rig_windows.turn.shape[2]
    if not rig_windows.glasses:
        return Turns(np.zeros((size, size)), np.zeros(size), 0)
    first, second = (_cut(frames, [pair[side] for pair in rig_windows.glasses]) for side in (0, 1))
    shifts, certainty = _registered(first, second, rig_windows.pair)
    return _solved(shifts, certainty, rig_windows)


def _cut(frames: Sequence[Image], glasses: Sequence[Glass]) -> NDArray[np.float32]:
    """Return the windows' pictures, float32 [P, S, S], mean 0: the green channel."""
    pictures = np.stack([_through(frames[glass.lens], glass) for glass in glasses])
    means = (pictures * _HANN).sum(axis=(1, 2), keepdims=True) / _HANN.sum()
    deviation = np.sqrt(((pictures - means) ** 2 * _HANN).sum(axis=(1, 2), keepdims=True) / _HANN.sum())
    level: NDArray[np.float32] = (pictures - means) / (deviation + _FAINT)
    return level


def _through(frame: Image, glass: Glass) -> NDArray[np.float32]:
    x0, y0, x1, y1 = glass.box
    piece = np.ascontiguousarray(frame[y0:y1, x0:x1, 1])
    if (x1 - x0, y1 - y0) != glass.size:
        piece = cv2.resize(piece, glass.size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return cv2.remap(piece.astype(np.float32), glass.map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload,no-any-return]


def _registered(first: Floats, second: Floats, pair: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return by how many pixels [P, 2] the second pictures are shifted, and how sure that is: inverse covariances [P, 2, 2]."""
    one, other = (np.fft.rfft2(pictures * _HANN) for pictures in (first, second))
    shifts = _start(one, other, pair)
    base = np.fft.rfft2(first) * _SOFT
    smooth = np.fft.irfft2(base)
    gradient = np.fft.irfft2(base[:, None] * _SLOPES, axes=(-2, -1))
    flat = gradient.reshape(len(gradient), 2, -1)
    weighted = flat * _HANN.reshape(-1)
    tensor = weighted @ flat.transpose(0, 2, 1) + 1e-6 * np.eye(2)
    steps = np.linalg.inv(tensor).astype(np.float32) @ weighted
    soft = np.fft.rfft2(second) * _SOFT
    for _ in range(_STEPS):
        rest = (smooth - _shifted(soft, shifts)).reshape(len(flat), -1, 1)
        shifts = shifts + np.clip((steps @ rest)[..., 0], -1, 1)
    return shifts, _certainty(smooth, _shifted(soft, shifts), tensor, shifts)


def _shifted(spectrum: Spectra, shifts: Floats) -> Floats:
    """Return pictures [P, S, S] seen `shifts` pixels further to the right and down."""
    single = shifts.astype(np.float32)
    across = np.exp(np.complex64(1j) * single[:, :1] * _ACROSS)
    down = np.exp(np.complex64(1j) * single[:, 1:] * _DOWN)
    shifted: Floats = np.fft.irfft2(spectrum * down[:, :, None] * across[:, None, :])
    return shifted


def _start(one: Spectra, other: Spectra, pair: NDArray[np.intp]) -> Floats:
    """Let all windows of an overlap vote for one whole-pixel shift [P, 2]."""
    cross = np.conj(one) * other
    whitened = cross / (np.abs(cross) + _TINY) * _SOFT**2
    shifts = np.zeros((len(pair), 2))
    for number in np.unique(pair):
        votes = np.fft.irfft2(whitened[pair == number].sum(axis=0)) * _NEAR
        row, column = np.unravel_index(int(votes.argmax()), votes.shape)
        shifts[pair == number] = [(value + SIDE // 2) % SIDE - SIDE // 2 for value in (int(column), int(row))]
    return shifts


def _certainty(first: Floats, second: Floats, tensor: Floats, shifts: Floats) -> Floats:
    """Return inverse covariances [P, 2, 2]: none where the pictures do not show the same after all."""
    scatter = _mean_product(first - second, first - second)
    alike = _mean_product(first, second) / np.sqrt(_mean_product(first, first) * _mean_product(second, second) + _TINY)
    covariance = np.linalg.inv(tensor) * (_CORRELATED * scatter)[:, None, None] + _NOISE**2 * np.eye(2)
    good = (alike > _ALIKE) & (np.abs(shifts).max(axis=1) < _FARTHEST)
    sure: Floats = np.linalg.inv(covariance) * good[:, None, None]
    return sure


def _mean_product(one: Floats, other: Floats) -> Floats:
    """Return the weighted means [P] of products of pictures [P, S, S]."""
    weights = _HANN.reshape(-1) / _HANN.sum()
    mean: Floats = (one * other).reshape(len(one), -1) @ weights
    return mean


def _solved(shifts: Floats, certainty: Floats, rig_windows: Windows) -> Turns:
    """Solve for the turns by least squares, reweighted after Huber (1981), and return the last normal equations."""
    good = certainty[:, 0, 0] > 0
    turn, seen = rig_windows.turn[good], shifts[good]
    depth = np.einsum("pi,pj->pij", rig_windows.parallax[good], rig_windows.parallax[good])
    sure = np.linalg.inv(np.linalg.inv(certainty[good]) + depth)
    trust = np.ones(len(turn))
    for _ in range(_STEPS):
        weighted = np.einsum("pik,pij->pkj", turn, sure * trust[:, None, None])
        weights, pull = np.einsum("pkj,pjl->kl", weighted, turn), np.einsum("pkj,pj->k", weighted, seen)
        rest = seen - turn @ settled(weights, pull, rig_windows.lenses)
        off = np.sqrt(np.einsum("pi,pij,pj->p", rest, sure, rest))
        trust = np.minimum(1, _HUBER / np.maximum(off, _TINY))
    return Turns(weights, pull, int(good.sum()))


def settled(weights: Floats, pull: Floats, count: int, held: Floats | None = None) -> Floats:
    """Return what normal equations say, [K], held in place where they say nothing; `held` [L] is how strongly each lens is besides."""
    loose = np.full(len(pull), 1 / _UNSURE_SIDE**2)
    loose[: 3 * count] = 1 / _SPREAD**2
    if held is not None:
        loose[: 3 * count] += np.repeat(held, 3)
    solution: Floats = np.linalg.solve(weights + np.diag(loose), pull)
    return solution


def turned(weights: Floats, pull: Floats, count: int) -> Floats:
    """Return every lens's turn, rotation vectors [L, 3] in the rig frame, radians, from the mean of the captures' normal equations.

    Neighbours only say how they are turned against each other. Of all that would explain it, the fewest turned lenses are taken (least
    squares reweighted towards the sum of angles: Chartrand & Yin 2008), and then measured with all others held in place.
    """
    weights, pull = weights * _WORTH, pull * _WORTH
    angles = np.full(count, _TURNED)
    for _ in range(_ROUNDS):
        angles = _angles(settled(weights, pull, count, _FEW / (angles + _SMALL)), count)
    free = angles > max(_TURNED, angles.max() / 2)
    held = np.where(free, 0.0, _FEW / (np.minimum(angles, _TURNED) + _SMALL))
    turns: Floats = settled(weights, pull, count, held)[: 3 * count].reshape(count, 3)
    return turns


def _angles(solution: Floats, count: int) -> Floats:
    return np.asarray(np.linalg.norm(solution[: 3 * count].reshape(count, 3), axis=1))


_LOWEST, _HIGHEST = np.radians(40), np.radians(45)
_ALMOST = 0.999
_OFFSETS = np.arange(SIDE) - SIDE / 2.0
_CORNERS = _OFFSETS[[0, -1]]
_UNSURE_LEAST = 0.004
_ROUNDS = 12
_FAINT = 1.0
_STEPS = 3
_TINY = 1e-9
_ALIKE = 0.7
_FARTHEST = 12.0
_CORRELATED = 12.0
_HUBER = 1.5
_HANN = np.outer(np.hanning(SIDE + 2)[1:-1], np.hanning(SIDE + 2)[1:-1]).astype(np.float32)
_ACROSS = (2 * np.pi * np.fft.rfftfreq(SIDE)).astype(np.float32)
_DOWN = (2 * np.pi * np.fft.fftfreq(SIDE)).astype(np.float32)
_SOFT = np.exp(-0.5 * (_ACROSS[None, :] ** 2 + _DOWN[:, None] ** 2))
_SLOPES = np.stack(np.broadcast_arrays(1j * _ACROSS[None, :], 1j * _DOWN[:, None]))
_REACH = np.abs((np.arange(SIDE) + SIDE // 2) % SIDE - SIDE // 2) < _FARTHEST
_NEAR = np.outer(_REACH, _REACH)
