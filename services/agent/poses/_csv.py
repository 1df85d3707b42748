"""CSV with a header line. See docs/poses.md for the names that columns may have."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path

from panoveil.contracts.errors import Misconfigured
from services.agent.poses.clock import utc_of_gps
from services.agent.poses.track import Fix, MemoryTrack, plausible, require_fixes

_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "datetime", "utc", "time_utc", "utc_time"),
    "epoch_s": ("epoch", "epoch_s", "unix", "unix_time"),
    "epoch_ms": ("epoch_ms",),
    "epoch_us": ("epoch_us",),
    "epoch_ns": ("epoch_ns",),
    "gps_week": ("gps_week", "week"),
    "gps_seconds": ("gps_sow", "gps_seconds", "gps_time", "sow", "tow", "seconds_of_week"),
    "latitude": ("latitude", "lat", "latitude_deg", "lat_deg"),
    "longitude": ("longitude", "lon", "lng", "long", "longitude_deg", "lon_deg"),
    "altitude": ("altitude", "alt", "height", "h", "ellipsoidal_height", "altitude_m", "alt_m", "height_m"),
    "above_sea": ("msl", "altitude_msl", "alt_msl", "height_msl", "orthometric_height", "elevation", "ele"),
    "geoid_height": ("geoid_height", "undulation", "geoid_separation"),
    "heading": ("heading", "true_heading", "heading_deg", "azimuth"),
    "pitch": ("pitch", "pitch_deg"),
    "roll": ("roll", "roll_deg"),
    "course": ("course", "cog", "track", "course_over_ground"),
    "accuracy": ("accuracy", "accuracy_m", "sigma", "position_sigma"),
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names}
_EPOCHS = {"epoch_s": 1.0, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}
_CLOCKS = ("time", *_EPOCHS, "gps_seconds")
_DELIMITERS = ",;\t"
_EARLIEST, _LATEST = 1e8, 1e11
"""Seconds of the epoch: a number outside is milliseconds of it, or counts from elsewhere."""

Row = Sequence[str]


def read_csv(path: Path, leap_seconds: int) -> MemoryTrack:
    """Read every line, or raise `Misconfigured` with the line that is wrong."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        columns, number = _header(file, path)
        fixes = _fixes(csv.reader(file, delimiter=columns.delimiter), columns, f"{path}, line", number, leap_seconds)
        try:
            track = MemoryTrack(fixes, weekly=columns.weekly)
        except UnicodeDecodeError as error:
            raise Misconfigured(f"{path} is no UTF-8 text: {error.reason}") from error
    return require_fixes(track, str(path), "only a header line, or nothing below it")


class _Columns:
    """What stands in which column."""

    def __init__(self, header: str) -> None:
        """`ValueError` says what the header lacks, or names twice."""
        self.delimiter = max(_DELIMITERS, key=header.count)
        names = next(csv.reader([header], delimiter=self.delimiter), [])
        self.count = len(names)
        self._index: dict[str, int] = {}
        for index, name in enumerate(names):
            self._note(index, name, names)
        for needed in ("latitude", "longitude"):
            if needed not in self._index:
                raise ValueError(f"no column is called {needed}: name it {' or '.join(_NAMES[needed][:2])}")
        self.clock = self._clock()
        self.weekly = self.clock == "gps_seconds" and "gps_week" not in self._index

    def _note(self, index: int, name: str, names: Row) -> None:
        role = _ROLES.get(_plain(name))
        if role in self._index:
            raise ValueError(f"columns {names[self._index[role]]!r} and {name!r} both mean {role}: leave one of them")
        if role:
            self._index[role] = index

    def _clock(self) -> str:
        clocks = [name for name in _CLOCKS if name in self._index]
        if len(clocks) != 1:
            found = f"{' and '.join(clocks)} are columns" if clocks else "no column tells the time"
            raise ValueError(f"{found}: have one of time, {', '.join(_EPOCHS)}, or gps_week with gps_seconds")
        return clocks[0]

    def text(self, row: Row, role: str) -> str:
        """Return what stands in the column of this role; nothing where there is none."""
        return row[self._index[role]].strip() if role in self._index else ""

    def number(self, row: Row, role: str) -> float | None:
        """Return the number in the column of this role; None where there is none."""
        text = self.text(row, role)
        return _number(text, role) if text else None

    def needed(self, row: Row, role: str) -> float:
        """Return the number in the column of this role, or raise `ValueError`."""
        return _number(self.text(row, role), role)


