"""Light along a drive: jumps of automatic exposure and white balance are taken out, a tunnel is followed.

A capture's lenses are matched with one another; then the whole panorama is held against those of the captures taken shortly before
and after, as this process gave them out. Who is compared is looked at in the same directions of the rig: the median of the ratios
tells light from what happens to stand there. Only small panoramas are remembered, and only in memory.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from services.stitcher import photometry

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

FORGOTTEN = 60.0
"""Seconds after which a capture says nothing of another's light."""

_FADING = 8.0
"""Seconds in which a neighbour's say falls to 1/e."""

_OWN, _OWN_SHARE = 0.05, 0.18
"""What a capture's own light weighs, at least and as a share of its neighbours: so the drive follows the light that is."""

_SCENE = 0.35
"""Log ratio at which a jump is as likely the world's as the camera's; what is much larger is left alone."""

_MOST, _MOST_COLOUR = 0.4, 0.12
"""The largest correction, as logarithms: of the level, and of a channel against the others."""

_LEAST_SEEN = 0.1
_SMALL = (64, 32)
_MOST_REMEMBERED, _MOST_DRIVES, _NEIGHBOURS = 32, 16, 4


@dataclass(frozen=True, slots=True)
class Light:
    """The light of a capture: gains float64 [L, 3] on top of the rig's, and the small panorama they make.

    `small` float32 [32, 64, 3] is the logarithm of its light, `trust` float32 [32, 64] the area that can be relied on.
    """

    gains: Floats
    small: NDArray[np.float32]
    trust: NDArray[np.float32]

    def under(self, gains: Floats) -> "Light":
        """Return the same lenses under other gains; where they change by lens, the mean change is what the panorama shows."""
        change = np.log(gains / self.gains).mean(axis=0)
        return replace(self, gains=gains, small=(self.small + change).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another capture of the drive, taken `seconds` before or after."""

    seconds: float
    light: Light


def predicted(neighbours: Sequence[Neighbour]) -> Floats | None:
    """Return what the drive leads one to expect of every lens's gains, [L, 3], their common level taken out; None where it is unknown."""
    if not neighbours:
        return None
    logs = np.stack([np.log(neighbour.light.gains) for neighbour in neighbours])
    weights = [np.exp(-neighbour.seconds / _FADING) + 1e-9 for neighbour in neighbours]
    expected: Floats = np.exp(np.average(logs - logs.mean(axis=1, keepdims=True), axis=0, weights=weights))
    return expected


def measured(views: Floats, usable: Mask, shares: Floats, gains: Floats) -> Light:
    """Return the light that gains [L, 3] make of `views` [L, h, w, 3], linear in light, which may be trusted where `usable` [L, h, w].

    `shares` [L, h, w] is how much of each lens the panorama shows where.
    """
    trusted = shares * usable
    known = trusted.sum(axis=0)
    mixed = np.sum(views * gains[:, None, None, :] * trusted[..., None], axis=0)
    area = _small(known)
    small = np.log(np.maximum(_small(mixed) / np.maximum(area, 1e-6)[..., None], 1))
    height = area.shape[0]
    across = np.cos((0.5 - (np.arange(height) + 0.5) / height) * np.pi)
    return Light(gains, small.astype(np.float32), (area * across[:, None]).astype(np.float32))


def _small(image: Floats) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image.astype(np.float32), _SMALL, interpolation=cv2.INTER_AREA), np.float32)


def steadied(light: Light, neighbours: Sequence[Neighbour]) -> Light:
    """Return the light that the capture is to be given, near that of its neighbours and bounded.

    With the log ratio d_i to a neighbour, t_i seconds away, the correction is sum(w_i d_i) / (.05 + 1.18 sum(w_i)),
    w_i = exp(-t_i / 8 s) / (1 + (level of d_i / .35)^8): exponential smoothing that does not mind gaps, order or who is missing.
    """
    total, correction = 0.0, np.zeros(3)
    for neighbour in neighbours:
        ratio = _ratio(light, neighbour.light)
        if ratio is not None:
            weight = np.exp(-neighbour.seconds / _FADING) / (1 + (ratio.mean() / _SCENE) ** 8)
            total += float(weight)
            correction += weight * ratio
    return light.under(light.gains * np.exp(_bounded(correction / (_OWN + (1 + _OWN_SHARE) * total))))


def _ratio(light: Light, other: Light) -> Floats | None:
    """Return the median log ratio [3] of the other to this, None where they have too little in common to say."""
    trust = np.minimum(light.trust, other.trust)
    if trust.mean() < _LEAST_SEEN * 2 / np.pi:
        return None
    return np.array([_median(other.small[..., channel] - light.small[..., channel], trust) for channel in range(3)])


def _median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values, axis=None)
    summed = np.cumsum(weights.ravel()[order])
    return float(values.ravel()[order[np.searchsorted(summed, summed[-1] / 2)]])


def _bounded(correction: Floats) -> Floats:
    level = correction.mean()
    colour = np.clip(correction - level, -_MOST_COLOUR, _MOST_COLOUR)
    bounded: Floats = np.clip(level, -_MOST, _MOST) + colour
    return bounded


class Drives:
    """What this process remembers of the drives it works on: the light of the captures it last gave out, by drive and recipe."""

    def __init__(self) -> None:
        self._drives: OrderedDict[tuple[str, str], OrderedDict[str, tuple[datetime, Light]]] = OrderedDict()

    def near(self, drive: tuple[str, str], capture_id: str, at: datetime, lenses: int) -> list[Neighbour]:
        """Return the other captures nearest in time, of as many lenses, none farther than `FORGOTTEN`."""
        known = self._drives.get(drive, OrderedDict())
        others = [
            Neighbour(abs((when - at).total_seconds()), light)
            for name, (when, light) in known.items()
            if name != capture_id and len(light.gains) == lenses
        ]
        nearest = sorted(others, key=lambda neighbour: neighbour.seconds)[:_NEIGHBOURS]
        return [neighbour for neighbour in nearest if neighbour.seconds <= FORGOTTEN]

    def remember(self, drive: tuple[str, str], capture_id: str, at: datetime, light: Light) -> None:
        """Remember a capture's light; of the captures and drives that become too many, those longest untouched go."""
        captures = self._drives.setdefault(drive, OrderedDict())
        self._drives.move_to_end(drive)
        captures[capture_id] = (at, light)
        captures.move_to_end(capture_id)
        while len(captures) > _MOST_REMEMBERED:
            captures.popitem(last=False)
        while len(self._drives) > _MOST_DRIVES:
            self._drives.popitem(last=False)


def of_capture(
    views: Floats, usable: Mask, shares: Floats, neighbours: Sequence[Neighbour] = (), *, match: bool = True, steady: bool = True
) -> Light:
    """Return a capture's light: its lenses matched with one another and, where wanted, with the captures around it."""
    gains = photometry.exposure_gains(views, usable, predicted(neighbours)) if match else np.ones((len(views), 3))
    light = measured(views, usable, shares, gains)
    return steadied(light, neighbours) if steady else light
