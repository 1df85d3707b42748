"""SBET: Applanix's records, mapped."""

import struct
from pathlib import Path

import pytest

from panoveil.contracts.errors import Misconfigured
from services.agent.poses._sbet import SbetTrack
from services.agent.poses.interpolation import pose_at
from services.agent.poses.options import PoseOptions
from services.agent.poses.track import Fix

RADIAN = 57.29577951308232


def record(time: float, **changes: float) -> bytes:
    """One record: where it is, how it is held, and a wander angle."""
    values = {
        "latitude": 55.1 / RADIAN,
        "longitude": 10.2 / RADIAN,
        "height": 42.5,
        "roll": 0.02,
        "pitch": -0.01,
        "heading": 1.5,
        "wander": 0.25,
    }
    given = values | changes
    one, two, three = given["latitude"], given["longitude"], given["height"]
    return struct.pack(
        "<17d", time, one, two, three, 1, 2, 3, given["roll"], given["pitch"], given["heading"], given["wander"], *(9.0,) * 6
    )


def _track(folder: Path, *records: bytes) -> SbetTrack:
    path = folder / "sbet.out"
    path.write_bytes(b"".join(records))
    return SbetTrack(path)


def test_a_record_in_degrees_with_its_heading_from_true_north(tmp_path: Path) -> None:
    track = _track(tmp_path, record(116061.25))
    assert len(track) == 1
    # True heading = platform heading - wander angle.
    assert track.fix(0) == pytest.approx(
        Fix(116061.25, 55.1, 10.2, 42.5, heading=1.25 * RADIAN, pitch=-0.01 * RADIAN, roll=0.02 * RADIAN)
    )
    assert track.weekly


@pytest.mark.parametrize("after", [604800.0, 0.0])
def test_over_saturdays_midnight_it_may_go_on_or_begin_anew(tmp_path: Path, after: float) -> None:
    times = [604799.0, 604799.5, after, after + 0.5, after + 1]
    track = _track(tmp_path, *(record(time, latitude=(55 + index / 1e4) / RADIAN) for index, time in enumerate(times)))
    assert [track.time(index) for index in range(5)] == [604799, 604799.5, 604800, 604800.5, 604801]
    assert pose_at(track, 604799.75, PoseOptions()).latitude == pytest.approx(55.00015)
    assert pose_at(track, 604800.75, PoseOptions()).latitude == pytest.approx(55.00035)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "is empty"),
        ([record(1), record(2)[:-1]], "ends within record 2 of 136 bytes"),
        ([record(1, latitude=55.1)], "record 1: a latitude of .* cannot be: is it an SBET, in radians"),
        ([record(1), record(2, height=float("nan"))], "record 2: it holds what is no number"),
        ([record(2), record(4), record(3)], r"a time of 3\.000 s follows 4\.000 s: sort its records"),
    ],
)
def test_one_sentence_names_the_file(tmp_path: Path, records: list[bytes], words: str) -> None:
    with pytest.raises(Misconfigured, match=words) as caught:
        _track(tmp_path, *records)
    assert str(tmp_path / "sbet.out") in str(caught.value)


def test_a_spoiled_record_between_the_samples_is_found_when_it_is_used(tmp_path: Path) -> None:
    records = [record(index / 200) for index in range(5000)]
    records[2502] = record(2502 / 200, latitude=float("nan"))
    track = _track(tmp_path, *records)
    with pytest.raises(Misconfigured, match="record 2503: it holds what is no number"):
        pose_at(track, 2502.5 / 200, PoseOptions())
    assert pose_at(track, 2500.5 / 200, PoseOptions()).latitude == 55.1


def test_two_records_of_one_time_do_not_divide_by_nought(tmp_path: Path) -> None:
    track = _track(tmp_path, record(1), record(2), record(2, height=43), record(3))
    assert pose_at(track, 2, PoseOptions()).altitude == 43
    assert pose_at(track, 2.5, PoseOptions()).altitude == 42.75
