"""People and cars that are put where it is hard for an anonymizer: where panoramas wrap round, and where lenses meet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.cars import car
from simulator.people import someone
from simulator.things import PlatedCar, Thing, Walker
from simulator.views import Station

Points = NDArray[np.float64]

AWKWARD = (180.0, 36.0, -108.0, 108.0, -36.0)
"""Yaws, degrees, where a panorama wraps round, and where two lenses of the demo's rig meet."""

_PEOPLE = (2.6, 7.0)
_CARS = (6.5, 13.0)
_ASIDE = 0.5
"""Degrees from the awkward yaw: less than half a face or plate is wide."""


@dataclass(frozen=True, slots=True)
class Extras:
    """So many for every capture; the first stand at awkward yaws, people and cars in turn from capture to capture.

    `far` stretches the distance, 2.6 to 7 metres for people and 6.5 to 13 for cars, at its far end; `room` is how many metres aside of
    the rig there is something to stand on.
    """

    people: int = 0
    cars: int = 0
    seed: int = 0
    far: float = 1.0
    room: float = np.inf

    def placed(self, station: Station, capture: int, panorama_width: int) -> list[Thing]:
        """Return them, in the world, from far to near; panorama_width in pixels says how finely they are drawn."""
        rng = np.random.default_rng((self.seed, capture, 7))
        centre = np.array([station.x, 0.0, station.z])
        heading = float(np.degrees(station.yaw))
        anywhere = rng.uniform(-180, 180, self.people + self.cars)
        first, second = _shared(capture) if self.people and self.cars else (AWKWARD, AWKWARD)
        people = [self._person(rng, centre, yaw + heading, panorama_width) for yaw in [*first, *anywhere][: self.people]]
        cars = [self._car(rng, centre, yaw + heading) for yaw in [*second, *anywhere[self.people :]][: self.cars]]
        return sorted([*people, *cars], key=lambda thing: -float(np.linalg.norm(thing.place - centre)))

    def _person(self, rng: np.random.Generator, centre: Points, yaw: float, width: int) -> Walker:
        """Somebody who looks more or less at the rig."""
        angle = np.radians(yaw + rng.uniform(-_ASIDE, _ASIDE))
        distance = self._distance(rng, _PEOPLE, angle)
        body = float(angle + np.pi + rng.normal(0, 0.4))
        return Walker(someone(rng), _at(centre, angle, distance), body, float(body + rng.normal(0, 0.3)), width / (2 * np.pi))

    def _car(self, rng: np.random.Generator, centre: Points, yaw: float) -> PlatedCar:
        """A car that shows one of its ends, the plate of it at the yaw."""
        angle = np.radians(yaw + rng.uniform(-_ASIDE, _ASIDE))
        distance = self._distance(rng, _CARS, angle)
        turn, seed = np.pi * float(rng.integers(2)) + rng.normal(0, 0.35), int(rng.integers(2**32))

        def built(at: float) -> PlatedCar:
            return PlatedCar(car(np.random.default_rng(seed), _at(centre, at, distance), float(at + turn)))

        marks = built(angle).marks(centre)
        shown = [float(np.arctan2(way[0], way[2])) for mark in marks for way in (mark.outline.mean(axis=0) - centre,)]
        off = (shown[0] - angle + np.pi) % (2 * np.pi) - np.pi if shown else 0.0
        return built(angle - off)

    def _distance(self, rng: np.random.Generator, reach: tuple[float, float], angle: float) -> float:
        """As many near as far, in proportion: every size of face and plate comes about."""
        near, far = reach[0], min(reach[1] * self.far, self.room / max(abs(float(np.sin(angle))), 1e-6))
        return float(np.exp(rng.uniform(np.log(near), np.log(max(near, far)))))


def _shared(capture: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the awkward yaws of people and of cars."""
    return AWKWARD[capture % 2 :: 2], AWKWARD[1 - capture % 2 :: 2]


def _at(centre: Points, angle: float, distance: float) -> Points:
    return np.asarray(centre + distance * np.array([np.sin(angle), 0, np.cos(angle)]), np.float64)
