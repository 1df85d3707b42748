"""Metres and degrees, against PROJ."""

import math

import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.agent.poses.geodesy import course_and_distance, metres_per_degree, to_enu

LATITUDES, LONGITUDES, HEIGHTS = st.floats(-80, 80), st.floats(-180, 180), st.floats(-400, 6000)
METRES, ANGLES = st.floats(-5, 5), st.floats(-180, 180)
TO_EARTH = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
GEOD = pyproj.Geod(ellps="WGS84")


@given(LATITUDES, LONGITUDES, HEIGHTS, METRES, METRES)
def test_moved_by_metres_is_where_proj_is(latitude: float, longitude: float, height: float, east: float, north: float) -> None:
    per_east, per_north = metres_per_degree(latitude, height)
    pipeline = pyproj.Transformer.from_pipeline(
        f"+proj=pipeline +step +inv +proj=topocentric +ellps=WGS84 +lat_0={latitude!r} +lon_0={longitude!r} +h_0={height!r} "
        "+step +inv +proj=cart +ellps=WGS84 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    expected_longitude, expected_latitude, _ = pipeline.transform(east, north, 0.0)
    away = (longitude + east / per_east - expected_longitude + 180) % 360 - 180
    assert away * per_east == pytest.approx(0, abs=2e-5)
    assert (latitude + north / per_north - expected_latitude) * per_north == pytest.approx(0, abs=2e-5)


@given(LATITUDES, st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4))
def test_course_and_distance_are_those_of_the_geodesic(latitude: float, east: float, north: float) -> None:
    course, metres = course_and_distance(latitude, east, north, 0.0)
    expected, _, distance = GEOD.inv(-east / 2, latitude - north / 2, east / 2, latitude + north / 2)
    assert metres == pytest.approx(distance, abs=1e-4)
    if metres > 1:
        assert (course - expected + 180) % 360 - 180 == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("body", "angles", "enu"),
    [
        ((1, 0, 0), (0, 0, 0), (0, 1, 0)),
        ((1, 0, 0), (90, 0, 0), (1, 0, 0)),
        ((0, 1, 0), (0, 0, 0), (1, 0, 0)),
        ((0, 1, 0), (90, 0, 0), (0, -1, 0)),
        ((0, 0, 1), (77, 0, 0), (0, 0, -1)),
        ((1, 0, 0), (0, 90, 0), (0, 0, 1)),  # nose up
        ((0, 1, 0), (0, 0, 90), (0, 0, -1)),  # right side down
        ((0, 0, 1), (0, 90, 0), (0, 1, 0)),  # what was below is ahead
        ((0, 0, 1), (0, 0, 90), (-1, 0, 0)),  # what was below is at the left
    ],
)
def test_body_to_enu(
    body: tuple[float, float, float], angles: tuple[float, float, float], enu: tuple[float, float, float]
) -> None:
    assert to_enu(*body, *angles) == pytest.approx(enu, abs=1e-12)


@given(METRES, METRES, METRES, ANGLES, st.floats(-90, 90), ANGLES)
def test_turning_keeps_lengths(forward: float, right: float, down: float, heading: float, pitch: float, roll: float) -> None:
    length = math.hypot(forward, right, down)
    assert math.hypot(*to_enu(forward, right, down, heading, pitch, roll)) == pytest.approx(length, abs=1e-9)
