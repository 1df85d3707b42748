"""GPX 1.0 and 1.1: the points of its tracks that have a time."""

from datetime import UTC, datetime
from pathlib import Path
from xml.parsers import expat

from panoveil.contracts.errors import Misconfigured
from services.agent.poses.track import Fix, MemoryTrack, plausible, require_fixes

_NUMBERS = frozenset({"ele", "geoidheight", "heading", "pitch", "roll", "course", "accuracy"})
"""What is read of a point, whatever namespace and depth it has: extensions are where devices put their own."""


def read_gpx(path: Path) -> MemoryTrack:
    """Read every track point, or raise `Misconfigured` with the line that is wrong."""
    reader = _Reader()
    try:
        with path.open("rb") as file:
            reader.parser.ParseFile(file)
    except expat.ExpatError as error:
        raise Misconfigured(f"{path}, line {error.lineno}: {expat.ErrorString(error.code)}") from error
    except ValueError as error:
        raise Misconfigured(f"{path}, line {reader.parser.CurrentLineNumber}: {error}") from error
    track = MemoryTrack(reader.fixes, passed_over=reader.passed_over)
    return require_fixes(track, str(path), "each <trkpt> needs a <time>")


class _Reader:
    """Fixes are gathered while the parser runs; what it cannot use raises `ValueError`."""

    def __init__(self) -> None:
        self.fixes: list[Fix] = []
        self.passed_over = 0
        self._place: tuple[str, str] | None = None
        self._found: dict[str, str] = {}
        self._text: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append
        self.parser.EntityDeclHandler = _refuse_entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._text.clear()
        if _local(name) == "trkpt":
            self._place = attributes.get("lat", ""), attributes.get("lon", "")
            self._found.clear()

    def _end(self, name: str) -> None:
        local = _local(name)
        if local == "trkpt":
            self._point()
        elif self._place and (local == "time" or local in _NUMBERS):
            # The point's own comes before its extensions'.
            self._found.setdefault(local, "".join(self._text).strip())
        self._text.clear()

    def _point(self) -> None:
        assert self._place is not None
        latitude, longitude = (_number(text, name) for text, name in zip(self._place, ("lat", "lon"), strict=True))
        self._place = None
        if not self._found.get("time"):
            self.passed_over += 1
            return
        numbers = {name: _number(text, name) for name, text in self._found.items() if name != "time" and text}
        self.fixes.append(plausible(_fix(_time(self._found["time"]), latitude, longitude, numbers)))


def _fix(time: float, latitude: float, longitude: float, numbers: dict[str, float]) -> Fix:
    height, geoid = numbers.get("ele"), numbers.get("geoidheight")
    known = height is not None and geoid is not None
    return Fix(
        time=time,
        latitude=latitude,
        longitude=longitude,
        altitude=height + geoid if height is not None and geoid is not None else height,
        heading=numbers.get("heading"),
        pitch=numbers.get("pitch"),
        roll=numbers.get("roll"),
        course=numbers.get("course"),
        accuracy=numbers.get("accuracy"),
        above_sea=not known,
    )


def _time(text: str) -> float:
    """GPX says that times are UTC: one without a zone is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"<time> {text!r} is no time: write it like 2026-05-11T08:14:03.25Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{name} {text!r} is no number" if text else f"a <trkpt> has no {name}") from error


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _refuse_entity(*_: object) -> None:
    raise ValueError("it declares an entity, which no GPX needs")
