"""NMEA 0183 logs: RMC and GGA of the same time are one fix, HDT, THS and VTG belong to the one before them, GST tells its accuracy.

Only RMC and ZDA know the date: times of day before the first are of that day (or the one before, beyond midnight), those after it go
on from there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import reduce
from math import isfinite
from operator import xor
from pathlib import Path

from panoveil.contracts.errors import Misconfigured
from services.agent.poses.track import Fix, MemoryTrack, require_fixes

_DAY = 86_400.0
_SHARE_DAMAGED = 0.1
_LARGEST = {"N": 89.0, "S": 89.0, "E": 180.0, "W": 180.0}
_FIRST_YEAR = 80
"""Two digits of a year from here on are of the twentieth century."""


@dataclass(slots=True)
class _Epoch:
    """What sentences say of a moment: `of_day` in seconds, `day` the midnight before it in seconds of the epoch."""

    of_day: float
    day: float | None = None
    valid: bool = True
    values: dict[str, float] = field(default_factory=dict)

    @property
    def is_fix(self) -> bool:
        """Whether the receiver knew where it was."""
        return self.valid and "latitude" in self.values


def read_nmea(path: Path) -> MemoryTrack:
    """Read every sentence; pass over what is damaged, unless that is much of it: then `Misconfigured`."""
    reader = _Reader()
    with path.open(encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, 1):
            reader.line(line, number)
    if reader.damaged > _SHARE_DAMAGED * max(reader.sentences, 1):
        raise Misconfigured(
            f"{path}, line {reader.first_damaged}: {reader.damaged} of {reader.sentences} sentences fail their checksum: "
            "it is damaged, or no NMEA log"
        )
    fixes = [fix for fix in map(_fix, _dated(reader.epochs, path)) if fix]
    track = MemoryTrack(fixes, passed_over=reader.damaged)
    return require_fixes(track, str(path), "it wants RMC or GGA sentences of a receiver that has a fix")


class _Reader:
    def __init__(self) -> None:
        self.epochs: list[_Epoch] = []
        self.sentences = self.damaged = self.first_damaged = 0

    def line(self, line: str, number: int) -> None:
        """Take up a line: any text may stand before the sentence, as loggers put times there, or one that was cut short."""
        start = line.rfind("$")
        if start < 0:
            return
        self.sentences += 1
        fields = _checked(line[start + 1 :].strip())
        try:
            if fields is None:
                raise ValueError("checksum")  # noqa: TRY301
            self._sentence(fields)
        except (ValueError, LookupError):
            self.damaged += 1
            self.first_damaged = self.first_damaged or number

    def _sentence(self, fields: Sequence[str]) -> None:
        kind = fields[0][2:]
        if kind in _TIMED:
            if fields[1]:
                _TIMED[kind](self._epoch(_of_day(fields[1])), fields)
        elif kind in _TIMELESS and self.epochs:
            _TIMELESS[kind](self.epochs[-1], fields)

    def _epoch(self, of_day: float) -> _Epoch:
        if not self.epochs or self.epochs[-1].of_day != of_day:
            self.epochs.append(_Epoch(of_day))
        return self.epochs[-1]


def _checked(sentence: str) -> list[str] | None:
    """Return the fields of a sentence whose checksum is right, else None."""
    body, star, checksum = sentence.partition("*")
    try:
        right = bool(star) and int(checksum[:2], 16) == reduce(xor, body.encode(), 0)
    except ValueError:
        right = False
    return body.split(",") if right else None


def _rmc(epoch: _Epoch, fields: Sequence[str]) -> None:
    # Before it has a fix, a receiver tells any date.
    if fields[2] != "A":
        epoch.valid = False
        return
    if fields[9]:
        epoch.day = _midnight(int(fields[9][:2]), int(fields[9][2:4]), int(fields[9][4:6]))
    epoch.values.setdefault("latitude", _angle(fields[3], fields[4]))
    epoch.values.setdefault("longitude", _angle(fields[5], fields[6]))
    _note(epoch, "course", fields[8])


def _gga(epoch: _Epoch, fields: Sequence[str]) -> None:
    if fields[6] in {"", "0"}:
        epoch.valid = False
        return
    epoch.values |= {"latitude": _angle(fields[2], fields[3]), "longitude": _angle(fields[4], fields[5])}
    _note(epoch, "above_sea", fields[9])
    _note(epoch, "geoid", fields[11])


def _gst(epoch: _Epoch, fields: Sequence[str]) -> None:
    if fields[6] and fields[7]:
        epoch.values["accuracy"] = max(_number(fields[6]), _number(fields[7]))


def _zda(epoch: _Epoch, fields: Sequence[str]) -> None:
    if all(fields[2:5]):
        epoch.day = datetime(int(fields[4]), int(fields[3]), int(fields[2]), tzinfo=UTC).timestamp()


def _hdt(epoch: _Epoch, fields: Sequence[str]) -> None:
    _note(epoch, "heading", fields[1])


def _ths(epoch: _Epoch, fields: Sequence[str]) -> None:
    if fields[2] != "V":
        _note(epoch, "heading", fields[1])


def _vtg(epoch: _Epoch, fields: Sequence[str]) -> None:
    _note(epoch, "course", fields[1])


_Take = Callable[[_Epoch, Sequence[str]], None]
_TIMED: Mapping[str, _Take] = {"RMC": _rmc, "GGA": _gga, "GST": _gst, "ZDA": _zda}
_TIMELESS: Mapping[str, _Take] = {"HDT": _hdt, "THS": _ths, "VTG": _vtg}


def _dated(epochs: Sequence[_Epoch], path: Path) -> Iterator[_Epoch]:
    """Yield each epoch with its day; nothing where none of them is a fix."""
    if not any(epoch.is_fix for epoch in epochs):
        return
    first = next((index for index, epoch in enumerate(epochs) if epoch.day is not None), None)
    if first is None:
        raise Misconfigured(f"{path}: no RMC or ZDA sentence tells the date: log them beside GGA")
    _carry_day(epochs[first::-1])
    _carry_day(epochs[first:])
    yield from epochs


def _carry_day(epochs: Iterable[_Epoch]) -> None:
    """Give each epoch the day of its neighbour, or the next one where half a day lies between their times of day."""
    before: _Epoch | None = None
    for epoch in epochs:
        if epoch.day is None:
            assert before is not None
            assert before.day is not None
            epoch.day = before.day - _DAY * round((epoch.of_day - before.of_day) / _DAY)
        before = epoch


def _fix(epoch: _Epoch) -> Fix | None:
    """Return the epoch as a fix; None where the receiver had none."""
    values = epoch.values
    if not epoch.is_fix:
        return None
    assert epoch.day is not None
    return Fix(
        time=epoch.day + epoch.of_day,
        latitude=values["latitude"],
        longitude=values["longitude"],
        altitude=values["above_sea"] + values.get("geoid", 0.0) if "above_sea" in values else None,
        heading=values.get("heading"),
        course=values.get("course"),
        accuracy=values.get("accuracy"),
        above_sea="geoid" not in values,
    )


def _note(epoch: _Epoch, name: str, text: str) -> None:
    if text:
        epoch.values[name] = _number(text)


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _of_day(text: str) -> float:
    """Read hhmmss.ss."""
    return int(text[:2]) * 3600.0 + int(text[2:4]) * 60.0 + float(text[4:])


def _midnight(day: int, month: int, year: int) -> float:
    return datetime(year + (1900 if year >= _FIRST_YEAR else 2000), month, day, tzinfo=UTC).timestamp()


def _angle(text: str, side: str) -> float:
    """Read degrees and minutes, ddmm.mmm, and the half of the globe."""
    point = text.index(".") if "." in text else len(text)
    degrees = int(text[: point - 2] or 0) + float(text[point - 2 :]) / 60.0
    if not 0 <= degrees <= _LARGEST[side]:
        raise ValueError(f"{text} {side} is nowhere")
    return -degrees if side in {"S", "W"} else degrees
