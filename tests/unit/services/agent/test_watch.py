"""A depot machine: drives come, the agent goes on for ever."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.messages import parse_manifest
from services.agent.app import watch_drives
from services.agent.events import CaptureFound, CaptureSkipped, DriveDone, FrameDamaged, PosesKept, SkipReason, StillWritten
from services.agent.poses import WITHOUT_POSES, PoseOptions
from tests.unit.services.agent.conftest import START, Car, Off, add_capture, rewrite

EVERY = 10.0


async def watch(
    car: Car, folder: Path, *between: Callable[[], object], poses: PoseOptions = WITHOUT_POSES, more: Sequence[Path] = ()
) -> None:
    """Watch; between two looks one thing after the other happens, and then the agent is ended."""
    happenings = iter(between)

    def sleep() -> None:
        if car.slept[-1] != EVERY:
            return
        happening: Callable[[], object] | None = next(happenings, None)
        if happening is None:
            raise Off
        happening()

    car.on_sleep = sleep
    with pytest.raises(Off):
        await watch_drives([folder, *more], car.ports(), car.events.append, poses=poses)


def nothing() -> None:
    """Happens between two looks."""


def _found(car: Car) -> list[str]:
    return [event.capture_id for event in car.events if isinstance(event, CaptureFound)]


async def test_drives_that_come_later_are_uploaded_and_nothing_twice(car: Car, drive: Path) -> None:
    await watch(
        car, drive, lambda: add_capture(drive / "new", "c8"), nothing, lambda: add_capture(drive / "newer", "c9"), nothing
    )
    assert _found(car) == ["dk/d1/c1", "dk/d1/c2", "dk/d1/c3", "dk/d1/c8", "dk/d1/c9"]
    assert len(car.announced()) == len(set(car.announced())) == len(car.stored()) == 20
    assert [event.uploaded for event in car.events if isinstance(event, DriveDone)] == [3, 1, 1]


async def test_where_nothing_happens_nothing_is_told(car: Car, drive: Path) -> None:
    await watch(car, drive, nothing)
    told = len(car.events)
    car.events.clear()
    await watch(car, drive, *[nothing] * 9)
    assert len(car.events) < told
    assert sum(isinstance(event, DriveDone) for event in car.events) == 1


async def test_a_capture_goes_once_it_is_whole(car: Car, tmp_path: Path) -> None:
    place = add_capture(tmp_path, "c1")
    frame = (place / "left.jpg").read_bytes()
    manifest = (place / "capture.json").read_bytes()
    (place / "left.jpg").write_bytes(frame[:9])
    (place / "capture.json").unlink()
    steps = [
        lambda: (place / "left.jpg").write_bytes(frame[:99]),
        lambda: (place / "capture.json").write_bytes(manifest[:99]),
        lambda: (place / "capture.json").write_bytes(manifest),
        lambda: (place / "left.jpg").write_bytes(frame),
        nothing,
    ]
    await watch(car, tmp_path, *steps)
    assert sorted(car.announced()) == sorted(car.stored())
    assert len(car.stored()) == 4
    assert not any(isinstance(event, FrameDamaged | CaptureSkipped | StillWritten) for event in car.events)


async def test_what_stays_broken_is_told_once_and_taken_up_when_it_is_mended(car: Car, tmp_path: Path) -> None:
    place = add_capture(tmp_path, "c1")
    whole = (place / "left.jpg").read_bytes()
    (place / "left.jpg").write_bytes(b"half")
    broken = add_capture(tmp_path, "c2")
    manifest = (broken / "capture.json").read_text()
    (broken / "capture.json").write_text("{")
    await watch(car, tmp_path, *[nothing] * 4)
    told = [event for event in car.events if isinstance(event, FrameDamaged | CaptureSkipped)]
    assert [type(event) for event in told] == [CaptureSkipped, FrameDamaged]
    mend = [lambda: (place / "left.jpg").write_bytes(whole), lambda: (broken / "capture.json").write_text(manifest), nothing]
    await watch(car, tmp_path, *mend)
    assert len(car.stored()) == 8
    assert sorted(car.announced()) == sorted(car.stored())


async def test_a_frame_that_is_put_in_anothers_place_goes_again(car: Car, drive: Path) -> None:
    await watch(car, drive, lambda: rewrite(drive / "captures/c1", "left", b"mended"), nothing)
    assert car.announced().count("dk/d1/c1/left.jpg") == 2
    assert car.announced().count("dk/d1/c1/front.jpg") == 1


async def test_a_capture_that_is_moved_is_no_duplicate_and_a_copy_is_told_once(car: Car, drive: Path) -> None:
    move = partial((drive / "captures/c1").rename, drive / "captures/c0")
    copy = partial(shutil.copytree, drive / "captures/c2", drive / "copy")
    await watch(car, drive, move, nothing, copy, nothing, nothing)
    assert [event.reason for event in car.events if isinstance(event, CaptureSkipped)] == [SkipReason.DUPLICATE_CAPTURE]
    assert len(car.announced()) == len(car.stored()) == 12


async def test_a_network_that_is_gone_for_long_ends_nothing(car: Car, drive: Path) -> None:
    car.blobs.down = True
    down = iter(range(500))

    def sleep() -> None:
        if car.slept[-1] == EVERY:
            raise Off
        car.blobs.down = next(down, None) is not None

    car.on_sleep = sleep
    with pytest.raises(Off):
        await watch_drives([drive], car.ports(give_up_after=1), car.events.append)
    assert len(car.announced()) == 12
    assert sum(car.slept) > 1000


async def test_several_folders_share_a_journal(car: Car, drive: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    add_capture(other, "c9")
    car.on_sleep = lambda: (_ for _ in ()).throw(Off)
    for _ in range(2):
        with pytest.raises(Off):
            await watch_drives([drive, other], car.ports(), car.events.append, journal=tmp_path / "j")
    assert len(car.announced()) == 16


async def test_a_folder_that_is_not_there_is_a_mistake_to_mend(car: Car, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no folder"):
        await watch_drives([tmp_path / "absent"], car.ports(), car.events.append)


def _track(path: Path, latitude: float, seconds: int = 60) -> None:
    lines = (f"{START.timestamp() + second},{latitude},10\n" for second in range(seconds))
    path.write_text("epoch,lat,lon\n" + "".join(lines))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Two captures without a pose, the second one later than the pose file goes at first."""
    for minute, name in ((0, "c1"), (1, "c2")):
        place = add_capture(tmp_path / "bare", name, minute=minute)
        manifest = json.loads((place / "capture.json").read_text())
        del manifest["pose"]
        (place / "capture.json").write_text(json.dumps(manifest))
    return tmp_path / "bare"


