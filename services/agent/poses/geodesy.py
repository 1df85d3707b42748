"""Small movements on the WGS84 ellipsoid.

The radii of curvature, of the meridian M and of the prime vertical N, are those of NIMA TR8350.2 (WGS84, third edition), and of
Torge, Geodesy, 4.1: a metre north is 1/(M + h) radians of latitude, a metre east 1/((N + h) cos latitude) radians of longitude. To the
first order, that is: what is left out grows with the square of the distance over the Earth's radius, a hundredth of a millimetre for
ten metres up to 80° of latitude. Not for the poles themselves.
"""

import math

_A = 6_378_137.0
_F = 1 / 298.257223563
_E2 = _F * (2 - _F)

Enu = tuple[float, float, float]
"""Metres east, north, up."""


def metres_per_degree(latitude: float, altitude: float) -> tuple[float, float]:
    """Return how many metres a degree of longitude and a degree of latitude are, at a latitude in degrees and metres of height."""
    sine = math.sin(math.radians(latitude))
    root = math.sqrt(1 - _E2 * sine * sine)
    meridian = _A * (1 - _E2) / root**3 + altitude
    vertical = _A / root + altitude
    return math.radians(vertical * math.cos(math.radians(latitude))), math.radians(meridian)


def to_enu(forward: float, right: float, down: float, heading: float, pitch: float, roll: float) -> Enu:
    """Turn a vector of the car's body, metres, into east, north, up, by the angles of `Pose`, in degrees.

    Body to north-east-down is Rz(heading) Ry(pitch) Rx(roll): roll about the axis ahead first, heading about the vertical last.
    """
    sh, ch = _sine_cosine(heading)
    sp, cp = _sine_cosine(pitch)
    sr, cr = _sine_cosine(roll)
    right, down = cr * right - sr * down, sr * right + cr * down
    forward, down = cp * forward + sp * down, cp * down - sp * forward
    north, east = ch * forward - sh * right, sh * forward + ch * right
    return east, north, -down


def course_and_distance(latitude: float, east_degrees: float, north_degrees: float, altitude: float) -> tuple[float, float]:
    """Return the direction, degrees clockwise from north, and the length, metres, of a small way given in degrees."""
    per_east, per_north = metres_per_degree(latitude, altitude)
    east, north = east_degrees * per_east, north_degrees * per_north
    return math.degrees(math.atan2(east, north)) % 360.0, math.hypot(east, north)


def _sine_cosine(degrees: float) -> tuple[float, float]:
    radians = math.radians(degrees)
    return math.sin(radians), math.cos(radians)
