"""The street with people and cars round the rig, in three dimensions: one where any two lenses of the demo's rig meet, one between.

Where lenses meet their parallax shows: a panorama draws such a face or plate mixed of two views, or twice. All stand at the same
distances in either kind of place, so that what seams do can be told from what distance does.
"""

from collections.abc import Sequence

import numpy as np

from simulator.cars import car
from simulator.people import someone
from simulator.rigs import NAMES
from simulator.street import Street
from simulator.things import PlatedCar, Thing, Walker
from simulator.views import Station

_FACES = (2.2, 16.0)
"""Metres to people, evenly spread in inverse distance: as many large faces as small ones."""

_PLATES = (4.6, 11.0)
"""Likewise to the middles of cars."""

_SHARE_PEOPLE = 0.6
_ASIDE = np.radians(2.0)
_BETWEEN = np.pi / len(NAMES)


class Gathering(Street):
    """A world: the empty street, with ten people or cars round every station; the odd ones stand on seams."""

    def __init__(self, seed: int = 0, captures: int = 12, panorama_width: int = 4096) -> None:
        """Build the street and place everybody."""
        super().__init__(seed, captures, panorama_width)
        self._gathered = [self._gather(capture, seed, panorama_width) for capture in range(captures)]

    def things(self, capture: int) -> Sequence[Thing]:
        """Return who and what stands round the rig, from far to near."""
        return self._gathered[capture]

    def _gather(self, capture: int, seed: int, panorama_width: int) -> list[Thing]:
        rng = np.random.default_rng((seed, capture, 11))
        station = self.station(capture)
        yaws = station.yaw + np.arange(2 * len(NAMES)) * _BETWEEN + rng.uniform(-_ASIDE, _ASIDE, 2 * len(NAMES))
        gathered = [_somebody(rng, station, float(yaw), panorama_width) for yaw in yaws]
        return sorted(gathered, key=lambda thing: -float(np.linalg.norm(thing.place - station.place)))


def _somebody(rng: np.random.Generator, station: Station, yaw: float, panorama_width: int) -> Thing:
    """Return a person who more or less looks at the rig, or a car that shows it one of its ends."""
    people = rng.uniform() < _SHARE_PEOPLE
    near, far = _FACES if people else _PLATES
    place = station.place + np.array([np.sin(yaw), 0, np.cos(yaw)]) / rng.uniform(1 / far, 1 / near)
    if people:
        body = float(yaw + np.pi + rng.normal(0, 0.4))
        return Walker(someone(rng), place, body, float(body + rng.normal(0, 0.3)), panorama_width / (2 * np.pi))
    return PlatedCar(car(rng, place, float(yaw + np.pi * rng.integers(2) + rng.normal(0, 0.12))))