def _latitudes(car: Car) -> Iterator[float]:
    manifests = [ref for ref in car.blobs.objects if ref.key.endswith("capture.json")]
    return (parse_manifest(car.blobs.objects[ref]).pose.latitude for ref in sorted(manifests, key=str))


async def test_a_pose_file_that_has_grown_is_read_again(car: Car, bare: Path, tmp_path: Path) -> None:
    poses = PoseOptions(files=(tmp_path / "p.csv",))
    _track(tmp_path / "p.csv", 55.0)
    await watch(car, bare, nothing, lambda: _track(tmp_path / "p.csv", 55.0, 90), nothing, nothing, poses=poses)
    assert [event.reason for event in car.events if isinstance(event, CaptureSkipped)] == [SkipReason.POSE_OUTSIDE]
    assert list(_latitudes(car)) == [55.0, 55.0]
    assert len(car.announced()) == len(set(car.announced())) == 8


async def test_a_pose_that_comes_out_otherwise_is_sent_and_nothing_else(car: Car, bare: Path, tmp_path: Path) -> None:
    poses = PoseOptions(files=(tmp_path / "p.csv",))
    _track(tmp_path / "p.csv", 55.0, 90)
    await watch(car, bare, lambda: _track(tmp_path / "p.csv", 56.0, 90), nothing, nothing, poses=poses)
    assert list(_latitudes(car)) == [56.0, 56.0]
    assert [key for key in set(car.announced()) if car.announced().count(key) == 2] == [
        key for key in set(car.announced()) if key.endswith("capture.json")
    ]


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("nonsense"), lambda path: path.unlink()])
async def test_a_pose_file_that_is_spoilt_leaves_the_poses_that_were_read(
    car: Car, bare: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    poses = PoseOptions(files=(tmp_path / "p.csv",))
    _track(tmp_path / "p.csv", 55.0, 90)
    late = [lambda: spoil(tmp_path / "p.csv"), nothing, nothing, lambda: add_capture(bare, "c3"), nothing]
    await watch(car, bare, *late, poses=poses)
    assert list(_latitudes(car))[:2] == [55.0, 55.0]
    assert len(car.stored()) == 12
    assert sum(isinstance(event, PosesKept) for event in car.events) <= 1
