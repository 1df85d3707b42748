"""A track: fixes in the order of their times, wherever they lie."""

from array import array
from collections.abc import Iterable
from itertools import chain
from math import isfinite, isnan, nan
from operator import lt
from typing import NamedTuple, Protocol

from panoveil.contracts.errors import Misconfigured
from services.agent.poses.angles import signed
from services.agent.poses.clock import gps_of_utc, nearest_week, utc_of_gps


class Fix(NamedTuple):
    """Where the reference point was at a time. Degrees and metres as in `Pose`; `course` is the way it moved, clockwise from north.

    `altitude` is above the ellipsoid; `above_sea` says that it is above the geoid instead.
    """

    time: float
    latitude: float
    longitude: float
    altitude: float | None = None
    heading: float | None = None
    pitch: float | None = None
    roll: float | None = None
    course: float | None = None
    accuracy: float | None = None
    above_sea: bool = False


class Track(Protocol):
    """At least one fix; times never decrease. They count from the beginning of a GPS week where `weekly`, else UTC from the epoch."""

    weekly: bool
    passed_over: int

    def __len__(self) -> int:
        """Return the number of fixes."""
        ...

    def time(self, index: int) -> float:
        """Return the time of a fix, seconds."""
        ...

    def fix(self, index: int) -> Fix:
        """Return a fix."""
        ...


_WIDTH = len(Fix._fields)
_FARTHEST_NORTH = 89.0
"""Degrees: beyond it metres are no degrees, and there are no roads."""


class MemoryTrack:
    """A track of fixes in memory, 80 bytes each, sorted by time. Of fixes of the same time the last one in the file counts."""

    def __init__(self, fixes: Iterable[Fix], *, weekly: bool = False, passed_over: int = 0) -> None:
        """`passed_over` counts what the file holds besides and was not used."""
        self._rows = _sorted(_rows(fixes))
        self.weekly = weekly
        self.passed_over = passed_over

    def __len__(self) -> int:
        """See `Track`."""
        return len(self._rows) // _WIDTH

    def time(self, index: int) -> float:
        """See `Track`."""
        return self._rows[index * _WIDTH]

    def fix(self, index: int) -> Fix:
        """See `Track`."""
        time, latitude, longitude, *others, above_sea = self._rows[index * _WIDTH : (index + 1) * _WIDTH]
        altitude, heading, pitch, roll, course, accuracy = (None if isnan(value) else value for value in others)
        return Fix(time, latitude, longitude, altitude, heading, pitch, roll, course, accuracy, bool(above_sea))


def _rows(fixes: Iterable[Fix]) -> "array[float]":
    rows = array("d")
    for fix in fixes:
        rows.extend([nan if value is None else value for value in fix])
    return rows


def _sorted(rows: "array[float]") -> "array[float]":
    times = rows[::_WIDTH]
    if all(map(lt, times, times[1:])):
        return rows
    latest = {time: index * _WIDTH for index, time in enumerate(times)}
    return array("d", chain.from_iterable(rows[latest[time] : latest[time] + _WIDTH] for time in sorted(latest)))


def require_fixes(track: MemoryTrack, name: str, what: str) -> MemoryTrack:
    """Return the track, or raise `Misconfigured` where it is empty; `what` says what a fix is made of."""
    if not len(track):
        raise Misconfigured(f"{name} holds no position with a time: {what}")
    return track


def track_time(track: Track, utc: float, gps_week: int | None, leap_seconds: int) -> float:
    """Return a time of UTC, in seconds of the epoch, as the track counts it."""
    if not track.weekly:
        return utc
    gps = gps_of_utc(utc, leap_seconds)
    middle = (track.time(0) + track.time(len(track) - 1)) / 2
    week = nearest_week(gps, middle) if gps_week is None else gps_week
    return gps - gps_of_utc(utc_of_gps(week, 0.0, leap_seconds), leap_seconds)


def plausible(fix: Fix) -> Fix:
    """Return the fix with its longitude and heading wrapped, or raise `ValueError` with a sentence about what cannot be."""
    if not all(value is None or isfinite(value) for value in fix):
        raise ValueError("it holds what is no number")
    for name, value, limit in (
        ("latitude", fix.latitude, _FARTHEST_NORTH),
        ("longitude", fix.longitude, 360),
        ("pitch", fix.pitch, 90),
    ):
        if value is not None and abs(value) > limit:
            raise ValueError(f"a {name} of {value:g}° cannot be")
    if fix.accuracy is not None and fix.accuracy < 0:
        raise ValueError(f"an accuracy of {fix.accuracy:g} m cannot be")
    return fix._replace(longitude=signed(fix.longitude))
