"""The reference systems in which camera positions are told."""

import functools
import math
from dataclasses import dataclass
from typing import Any, Protocol

import pyproj

from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.messages import Pose

_WGS84_2D, _WGS84_3D, _ETRS89_3D = 4326, 4979, 4937


class Reference(Protocol):
    """A reference system for camera positions."""

    def perspective(self, pose: Pose) -> dict[str, Any]:
        """Return the fields of the perspective-imagery extension that say where the camera was, and how it was turned."""
        ...


class Geographic:
    """WGS84, as poses are: longitude, latitude, and metres above the ellipsoid where they are known."""

    def perspective(self, pose: Pose) -> dict[str, Any]:
        """See `Reference`. Rotations against degrees mean nothing: heading, pitch and roll stand in properties of our own."""
        height = [] if pose.altitude is None else [pose.altitude]
        return {
            "pers:crs": _WGS84_3D if height else _WGS84_2D,
            "pers:perspective_center": [pose.longitude, pose.latitude, *height],
        }


WGS84 = Geographic()


@dataclass(frozen=True)
class Projected:
    """A projected system, easting and northing in metres, by its EPSG code.

    Positions are taken as they are: what a receiver corrected by a national network calls WGS84 is that network's frame. Between the
    worldwide WGS84 and ETRS89 lies about a metre by now, and nothing in a pose says which is meant.
    """

    epsg: int

    def perspective(self, pose: Pose) -> dict[str, Any]:
        """See `Reference`. The rotation takes the projected axes to the image's: x right, y up, z out of the picture to who looks."""
        east, north = _transformer(self.epsg).transform(pose.longitude, pose.latitude)
        told: dict[str, Any] = {"pers:crs": self.epsg, "pers:perspective_center": [round(east, 4), round(north, 4)]}
        if pose.altitude is not None:
            told["pers:perspective_center"].append(pose.altitude)
            told["pers:vertical_crs"] = _ETRS89_3D if "ETRS89" in _crs(self.epsg).name else _WGS84_3D
        if pose.heading is not None:
            told["pers:rotation_matrix"] = rotation(pose, math.radians(self.convergence(pose)))
        return told

    def convergence(self, pose: Pose) -> float:
        """Return by how many degrees grid north lies east of true north where the camera was."""
        factors = pyproj.Proj(f"EPSG:{self.epsg}").get_factors(pose.longitude, pose.latitude)
        return float(factors.meridian_convergence)


def reference(text: str | None) -> Reference:
    """Return the system of an EPSG code (`EPSG:25832` or `25832`), WGS84 where there is none; `Misconfigured` where it is no projected one."""
    if text is None:
        return WGS84
    try:
        code = int(text.upper().removeprefix("EPSG:"))
        projected = _crs(code).is_projected
    except (ValueError, pyproj.exceptions.CRSError):
        projected = False
    if not projected:
        raise Misconfigured(f"{text!r} is no projected reference system; ETRS89 / UTM 32N, say, is EPSG:25832.")
    return Projected(code)


def rotation(pose: Pose, convergence: float) -> list[float]:
    """Return the matrix, row by row, that takes east, north, up to right, up, backwards of the image; unknown pitch and roll are none.

    `convergence` in radians: by how much grid north lies east of true north.
    """
    heading = math.radians(pose.heading or 0.0) - convergence
    pitch, roll = math.radians(pose.pitch or 0.0), math.radians(pose.roll or 0.0)
    ahead = (math.sin(heading) * math.cos(pitch), math.cos(heading) * math.cos(pitch), math.sin(pitch))
    level = (math.cos(heading), -math.sin(heading), 0.0)
    over = (-math.sin(heading) * math.sin(pitch), -math.cos(heading) * math.sin(pitch), math.cos(pitch))
    right = [a * math.cos(roll) - b * math.sin(roll) for a, b in zip(level, over, strict=True)]
    up = [b * math.cos(roll) + a * math.sin(roll) for a, b in zip(level, over, strict=True)]
    return [round(each, 9) for each in (*right, *up, *(-part for part in ahead))]


@functools.cache
def _crs(epsg: int) -> pyproj.CRS:
    return pyproj.CRS.from_epsg(epsg)


@functools.cache
def _transformer(epsg: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(_WGS84_2D, epsg, always_xy=True)
