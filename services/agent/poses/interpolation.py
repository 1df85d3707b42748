"""The pose at a moment between two fixes.

Positions go straight from fix to fix, and each angle the shorter way by itself: a car's pitch and roll are small and its fixes close,
so that this differs from turning about one axis (slerp) by less than 0.02° where angles change by less than 2°. Nothing is guessed
outside of the file nor across a gap.
"""

from bisect import bisect_right
from typing import NamedTuple

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import Pose
from services.agent.events import SkipReason
from services.agent.poses.angles import between, compass, difference, signed
from services.agent.poses.geodesy import course_and_distance, metres_per_degree, to_enu
from services.agent.poses.options import PoseOptions
from services.agent.poses.track import Fix, Track

_ASIDE = 0.5
"""Seconds before and after a moment, between which the way that was gone gives course and speed."""


class _Bracket(NamedTuple):
    low: Fix
    high: Fix
    share: float


def pose_at(track: Track, time: float, options: PoseOptions) -> Pose:
    """Return the rig's pose at a time of the track, or raise `Rejected` with the `SkipReason` why there is none."""
    bracket = _bracket(track, time, options.longest_gap)
    if bracket is None:
        raise _no_bracket(track, time, options.longest_gap)
    fix = _interpolated(bracket, options.geoid_height)
    if fix.heading is None:
        fix = fix._replace(heading=_course(track, fix, options))
    return _pose(_moved_to_rig(fix, options.lever_arm))


def _bracket(track: Track, time: float, longest_gap: float) -> _Bracket | None:
    """Return the fixes before and after a time; the same one twice where it is at that time."""
    count = len(track)
    if not track.time(0) <= time <= track.time(count - 1):
        return None
    above = bisect_right(range(count), time, key=track.time)
    low = track.fix(above - 1)
    if low.time == time:
        return _Bracket(low, low, 0.0)
    high = track.fix(above)
    seconds = high.time - low.time
    return _Bracket(low, high, (time - low.time) / seconds) if seconds <= longest_gap else None


def _no_bracket(track: Track, time: float, longest_gap: float) -> Rejected:
    count = len(track)
    first, last = track.time(0), track.time(count - 1)
    if time < first:
        return Rejected(SkipReason.POSE_OUTSIDE, f"the capture is {first - time:.3f} s before the first fix")
    if time > last:
        return Rejected(SkipReason.POSE_OUTSIDE, f"the capture is {time - last:.3f} s after the last fix")
    above = bisect_right(range(count), time, key=track.time)
    gap = track.time(above) - track.time(above - 1)
    return Rejected(SkipReason.POSE_GAP, f"the fixes round the capture are {gap:.3f} s apart, more than {longest_gap:g} s")


def _interpolated(bracket: _Bracket, geoid_height: float | None) -> Fix:
    low, high, share = bracket
    return Fix(
        time=low.time + share * (high.time - low.time),
        latitude=low.latitude + share * (high.latitude - low.latitude),
        longitude=between(low.longitude, high.longitude, share),
        altitude=_line(_ellipsoidal(low, geoid_height), _ellipsoidal(high, geoid_height), share),
        heading=_turn(low.heading, high.heading, share),
        pitch=_turn(low.pitch, high.pitch, share),
        roll=_turn(low.roll, high.roll, share),
        course=_turn(low.course, high.course, share),
        accuracy=None if low.accuracy is None or high.accuracy is None else max(low.accuracy, high.accuracy),
    )


def _ellipsoidal(fix: Fix, geoid_height: float | None) -> float | None:
    if fix.altitude is None or not fix.above_sea:
        return fix.altitude
    return None if geoid_height is None else fix.altitude + geoid_height


def _line(low: float | None, high: float | None, share: float) -> float | None:
    return None if low is None or high is None else low + share * (high - low)


def _turn(low: float | None, high: float | None, share: float) -> float | None:
    return None if low is None or high is None else between(low, high, share)


def _course(track: Track, fix: Fix, options: PoseOptions) -> float | None:
    """Return the course over ground, the file's own where it has one; None where the car is too slow for it to be a heading."""
    back, ahead = (_near(track, fix, aside, options.longest_gap) for aside in (-_ASIDE, _ASIDE))
    seconds = ahead.time - back.time
    if seconds <= 0:
        return None
    east, north = difference(ahead.longitude, back.longitude), ahead.latitude - back.latitude
    course, metres = course_and_distance(fix.latitude, east, north, fix.altitude or 0.0)
    if metres < options.least_speed * seconds:
        return None
    return course if fix.course is None else fix.course


def _near(track: Track, fix: Fix, aside: float, longest_gap: float) -> Fix:
    """Return where it was so many seconds from a fix, or the fix itself where that is not known."""
    bracket = _bracket(track, fix.time + aside, longest_gap)
    return fix if bracket is None else _interpolated(bracket, None)


def _moved_to_rig(fix: Fix, lever_arm: tuple[float, float, float]) -> Fix:
    """Return the fix of the rig's centre; unknown pitch and roll count as level."""
    forward, right, down = lever_arm
    if not any(lever_arm):
        return fix
    if fix.heading is None and (forward or right):
        raise Rejected(
            SkipReason.POSE_NO_HEADING, "the lever arm needs a heading, and the car is too slow for its course to be one"
        )
    east, north, up = to_enu(forward, right, down, fix.heading or 0.0, fix.pitch or 0.0, fix.roll or 0.0)
    per_east, per_north = metres_per_degree(fix.latitude, fix.altitude or 0.0)
    return fix._replace(
        latitude=fix.latitude + north / per_north,
        longitude=fix.longitude + east / per_east,
        altitude=None if fix.altitude is None else fix.altitude + up,
    )


def _pose(fix: Fix) -> Pose:
    """Rounded to 0.1 mm, 1 mm and 0.0001°: the last bits of a float must not make a manifest another one."""
    return Pose(
        latitude=round(fix.latitude, 9),
        longitude=signed(round(fix.longitude, 9)),
        altitude=None if fix.altitude is None else round(fix.altitude, 3),
        heading=None if fix.heading is None else compass(round(compass(fix.heading), 4)),
        pitch=None if fix.pitch is None else round(fix.pitch, 4),
        roll=None if fix.roll is None else round(signed(fix.roll), 4),
        accuracy=None if fix.accuracy is None else round(fix.accuracy, 3),
    )
