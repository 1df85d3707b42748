"""A drive folder that is still being written: nothing half goes out, and nothing whole waits."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Rejected
from services.agent.app import upload_drive
from services.agent.captures import read_manifest
from services.agent.events import CaptureSkipped, CaptureUploaded, FrameDamaged, FrameMissing, SkipReason, StillWritten
from tests.unit.services.agent.conftest import LENSES, Car, add_capture

KEYS = {f"dk/d1/c1/{name}" for name in [*(f"{lens}.jpg" for lens in LENSES), "capture.json"]}


class Writer:
    """Somebody copies a capture on; each time the agent sleeps, a piece more of a file lies there."""

    def __init__(self, place: Path, name: str, pieces: int = 4) -> None:
        self._file = place / name
        self._whole = self._file.read_bytes()
        self._pieces = pieces
        self._there = 0
        self._write()

    def __call__(self) -> None:
        if self._there < self._pieces:
            self._there += 1
            self._write()

    def _write(self) -> None:
        self._file.write_bytes(self._whole[: len(self._whole) * self._there // self._pieces])


@pytest.mark.parametrize("name", ["left.jpg", "capture.json"])
async def test_a_half_written_file_is_waited_for_and_goes_whole(car: Car, tmp_path: Path, name: str) -> None:
    place = add_capture(tmp_path, "c1")
    car.on_sleep = Writer(place, name)
    done = await upload_drive(tmp_path, car.ports(), car.events.append)
    assert (done.uploaded, done.left_behind, car.stored()) == (1, 0, KEYS)
    assert sorted(car.announced()) == sorted(KEYS)
    assert not any(isinstance(event, FrameDamaged | CaptureSkipped) for event in car.events)
    assert [event.captures for event in car.events if isinstance(event, StillWritten)] == [1] * 4


@pytest.mark.parametrize("name", ["left.jpg", "capture.json"])
async def test_a_file_that_comes_late_is_waited_for(car: Car, tmp_path: Path, name: str) -> None:
    place = add_capture(tmp_path, "c1")
    whole = (place / name).read_bytes()
    (place / name).unlink()
    car.on_sleep = lambda: None if (place / name).exists() else void((place / name).write_bytes(whole))
    done = await upload_drive(tmp_path, car.ports(), car.events.append)
    assert (done.uploaded, done.left_behind, car.stored()) == (1, 0, KEYS)
    assert not any(isinstance(event, FrameMissing | CaptureSkipped) for event in car.events)


async def test_the_manifest_does_not_go_before_the_frame_that_is_waited_for(car: Car, tmp_path: Path) -> None:
    place = add_capture(tmp_path, "c1")
    car.on_sleep = Writer(place, "left.jpg")
    await upload_drive(tmp_path, car.ports(), car.events.append)
    assert [key for what, key in car.log if what == "put"][-2:] == ["dk/d1/c1/left.jpg", "dk/d1/c1/capture.json"]


async def test_what_is_whole_does_not_wait_for_what_is_not(car: Car, tmp_path: Path) -> None:
    late = add_capture(tmp_path, "c1")
    add_capture(tmp_path, "c2", minute=5)
    car.on_sleep = Writer(late, "left.jpg")
    await upload_drive(tmp_path, car.ports(), car.events.append)
    kinds = [event for event in car.events if isinstance(event, StillWritten | CaptureUploaded)]
    assert isinstance(kinds[0], CaptureUploaded)
    assert kinds[0].capture_id == "dk/d1/c2"


async def test_a_drive_that_is_whole_is_looked_at_once(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(), car.events.append)
    assert car.slept == []


async def test_a_writer_that_stopped_half_way_is_told_of_once(car: Car, tmp_path: Path) -> None:
    place = add_capture(tmp_path, "c1")
    manifest = (place / "capture.json").read_bytes()
    (place / "capture.json").write_bytes(manifest[:40])
    done = await upload_drive(tmp_path, car.ports(), car.events.append)
    assert [event.reason for event in car.events if isinstance(event, CaptureSkipped)] == [SkipReason.BAD_MANIFEST]
    assert (done.skipped, car.slept) == (1, [2.0])


@given(data=st.data())
def test_no_beginning_of_a_manifest_is_a_manifest(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = json.dumps(json.loads((add_capture(tmp_path_factory.mktemp("m"), "c1") / "capture.json").read_text())).encode()
    half = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(Rejected):
        read_manifest(half)


def void(_: object) -> None:
    """For a lambda that does something."""