def _header(file: Iterable[str], path: Path) -> tuple[_Columns, int]:
    """Return the columns and the number of the line that names them: the first that is neither empty nor a comment."""
    try:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith("#"):
                return _Columns(line.rstrip("\r\n")), number
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path} is no UTF-8 text: {error.reason}") from error
    except ValueError as error:
        raise Misconfigured(f"{path}, line {number}: {error}") from error
    raise Misconfigured(f"{path} is empty: it wants a line that names the columns")


def _fixes(lines: Iterable[Row], columns: _Columns, place: str, header: int, leap_seconds: int) -> Iterator[Fix]:
    for number, row in enumerate(lines, header + 1):
        if not any(row):
            continue
        try:
            yield _fix(row, columns, leap_seconds)
        except ValueError as error:
            raise Misconfigured(f"{place} {number}: {error}") from error


def _fix(row: Row, columns: _Columns, leap_seconds: int) -> Fix:
    if len(row) != columns.count:
        hint = ": are decimals written with commas?" if columns.delimiter == "," and len(row) > columns.count else ""
        raise ValueError(f"{len(row)} columns, where the header names {columns.count}{hint}")
    altitude, above_sea = _altitude(row, columns)
    return plausible(
        Fix(
            time=_time(row, columns, leap_seconds),
            latitude=columns.needed(row, "latitude"),
            longitude=columns.needed(row, "longitude"),
            altitude=altitude,
            heading=columns.number(row, "heading"),
            pitch=columns.number(row, "pitch"),
            roll=columns.number(row, "roll"),
            course=columns.number(row, "course"),
            accuracy=columns.number(row, "accuracy"),
            above_sea=above_sea,
        )
    )


def _altitude(row: Row, columns: _Columns) -> tuple[float | None, bool]:
    """Return metres above the ellipsoid where that can be told, else above the sea, and whether they are that."""
    ellipsoidal = columns.number(row, "altitude")
    if ellipsoidal is not None:
        return ellipsoidal, False
    above_sea, geoid = columns.number(row, "above_sea"), columns.number(row, "geoid_height")
    return (above_sea, above_sea is not None) if above_sea is None or geoid is None else (above_sea + geoid, False)


def _time(row: Row, columns: _Columns, leap_seconds: int) -> float:
    if columns.clock == "time":
        return _moment(columns.text(row, "time"))
    number = columns.needed(row, columns.clock)
    if columns.clock == "gps_seconds":
        return number if columns.weekly else utc_of_gps(columns.needed(row, "gps_week"), number, leap_seconds)
    return number / _EPOCHS[columns.clock]


def _moment(text: str) -> float:
    """Read ISO 8601 or seconds of the epoch."""
    try:
        seconds = float(text)
    except ValueError:
        return _iso(text)
    if not _EARLIEST < seconds < _LATEST:
        raise ValueError(
            f"a time of {text} is no seconds of the epoch: call the column epoch_ms, epoch_us, epoch_ns or gps_seconds"
        )
    return seconds


def _iso(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: write it like 2026-05-11T08:14:03.25Z") from error
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say its zone: write Z after it, or +02:00")
    return moment.timestamp()


def _number(text: str, role: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        if "," in text:
            raise ValueError(f"{role} {text!r} has a decimal comma: write decimal points") from error
        raise ValueError(f"{role} {text!r} is no number" if text else f"the {role} is missing") from error
    if not isfinite(number):
        raise ValueError(f"{role} {text!r} is no number")
    return number


def _plain(name: str) -> str:
    """Lower case, words joined by one underscore, without a unit in brackets."""
    return re.sub(r"[\s._-]+", "_", re.sub(r"[\[(].*?[\])]", "", name).strip().lower())
