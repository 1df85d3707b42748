"""GPS time, UTC, and the week that a second of the week is of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.agent.poses.clock import WEEK, gps_of_utc, utc_of_gps
from services.agent.poses.options import PoseOptions
from services.agent.poses.track import Fix, MemoryTrack, track_time

SATURDAY_MIDNIGHT = datetime(2026, 5, 10, tzinfo=UTC).timestamp()
"""In UTC; GPS's midnight comes 18 s before."""


def test_gps_time_is_ahead_of_utc_by_the_leap_seconds() -> None:
    # IERS Bulletin C: since 1 January 2017 they are 18. 1980-01-06 is the first day of week 0.
    assert utc_of_gps(0, 0, 0) == datetime(1980, 1, 6, tzinfo=UTC).timestamp()
    assert utc_of_gps(2418, 18, 18) == SATURDAY_MIDNIGHT
    assert utc_of_gps(2418, 18, 18) - utc_of_gps(2418, 18, 0) == -18


@given(st.integers(0, 4000), st.floats(0, WEEK), st.integers(0, 40))
def test_there_and_back(week: int, seconds: float, leap_seconds: int) -> None:
    assert gps_of_utc(utc_of_gps(week, seconds, leap_seconds), leap_seconds) == pytest.approx(week * WEEK + seconds, abs=1e-6)


@given(st.floats(1.1e9, 2.1e9), st.floats(-3e5, 3e5))
def test_a_weekly_track_is_of_the_week_nearest_to_the_capture(utc: float, away: float) -> None:
    begin = (gps_of_utc(utc, 18) + away) % WEEK
    track = MemoryTrack([Fix(begin, 55, 10), Fix(begin + 3600, 55, 10)], weekly=True)
    time = track_time(track, utc, None, 18)
    assert abs(time - begin - 1800) <= WEEK / 2
    weeks = (gps_of_utc(utc, 18) - time) / WEEK
    assert weeks == pytest.approx(round(weeks), abs=1e-9)


def test_the_gps_week_may_be_said() -> None:
    track = MemoryTrack([Fix(100.0, 55, 10)], weekly=True)
    utc = utc_of_gps(2418, 100.0, 18)
    assert track_time(track, utc, 2418, 18) == 100
    assert track_time(track, utc + 2 * WEEK, 2418, 18) == 100 + 2 * WEEK
    assert track_time(track, utc + 2 * WEEK, None, 18) == 100


def test_a_track_of_utc_is_asked_in_utc() -> None:
    assert track_time(MemoryTrack([Fix(1.0, 55, 10)]), 5.0, 3, 18) == 5


def test_today_leap_seconds_are_18() -> None:
    assert PoseOptions().leap_seconds == 18
    assert timedelta(seconds=utc_of_gps(2418, 0, 18) - SATURDAY_MIDNIGHT) == timedelta(seconds=-18)
