"""What the positioning system of the virtual car would have written: a drive's trajectory as CSV, NMEA, GPX or SBET."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.messages import CaptureManifest, parse_manifest

Floats = NDArray[np.float64]
Format = Literal["csv", "nmea", "gpx", "sbet"]

_LEAP_SECONDS = 18
_GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC).timestamp()
_WEEK = 604_800
_AXIS, _E2 = 6_378_137.0, 6.69437999014e-3
_GEOID = 38.5
"""Metres of the geoid above the ellipsoid, about what it is in Denmark."""

_WANDER = 0.3
"""Radians: what an SBET's headings are turned by, so that whoever reads them has to turn them back."""

_KNOTS = 1.943844


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Where the rig was: UTC seconds of the epoch, degrees, metres above the ellipsoid; angles as in `Pose`. All float64 [N]."""

    time: Floats
    latitude: Floats
    longitude: Floats
    altitude: Floats
    heading: Floats
    pitch: Floats
    roll: Floats


def of_drive(folder: Path, rate: float, margin: float = 1.0) -> Trajectory:
    """Return the trajectory through the captures of a drive folder, `rate` times a second, going on `margin` seconds at both ends."""
    manifests = [parse_manifest(path.read_bytes()) for path in folder.rglob(MANIFEST_NAME)]
    knots = _knots(sorted(manifests, key=lambda manifest: manifest.captured_at))
    first, last = knots[0, 0] - margin, knots[-1, 0] + margin
    # Whole steps of the clock, as a receiver does it.
    time = np.arange(np.ceil(first * rate), np.floor(last * rate) + 1) / rate
    columns = [_through(time, knots[:, 0], knots[:, column]) for column in range(1, knots.shape[1])]
    columns[1] = (columns[1] + 180) % 360 - 180
    return Trajectory(time, *columns)


def seen_from(trajectory: Trajectory, lever_arm: tuple[float, float, float]) -> Trajectory:
    """Return the trajectory of the point from which `lever_arm` (metres forward, right, down) leads to the rig."""
    angles = np.radians([trajectory.heading, trajectory.pitch, trajectory.roll])
    arms = _body_to_ned(*angles) @ np.array(lever_arm)
    latitude, longitude = np.radians(trajectory.latitude), np.radians(trajectory.longitude)
    earth = _to_ecef(latitude, longitude, trajectory.altitude) - np.einsum("nij,nj->ni", _ned_to_ecef(latitude, longitude), arms)
    latitude, longitude, altitude = _from_ecef(earth)
    return replace(trajectory, latitude=np.degrees(latitude), longitude=np.degrees(longitude), altitude=altitude)


def write(trajectory: Trajectory, path: Path, form: Format) -> None:
    """Write the pose file. NMEA and GPX know no pitch and roll; NMEA writes times to the millisecond."""
    path.write_bytes(_WRITERS[form](trajectory))


def without_poses(folder: Path, target: Path) -> None:
    """Copy a drive folder to `target`, which must not exist, and take the poses out of its manifests."""
    shutil.copytree(folder, target)
    for path in target.rglob(MANIFEST_NAME):
        manifest = json.loads(path.read_bytes())
        del manifest["pose"]
        path.write_text(json.dumps(manifest, indent=1))


def _knots(manifests: list[CaptureManifest]) -> Floats:
    """Return a line a capture: time and the six of its pose."""
    lines = [
        (
            manifest.captured_at.timestamp(),
            manifest.pose.latitude,
            manifest.pose.longitude,
            manifest.pose.altitude or 0.0,
            manifest.pose.heading or 0.0,
            manifest.pose.pitch or 0.0,
            manifest.pose.roll or 0.0,
        )
        for manifest in manifests
    ]
    knots = np.array(lines, np.float64)
    knots[:, [2, 4]] = np.unwrap(knots[:, [2, 4]], period=360, axis=0)
    return knots


def _through(time: Floats, knots: Floats, values: Floats) -> Floats:
    """Go straight from knot to knot, and on beyond the first and the last."""
    if len(knots) == 1:
        return np.full_like(time, values[0])
    index = np.clip(np.searchsorted(knots, time) - 1, 0, len(knots) - 2)
    slopes = np.diff(values) / np.diff(knots)
    through: Floats = values[index] + (time - knots[index]) * slopes[index]
    return through


def _body_to_ned(heading: Floats, pitch: Floats, roll: Floats) -> Floats:
    """Return matrices [N, 3, 3]."""
    zero, one = np.zeros_like(heading), np.ones_like(heading)
    about_down = [[np.cos(heading), -np.sin(heading), zero], [np.sin(heading), np.cos(heading), zero], [zero, zero, one]]
    about_right = [[np.cos(pitch), zero, np.sin(pitch)], [zero, one, zero], [-np.sin(pitch), zero, np.cos(pitch)]]
    about_ahead = [[one, zero, zero], [zero, np.cos(roll), -np.sin(roll)], [zero, np.sin(roll), np.cos(roll)]]
    turned: Floats = reduce(np.matmul, (np.moveaxis(np.array(each), 2, 0) for each in (about_down, about_right, about_ahead)))
    return turned


def _ned_to_ecef(latitude: Floats, longitude: Floats) -> Floats:
    """Return matrices [N, 3, 3] whose columns are north, east and down."""
    sl, cl, so, co = np.sin(latitude), np.cos(latitude), np.sin(longitude), np.cos(longitude)
    zero = np.zeros_like(sl)
    return np.moveaxis(np.array([[-sl * co, -so, -cl * co], [-sl * so, co, -cl * so], [cl, zero, -sl]]), 2, 0)


def _to_ecef(latitude: Floats, longitude: Floats, altitude: Floats) -> Floats:
    vertical = _AXIS / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
    ring = (vertical + altitude) * np.cos(latitude)
    up = (vertical * (1 - _E2) + altitude) * np.sin(latitude)
    return np.stack([ring * np.cos(longitude), ring * np.sin(longitude), up], axis=1)


def _from_ecef(earth: Floats) -> tuple[Floats, Floats, Floats]:
    x, y, z = earth.T
    ring = np.hypot(x, y)
    latitude = np.arctan2(z, ring * (1 - _E2))
    for _ in range(6):
        vertical = _AXIS / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
        latitude = np.arctan2(z + _E2 * vertical * np.sin(latitude), ring)
    return latitude, np.arctan2(y, x), ring / np.cos(latitude) - _AXIS / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)


def _csv(trajectory: Trajectory) -> bytes:
    head = "time,latitude,longitude,altitude,heading,pitch,roll"
    lines = (
        f"{_iso(time)},{latitude:.10f},{longitude:.10f},{altitude:.4f},{heading % 360:.5f},{pitch:.5f},{roll:.5f}"
        for time, latitude, longitude, altitude, heading, pitch, roll in _rows(trajectory)
    )
    return "\n".join([head, *lines, ""]).encode()


def _nmea(trajectory: Trajectory) -> bytes:
    speeds, courses = _movement(trajectory)
    sentences: list[str] = []
    for row, speed, course in zip(_rows(trajectory), speeds, courses, strict=True):
        moment = datetime.fromtimestamp(round(row[0], 3), UTC)
        clock = f"{moment:%H%M%S}.{moment.microsecond // 1000:03d}"
        place = f"{_minutes(row[1], 'NS', 2)},{_minutes(row[2], 'EW', 3)}"
        sentences += [
            f"GPRMC,{clock},A,{place},{speed * _KNOTS:.3f},{course:.2f},{moment:%d%m%y},,,R",
            f"GPGGA,{clock},{place},4,17,0.6,{row[3] - _GEOID:.4f},M,{_GEOID},M,1.0,0000",
            f"GPHDT,{row[4] % 360:.4f},T",
        ]
    return "".join(f"${body}*{reduce(xor, body.encode()):02X}\r\n" for body in sentences).encode()


def _gpx(trajectory: Trajectory) -> bytes:
    points = "".join(
        f'<trkpt lat="{latitude:.10f}" lon="{longitude:.10f}"><ele>{altitude - _GEOID:.4f}</ele><time>{_iso(time)}</time>'
        f"<geoidheight>{_GEOID}</geoidheight><extensions><p:heading>{heading % 360:.4f}</p:heading></extensions></trkpt>\n"
        for time, latitude, longitude, altitude, heading, _, _ in _rows(trajectory)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gpx version="1.1" creator="panoveil" xmlns="http://www.topografix.com/GPX/1/1" xmlns:p="urn:panoveil:pose">\n'
        f"<trk><trkseg>\n{points}</trkseg></trk></gpx>\n"
    ).encode()


def _sbet(trajectory: Trajectory) -> bytes:
    """As a file of a survey is that goes on over Saturday's midnight: seconds of the week in which it began."""
    records = np.zeros((len(trajectory.time), 17), "<f8")
    gps = trajectory.time - _GPS_EPOCH + _LEAP_SECONDS
    records[:, 0] = gps - gps[0] // _WEEK * _WEEK
    records[:, 1], records[:, 2] = np.radians(trajectory.latitude), np.radians(trajectory.longitude)
    records[:, 3] = trajectory.altitude
    records[:, 7], records[:, 8] = np.radians(trajectory.roll), np.radians(trajectory.pitch)
    records[:, 9], records[:, 10] = np.radians(trajectory.heading) + _WANDER, _WANDER
    return records.tobytes()


