"""A manifest without a pose, completed."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.messages import parse_manifest
from services.agent.events import Event, PosesRead, SkipReason
from services.agent.poses import NO_POSES, PoseFormat, PoseOptions, Poses, open_poses

AT = "2026-05-11T10:14:03.500+02:00"
EPOCH = datetime.fromisoformat(AT).timestamp()
POSE = {"latitude": 1.0, "longitude": 2.0}


def _manifest(**changes: Any) -> bytes:
    frames = [{"lens": "front", "file": "front.jpg", "sha256": "0" * 64}]
    whole = {"survey": "dk", "drive": "d1", "capture": "c1", "rig_id": "r", "captured_at": AT, "frames": frames, "note": "Ærø"}
    return json.dumps({name: value for name, value in {**whole, **changes}.items() if value != "absent"}).encode()


def _file(folder: Path, begin: float = EPOCH - 1, name: str = "poses.csv", latitude: float = 55.0) -> Path:
    """Three fixes a second apart, 111 m to the north each."""
    rows = "".join(f"{begin + index},{latitude + index / 1000},10\n" for index in range(3))
    path = folder / name
    path.write_text("epoch,lat,lon\n" + rows)
    return path


def _open(*files: Path, **options: Any) -> Poses:
    return open_poses(PoseOptions(files=files, **options), lambda _event: None)


def test_the_pose_at_the_trigger_is_added_and_the_rest_stays(tmp_path: Path) -> None:
    data = _manifest()
    completed = _open(_file(tmp_path)).complete(data)
    document = json.loads(completed)
    assert document.pop("pose") == {"latitude": 55.001, "longitude": 10.0, "heading": 0.0}
    assert document == json.loads(data)
    assert parse_manifest(completed).pose.latitude == 55.001


def test_null_is_no_pose(tmp_path: Path) -> None:
    assert json.loads(_open(_file(tmp_path)).complete(_manifest(pose=None)))["pose"]["latitude"] == 55.001


def test_a_pose_of_its_own_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    data = _manifest(pose=POSE)
    assert _open(_file(tmp_path)).complete(data) is data
    assert NO_POSES.complete(data) is data
    assert _open(replace=True).complete(data) is data
    assert json.loads(_open(_file(tmp_path), replace=True).complete(data))["pose"]["latitude"] == 55.001


def test_the_time_offset_is_added_to_the_captures_time(tmp_path: Path) -> None:
    completed = _open(_file(tmp_path), time_offset=0.25).complete(_manifest())
    assert json.loads(completed)["pose"]["latitude"] == 55.00125


def test_the_same_input_makes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (_open(_file(tmp_path)).complete(_manifest()) for _ in range(2))
    assert first == second
    assert _open(_file(tmp_path), time_offset=0.001).complete(_manifest()) != first


@given(st.floats(-1, 1), st.floats(-3e-14, 3e-14))
def test_the_last_bits_of_a_file_make_no_other_manifest(
    tmp_path_factory: pytest.TempPathFactory, offset: float, noise: float
) -> None:
    folder = tmp_path_factory.mktemp("noise")
    steady, noisy = _file(folder), _file(folder, name="noisy.csv", latitude=55 + noise)
    options = {"time_offset": round(offset, 1) * 0.99}
    assert _open(steady, **options).complete(_manifest()) == _open(noisy, **options).complete(_manifest())


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[]", b"[" * 100_000, _manifest(captured_at="noon"), _manifest(captured_at="absent")]
)
def test_what_is_no_manifest_is_left_to_whoever_reads_it(tmp_path: Path, data: bytes) -> None:
    assert _open(_file(tmp_path)).complete(data) is data
    assert NO_POSES.complete(data) is data


def test_without_a_file_it_says_what_to_do() -> None:
    with pytest.raises(Rejected, match="--poses") as caught:
        NO_POSES.complete(_manifest())
    assert caught.value.reason is SkipReason.NO_POSE


def test_the_first_file_that_knows_gives_the_pose(tmp_path: Path) -> None:
    before, right, copy = (
        _file(tmp_path, EPOCH - 10, "a.csv"),
        _file(tmp_path, name="b.csv"),
        _file(tmp_path, name="c.csv", latitude=56),
    )
    assert json.loads(_open(before, right, copy).complete(_manifest()))["pose"]["latitude"] == 55.001
    with pytest.raises(Rejected, match=r"8\.000 s after the last fix \(a\.csv\)") as caught:
        _open(before).complete(_manifest())
    assert caught.value.reason is SkipReason.POSE_OUTSIDE


def test_a_gap_tells_more_than_another_file_of_another_time(tmp_path: Path) -> None:
    gap = tmp_path / "gap.csv"
    gap.write_text(f"epoch,lat,lon\n{EPOCH - 5},55,10\n{EPOCH + 5},55,10\n")
    with pytest.raises(Rejected, match=r"10\.000 s apart, more than 2 s \(gap\.csv\)") as caught:
        _open(_file(tmp_path, EPOCH - 100), gap).complete(_manifest())
    assert caught.value.reason is SkipReason.POSE_GAP


def test_it_tells_what_it_read(tmp_path: Path) -> None:
    events: list[Event] = []
    path = _file(tmp_path)
    open_poses(PoseOptions(files=(path,)), events.append)
    assert events == [PosesRead(str(path), "csv", 3, 0, 2.0)]


@pytest.mark.parametrize(
    ("name", "form"),
    {
        "a.CSV": "csv",
        "a.txt": "csv",
        "a.nmea": "nmea",
        "a.log": "nmea",
        "a.gpx": "gpx",
        "sbet_1.out": "sbet",
        "a.sbet": "sbet",
    }.items(),
)
def test_the_name_tells_the_format(tmp_path: Path, name: str, form: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(Misconfigured) as by_name:
        _open(tmp_path / name)
    with pytest.raises(Misconfigured) as said:
        _open(tmp_path / name, format=PoseFormat(form))
    assert str(by_name.value) == str(said.value)


@pytest.mark.parametrize(
    ("name", "words"), [("a.xyz", "say --pose-format csv|nmea|gpx|sbet"), ("a.csv", "cannot be read: No such")]
)
def test_a_file_that_cannot_be_opened(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words.replace("|", r"\|")):
        _open(tmp_path / name)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name not in {"pose", "captured_at"}), _ANYTHING, max_size=4))
def test_fields_that_nobody_knows_go_along(tmp_path_factory: pytest.TempPathFactory, extra: Mapping[str, Any]) -> None:
    document = json.loads(_open(_file(tmp_path_factory.mktemp("extra"))).complete(_manifest(**extra)))
    del document["pose"]
    assert document == json.loads(_manifest(**extra))
