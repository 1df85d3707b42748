"""Which reader reads which file."""

from collections.abc import Mapping
from pathlib import Path

from panoveil.contracts.errors import Misconfigured
from services.agent.poses._csv import read_csv
from services.agent.poses._gpx import read_gpx
from services.agent.poses._nmea import read_nmea
from services.agent.poses._sbet import SbetTrack
from services.agent.poses.options import PoseFormat
from services.agent.poses.track import Track

_SUFFIXES: Mapping[str, PoseFormat] = {
    ".csv": PoseFormat.CSV,
    ".tsv": PoseFormat.CSV,
    ".txt": PoseFormat.CSV,
    ".nmea": PoseFormat.NMEA,
    ".nma": PoseFormat.NMEA,
    ".log": PoseFormat.NMEA,
    ".gpx": PoseFormat.GPX,
    ".sbet": PoseFormat.SBET,
    ".out": PoseFormat.SBET,
}


def format_of(path: Path) -> PoseFormat:
    """Tell the format by the file's name, or raise `Misconfigured`."""
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise Misconfigured(f"{path}: its name does not tell its format: say --pose-format {'|'.join(PoseFormat)}")
    return found


def open_track(path: Path, form: PoseFormat, leap_seconds: int) -> Track:
    """Read or map a pose file; `Misconfigured` names the file, and the line where one is wrong."""
    try:
        match form:
            case PoseFormat.CSV:
                return read_csv(path, leap_seconds)
            case PoseFormat.NMEA:
                return read_nmea(path)
            case PoseFormat.GPX:
                return read_gpx(path)
            case PoseFormat.SBET:
                return SbetTrack(path)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error
