"""Time scales: UTC as seconds of the epoch, GPS as week and seconds of it. Floats: 0.2 µs are the step of today's times."""

from datetime import UTC, datetime

WEEK = 604_800.0
"""Seconds of a GPS week; it begins at the midnight between Saturday and Sunday, GPS time."""

_GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC).timestamp()


def utc_of_gps(week: float, seconds: float, leap_seconds: int) -> float:
    """Return UTC, in seconds of the epoch, of a GPS week (not folded to 1024) and seconds of it, which may exceed a week's."""
    return _GPS_EPOCH + week * WEEK + seconds - leap_seconds


def gps_of_utc(utc: float, leap_seconds: int) -> float:
    """Return seconds of GPS time since its epoch."""
    return utc - _GPS_EPOCH + leap_seconds


def nearest_week(gps: float, seconds_of_week: float) -> int:
    """Return the week in which these seconds lie nearest to a time, itself in seconds since the GPS epoch."""
    return round((gps - seconds_of_week) / WEEK)