def _rows(trajectory: Trajectory) -> Iterator[tuple[float, ...]]:
    columns = (getattr(trajectory, name).tolist() for name in Trajectory.__slots__)
    return zip(*columns, strict=True)


def _movement(trajectory: Trajectory) -> tuple[list[float], list[float]]:
    """Return speeds in m/s and courses in degrees, [N] each."""
    if len(trajectory.time) == 1:
        return [0.0], [0.0]
    earth = _to_ecef(np.radians(trajectory.latitude), np.radians(trajectory.longitude), trajectory.altitude)
    velocity = np.gradient(earth, trajectory.time, axis=0)
    to_earth = _ned_to_ecef(np.radians(trajectory.latitude), np.radians(trajectory.longitude))
    north, east, _ = np.einsum("nij,ni->nj", to_earth, velocity).T
    return np.hypot(north, east).tolist(), (np.degrees(np.arctan2(east, north)) % 360).tolist()


def _minutes(angle: float, sides: str, digits: int) -> str:
    """Write an angle as degrees and minutes, to 0.2 mm."""
    units = round(abs(angle) * 60 * 1e7)
    degrees, rest = divmod(units, 60 * 10**7)
    return f"{degrees:0{digits}d}{rest / 1e7:010.7f},{sides[angle < 0]}"


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


_WRITERS: Mapping[Format, Callable[[Trajectory], bytes]] = {"csv": _csv, "nmea": _nmea, "gpx": _gpx, "sbet": _sbet}
