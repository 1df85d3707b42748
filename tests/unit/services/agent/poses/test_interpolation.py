"""The pose between two fixes."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from services.agent.events import SkipReason
from services.agent.poses.geodesy import metres_per_degree
from services.agent.poses.interpolation import pose_at
from services.agent.poses.options import PoseOptions
from services.agent.poses.track import Fix, MemoryTrack

OPTIONS = PoseOptions()
HEADINGS = st.floats(0, 360)
SMALL = st.floats(-10, 10)


def _track(*fixes: Fix) -> MemoryTrack:
    return MemoryTrack(fixes)


def _moving(speed: float, heading: float, count: int = 5, **known: Any) -> MemoryTrack:
    """One fix a second, metres a second along a direction, nothing else known."""
    per_east, per_north = metres_per_degree(55.0, 0.0)
    north, east = speed * math.cos(math.radians(heading)), speed * math.sin(math.radians(heading))
    return _track(*(Fix(float(t), 55 + t * north / per_north, 10 + t * east / per_east, **known) for t in range(count)))


def test_halfway_is_the_middle() -> None:
    first = Fix(10, 55, 10, altitude=50, heading=10, pitch=1, roll=-2, accuracy=0.02)
    second = Fix(11, 55.0002, 10.0004, altitude=51, heading=14, pitch=2, roll=-4, accuracy=0.05)
    pose = pose_at(_track(first, second), 10.5, OPTIONS)
    assert pose.model_dump() == pytest.approx(
        {"latitude": 55.0001, "longitude": 10.0002, "altitude": 50.5, "heading": 12, "pitch": 1.5, "roll": -3, "accuracy": 0.05}
    )


@pytest.mark.parametrize(("time", "latitude"), [(10, 55.0), (11, 55.0001), (12, 55.0003)])
def test_at_a_fix_it_is_that_fix_the_first_and_the_last_as_well(time: float, latitude: float) -> None:
    track = _track(Fix(10, 55.0, 10), Fix(11, 55.0001, 10), Fix(12, 55.0003, 10))
    assert pose_at(track, time, OPTIONS).latitude == latitude


@pytest.mark.parametrize(
    ("low", "high", "middle"), [(359, 1, 0), (1, 359, 0), (350, 20, 5), (10, 200, 285), (90, 90, 90), (0, 360, 0)]
)
def test_headings_go_the_shorter_way_round(low: float, high: float, middle: float) -> None:
    track = _track(Fix(0, 55, 10, heading=low), Fix(1, 55, 10, heading=high))
    assert pose_at(track, 0.5, OPTIONS).heading == pytest.approx(middle)


@pytest.mark.parametrize(
    ("low", "high", "middle"), [(179.9999, -179.9999, -180), (-179.9998, 179.9996, 179.9999), (180, 180, -180)]
)
def test_longitudes_go_the_shorter_way_round(low: float, high: float, middle: float) -> None:
    track = _track(Fix(0, -17, low), Fix(1, -17, high))
    assert pose_at(track, 0.5, OPTIONS).longitude == pytest.approx(middle, abs=1e-9)


@given(HEADINGS, HEADINGS, st.floats(0, 1))
def test_a_heading_never_turns_by_more_than_it_must(low: float, high: float, share: float) -> None:
    heading = pose_at(_track(Fix(0, 55, 10, heading=low), Fix(1, 55, 10, heading=high)), share, OPTIONS).heading
    assert heading is not None
    assert 0 <= heading < 360
    whole, part = abs((high - low + 180) % 360 - 180), abs((heading - low + 180) % 360 - 180)
    assert part == pytest.approx(share * whole, abs=1e-3)


def _quaternion(heading: float, pitch: float, roll: float) -> NDArray[np.float64]:
    q = np.array([1.0, 0, 0, 0])
    for angle, axis in ((heading, 3), (pitch, 2), (roll, 1)):
        turn = np.zeros(4)
        turn[0], turn[axis] = math.cos(math.radians(angle) / 2), math.sin(math.radians(angle) / 2)
        a, b = q, turn
        q = np.array(
            [
                a[0] * b[0] - a[1:] @ b[1:],
                *(a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])),
            ]
        )
    return q


@given(HEADINGS, SMALL, SMALL, st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 1))
def test_angle_by_angle_is_within_two_hundredths_of_a_degree_of_slerp(
    heading: float, pitch: float, roll: float, dh: float, dp: float, dr: float, share: float
) -> None:
    track = _track(
        Fix(0, 55, 10, heading=heading % 360, pitch=pitch, roll=roll),
        Fix(1, 55, 10, heading=(heading + dh) % 360, pitch=pitch + dp, roll=roll + dr),
    )
    pose = pose_at(track, share, OPTIONS)
    low, high = _quaternion(heading, pitch, roll), _quaternion(heading + dh, pitch + dp, roll + dr)
    half = math.acos(min(1.0, abs(float(low @ high))))
    slerp = low if half < 1e-9 else (math.sin((1 - share) * half) * low + math.sin(share * half) * high) / math.sin(half)
    assert pose.heading is not None
    assert pose.pitch is not None
    assert pose.roll is not None
    ours = _quaternion(pose.heading, pose.pitch, pose.roll)
    apart = 4 * math.asin(float(min(np.linalg.norm(ours - slerp), np.linalg.norm(ours + slerp))) / 2)
    assert math.degrees(apart) < 0.02


@pytest.mark.parametrize(("time", "words"), [(9.75, "0.250 s before the first"), (12.5, "0.500 s after the last")])
def test_outside_of_the_file_there_is_no_pose(time: float, words: str) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        pose_at(_track(Fix(10, 55, 10), Fix(11, 55, 10), Fix(12, 55, 10)), time, OPTIONS)
    assert caught.value.reason is SkipReason.POSE_OUTSIDE


def test_no_gap_is_interpolated_over() -> None:
    track = _track(Fix(10, 55, 10), Fix(12, 55, 10), Fix(14.5, 55, 10))
    assert pose_at(track, 11, OPTIONS).latitude == 55
    with pytest.raises(Rejected, match=r"2\.500 s apart, more than 2 s") as caught:
        pose_at(track, 13, OPTIONS)
    assert caught.value.reason is SkipReason.POSE_GAP
    assert pose_at(track, 14.5, OPTIONS).latitude == 55
    assert pose_at(track, 13, PoseOptions(longest_gap=3)).latitude == 55


def test_what_only_one_of_two_fixes_knows_is_unknown_between_them() -> None:
    pose = pose_at(_track(Fix(0, 55, 10, altitude=3, pitch=1), Fix(1, 55, 10)), 0.5, OPTIONS)
    assert (pose.altitude, pose.heading, pose.pitch, pose.roll, pose.accuracy) == (None,) * 5


@given(st.floats(3, 40), HEADINGS, st.floats(0, 4))
def test_without_a_heading_it_is_the_way_the_car_goes(speed: float, heading: float, time: float) -> None:
    found = pose_at(_moving(speed, heading), time, OPTIONS).heading
    assert found is not None
    assert (found - heading + 180) % 360 - 180 == pytest.approx(0, abs=0.01)


def test_a_course_of_the_file_is_preferred_to_that_of_positions() -> None:
    assert pose_at(_moving(10, 45, course=47.0), 1.5, OPTIONS).heading == 47


@pytest.mark.parametrize("course", [None, 47.0])
def test_a_car_too_slow_has_no_course(course: float | None) -> None:
    assert pose_at(_moving(1.4, 45, course=course), 1.5, OPTIONS).heading is None
    assert pose_at(_moving(1.4, 45, course=course), 1.5, PoseOptions(least_speed=1)).heading is not None


def test_a_single_fix_has_no_course() -> None:
    assert pose_at(_track(Fix(0, 55, 10)), 0, OPTIONS).heading is None


def test_course_over_the_date_line() -> None:
    track = _track(Fix(0, 0, 179.9999), Fix(1, 0, -179.9999))
    assert pose_at(track, 0.5, OPTIONS).heading == 90


@pytest.mark.parametrize(
    ("attitude", "east", "north", "up"),
    [
        ({"heading": 0.0}, 2, 1, -3),
        ({"heading": 90.0}, 1, -2, -3),
        ({"heading": 180.0, "pitch": 0.0, "roll": 90.0}, 3, -1, -2),
        ({"heading": 0.0, "pitch": 90.0, "roll": 0.0}, 2, 3, 1),
    ],
)
def test_the_lever_arm_leads_from_the_files_point_to_the_rig(
    attitude: dict[str, Any], east: float, north: float, up: float
) -> None:
    pose = pose_at(_track(Fix(0, 55, 10, altitude=40, **attitude)), 0, PoseOptions(lever_arm=(1, 2, 3)))
    per_east, per_north = metres_per_degree(55, 40)
    assert (pose.longitude - 10) * per_east == pytest.approx(east, abs=1e-3)
    assert (pose.latitude - 55) * per_north == pytest.approx(north, abs=1e-3)
    assert pose.altitude == pytest.approx(40 + up)
    assert pose.heading == attitude["heading"]


def test_a_lever_arm_uses_the_course_where_there_is_no_heading() -> None:
    bare, moved = (pose_at(_moving(10, 90), 1.5, PoseOptions(lever_arm=arm)) for arm in ((0, 0, 0), (1, 0, 0)))
    assert (moved.longitude - bare.longitude) * metres_per_degree(55, 0)[0] == pytest.approx(1, abs=1e-3)
    assert moved.altitude is None


def test_a_level_lever_arm_without_any_heading_is_refused() -> None:
    track = _track(Fix(0, 55, 10, altitude=3))
    with pytest.raises(Rejected) as caught:
        pose_at(track, 0, PoseOptions(lever_arm=(1, 0, 0)))
    assert caught.value.reason is SkipReason.POSE_NO_HEADING
    assert pose_at(track, 0, PoseOptions(lever_arm=(0, 0, -2))).altitude == 5


def test_heights_above_the_sea_need_the_geoid() -> None:
    track = _track(Fix(0, 55, 10, altitude=3, above_sea=True))
    assert pose_at(track, 0, OPTIONS).altitude is None
    assert pose_at(track, 0, PoseOptions(geoid_height=38.5)).altitude == 41.5
    assert pose_at(_track(Fix(0, 55, 10, altitude=3)), 0, PoseOptions(geoid_height=38.5)).altitude == 3


@given(st.permutations([Fix(float(t), 55 + t / 1e5, 10) for t in range(8)]), st.floats(0, 7))
def test_the_order_of_lines_does_not_matter(fixes: list[Fix], time: float) -> None:
    assert pose_at(_track(*fixes), time, OPTIONS).latitude == pytest.approx(55 + time / 1e5, abs=1e-9)


def test_of_two_fixes_of_one_time_the_later_line_counts() -> None:
    track = _track(Fix(1, 50, 10), Fix(0, 55, 10), Fix(1, 55, 10))
    assert len(track) == 2
    assert pose_at(track, 1, OPTIONS).latitude == 55
