"""What a drive tells of its rig that one capture cannot: a lens that turned, dirt that stays.

A watch lives in one task's memory. It takes captures in any order, each once, lets old ones fade, and says something only when it has
seen enough: a task that starts anew has to see enough anew, and tasks that share a drive each see their own part of it.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.stitcher import dirt, drift
from services.stitcher.inspection import Glance, Spots
from services.stitcher.tables import Overview

Floats = NDArray[np.floating[Any]]

ENOUGH_FOR_DRIFT = 6
"""Captures from which a turn is told."""

ENOUGH_FOR_DIRT = 24
"""Captures from which stains are told: by then something has shown behind most of what a lens sees."""

_LAST = 64
"""Captures after which one counts for a third of what it counted for."""

_GROUPS = 4
"""Parts of a drive whose answers are compared to say how sure the whole is."""

_DEPTHS = float(np.radians(0.03))
"""Radians, one sigma, by which the answer is wrong however many captures there are: depths that are not the proxy's."""

_DIRT_EVERY = 4
_REMEMBERED = 1024
_DRIVES = 16


@dataclass(frozen=True, slots=True)
class Turn:
    """By how many degrees a lens is turned against its rig, give or take two sigma, `bound`."""

    degrees: float
    bound: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known by now: each lens's turn, None where it cannot be known (yet), and stains, None until enough was seen."""

    turns: tuple[Turn | None, ...]
    stains: tuple[dirt.Stain, ...] | None


class Watch:
    """Of one drive with one rig. Memory is bounded: sums, and the last names of captures."""

    def __init__(self, spots: Spots, overview: Overview) -> None:
        self._spots, self._overview = spots, overview
        self._names: OrderedDict[str, None] = OrderedDict()
        self._count = 0
        size = spots.windows.turn.shape[2]
        self._weights, self._pull = np.zeros((_GROUPS, size, size)), np.zeros((_GROUPS, size))
        self._shares = np.zeros(_GROUPS)
        self._cells = np.zeros((3, *spots.cells.shape), np.float32)
        self._cell_share = 0.0
        self._stains: tuple[dirt.Stain, ...] | None = None

    def add(self, capture: str, glance: Glance) -> None:
        """Take a capture's glance in; one taken in before counts once."""
        if capture in self._names:
            return
        self._names[capture] = None
        if len(self._names) > _REMEMBERED:
            self._names.popitem(last=False)
        self._fade()
        group = self._count % _GROUPS
        self._weights[group] += glance.turns.weights
        self._pull[group] += glance.turns.pull
        self._shares[group] += 1
        self._cells += np.stack([glance.squares, glance.levels, glance.levels**2])
        self._cell_share += 1
        self._count += 1
        if self._count >= ENOUGH_FOR_DIRT and self._count % _DIRT_EVERY == 0:
            self._stains = self._find_stains()

    def verdict(self) -> Verdict:
        """Return what is known by now."""
        lenses = self._spots.windows.lenses
        turns = self._turns() if self._count >= ENOUGH_FOR_DRIFT else (None,) * lenses
        return Verdict(turns, self._stains)

    def _fade(self) -> None:
        kept = 1 - 1 / _LAST
        self._weights *= kept
        self._pull *= kept
        self._shares *= kept
        self._cells *= np.float32(kept)
        self._cell_share *= kept

    def _turns(self) -> tuple[Turn | None, ...]:
        count = self._spots.windows.lenses
        weights = self._weights / self._shares[:, None, None]
        pull = self._pull / self._shares[:, None]
        whole = drift.turned(weights.mean(axis=0), pull.mean(axis=0), count)
        parts = np.stack([drift.turned(part, toward, count) for part, toward in zip(weights, pull, strict=True)])
        scatter = parts.var(axis=0, ddof=1).sum(axis=1) / _GROUPS
        bounds = np.degrees(2 * np.sqrt(scatter + _DEPTHS**2))
        angles = np.degrees(np.linalg.norm(whole, axis=1))
        known = np.diagonal(self._weights.sum(axis=0))[: 3 * count].reshape(count, 3).min(axis=1) > 0
        return tuple(
            Turn(float(angle), float(bound)) if is_known else None
            for angle, bound, is_known in zip(angles, bounds, known, strict=True)
        )

    def _find_stains(self) -> tuple[dirt.Stain, ...]:
        squares, mean, power = self._cells / self._cell_share
        changes = np.sqrt(np.maximum(power - mean**2, 0))
        return dirt.stains(squares, changes, self._spots.cells, self._overview)


class Watches:
    """The watches of the drives that this task met last."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Watch] = OrderedDict()

    def of(self, drive_id: str, rig_id: str, spots: Spots, overview: Overview) -> Watch:
        """Return the drive's watch; the one asked for longest ago is forgotten where there are too many."""
        key = (drive_id, rig_id)
        watch = self._known.pop(key, None) or Watch(spots, overview)
        self._known[key] = watch
        if len(self._known) > _DRIVES:
            self._known.popitem(last=False)
        return watch
