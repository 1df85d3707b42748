"""When panoramas are taken and when they arrive: days, cars, legs, mobile network and depot. Times are seconds since 1 April 0:00, solar."""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from benchmarks.season.assumptions import Assumptions

Floats = NDArray[np.float64]

HOUR, DAY = 3600.0, 86400.0
_LEG_S = 900.0
_SATURDAY = 5
_AXIS = 23.44
_MARGIN = 1.03
"""Cars are reckoned from means; so much more makes sure of the last day."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Batches in order of arrival: when captured, when in the stream, how many panoramas. And cars, days driven, and what was asked for."""

    captured: Floats
    arrived: Floats
    count: Floats
    cars: int
    days: int
    wanted: float

    @property
    def panoramas(self) -> float:
        """How many there are."""
        return float(self.count.sum())

    def busiest(self, span_s: float) -> float:
        """Return the most panoramas that arrived in one span of the clock."""
        return float(np.bincount((self.arrived // span_s).astype(int), self.count).max())


def driving_hours(day: date, assumptions: Assumptions) -> float:
    """Return for how long the sun stands high enough, at most a shift; 0 where it never does."""
    turn = 2 * math.pi * (day.timetuple().tm_yday - 81) / 365.25
    declination = math.asin(math.sin(math.radians(_AXIS)) * math.sin(turn))
    latitude, height = math.radians(assumptions.latitude), math.radians(assumptions.sun_above)
    cosine = (math.sin(height) - math.sin(latitude) * math.sin(declination)) / (math.cos(latitude) * math.cos(declination))
    return min(assumptions.shift_h, math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) * 2 / 15)


def season(assumptions: Assumptions, batch: int, seed: int) -> Demand:
    """Drive until all is taken or September ends; batches hold at most `batch` panoramas."""
    days = _days(assumptions, np.random.default_rng((seed, 1)))
    cars = int(assumptions.cars) or _cars(assumptions, [hours for _, hours in days])
    parts, wanted, driven = [], assumptions.panoramas, 0
    for index, hours in days:
        # A generator of its own for every day and car: the batch size must not change what is driven.
        rngs = [np.random.default_rng((seed, 2, index, car)) for car in range(cars)]
        parts += [car_day(assumptions, index, hours, batch, rng) for rng in rngs if rng.random() < assumptions.availability]
        driven += 1
        wanted = assumptions.panoramas - sum(float(part[2].sum()) for part in parts)
        if wanted <= 0:
            break
    captured, arrived, count = _first(np.concatenate(parts, axis=1), assumptions.panoramas)
    return Demand(captured, arrived, count, cars, driven, assumptions.panoramas)


def car_day(assumptions: Assumptions, index: int, hours: float, batch: int, rng: np.random.Generator) -> Floats:
    """Return [3, batches]: captured, arrived, count, of one car on the season's day `index`."""
    legs = int(hours * HOUR / _LEG_S)
    starts = index * DAY + (12 - hours / 2) * HOUR + _LEG_S * np.arange(legs)
    town = rng.random(legs) < assumptions.town_share
    speed = np.where(town, assumptions.town_kmh, assumptions.country_kmh) * rng.lognormal(0, 0.15, legs)
    busy = rng.random(legs) < assumptions.productive
    numbers = np.where(busy, np.round(speed / 3.6 * _LEG_S / assumptions.spacing_m), 0).astype(int)
    split = [_split(start, number, batch) for start, number in zip(starts, numbers, strict=True) if number]
    times, counts = (np.concatenate(each) for each in zip(*split, strict=True)) if split else (np.empty(0), np.empty(0))
    plug = index * DAY + (12 + hours / 2 + assumptions.depot_after_h) * HOUR
    return np.stack([times, _uploaded(assumptions, times, counts, plug), counts])


def _split(start: float, number: int, batch: int) -> tuple[Floats, Floats]:
    """Cut a leg into batches: each lies in the middle of its time."""
    edges = np.append(np.arange(0, number, batch), number).astype(float)
    return start + (edges[:-1] + edges[1:]) / 2 / number * _LEG_S, np.diff(edges)


def _uploaded(assumptions: Assumptions, times: Floats, counts: Floats, plug: float) -> Floats:
    """One upload after the other, over the mobile network until the plug, over the depot's line after it."""
    mobile, depot = (mbit / 8 / assumptions.capture_mb for mbit in (assumptions.mobile_mbit, assumptions.depot_mbit))
    free, result = 0.0, np.empty_like(times)
    for index, (time, count) in enumerate(zip(times.tolist(), counts.tolist(), strict=True)):
        begin = max(free, time)
        sent = min(count, max(0.0, plug - begin) * mobile)
        free = begin + count / mobile if sent == count else max(begin, plug) + (count - sent) / depot
        result[index] = free
    return result


def _days(assumptions: Assumptions, rng: np.random.Generator) -> list[tuple[int, float]]:
    """Return the days that are driven, by number, and their hours: weekdays, of fit weather and light."""
    first, last = date(int(assumptions.year), 4, 1), date(int(assumptions.year), 9, 30)
    every = [first + timedelta(number) for number in range((last - first).days + 1)]
    lost = rng.random(len(every)) < assumptions.weather_lost
    fit = [(number, day) for number, day in enumerate(every) if day.weekday() < _SATURDAY and not lost[number]]
    return [(number, driving_hours(day, assumptions)) for number, day in fit]


def _cars(assumptions: Assumptions, hours: list[float]) -> int:
    kmh = assumptions.town_share * assumptions.town_kmh + (1 - assumptions.town_share) * assumptions.country_kmh
    hourly = kmh * 1000 / assumptions.spacing_m * assumptions.productive * assumptions.availability
    return math.ceil(assumptions.panoramas * _MARGIN / (hourly * max(1.0, sum(hours))))


def _first(parts: Floats, wanted: float) -> tuple[Floats, Floats, Floats]:
    """Return the first `wanted` panoramas to be captured, in order of arrival."""
    captured, arrived, count = parts[:, np.argsort(parts[0], kind="stable")]
    count = np.minimum(count, np.maximum(0.0, wanted - (np.cumsum(count) - count)))
    kept = np.flatnonzero(count)
    kept = kept[np.argsort(arrived[kept], kind="stable")]
    return captured[kept], arrived[kept], count[kept]
