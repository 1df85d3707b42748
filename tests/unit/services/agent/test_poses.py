"""A drive without poses: what is uploaded, when it is uploaded again, and what the command says."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from panoveil.contracts.messages import parse_manifest
from services.agent import __main__ as command
from services.agent.app import upload_drive
from services.agent.events import CaptureSkipped, DriveDone, SkipReason
from services.agent.handler import Ports
from services.agent.poses import PoseOptions, open_poses
from services.agent.settings import AgentSettings
from tests.unit.services.agent.conftest import START, Car, add_capture

MINUTES = 3


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Three captures a minute apart, none of which has a pose."""
    folder = tmp_path / "bare"
    for minute in range(MINUTES):
        place = add_capture(folder, f"c{minute}", minute=minute)
        manifest = json.loads((place / "capture.json").read_text())
        del manifest["pose"]
        (place / "capture.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def track(tmp_path: Path) -> Path:
    """A fix a second for as long as the drive is; the car goes north by 11 m a second."""
    return _write_track(tmp_path / "poses.csv")


def _write_track(path: Path, latitude: float = 55.0) -> Path:
    begin = START.timestamp()
    lines = (f"{begin + second},{latitude + second / 1e4:.9f},10\n" for second in range(MINUTES * 60))
    path.write_text("epoch,lat,lon\n" + "".join(lines))
    return path


async def _upload(car: Car, folder: Path, *files: Path, **options: Any) -> DriveDone:
    poses = open_poses(PoseOptions(files=files, **options), car.events.append)
    return await upload_drive(folder, car.ports(), car.events.append, poses=poses)


def _uploaded(car: Car) -> dict[str, float]:
    """Latitudes in the raw bucket."""
    manifests = [parse_manifest(data) for ref, data in car.blobs.objects.items() if ref.key.endswith("capture.json")]
    return {manifest.capture: manifest.pose.latitude for manifest in manifests}


async def test_manifests_are_uploaded_with_their_poses_and_the_folder_stays_as_it_was(car: Car, bare: Path, track: Path) -> None:
    before = (bare / "c1/capture.json").read_bytes()
    done = await _upload(car, bare, track)
    assert (done.uploaded, done.skipped) == (3, 0)
    assert _uploaded(car) == {"c0": 55.0, "c1": 55.006, "c2": 55.012}
    assert (bare / "c1/capture.json").read_bytes() == before


async def test_what_was_uploaded_is_not_sent_again(car: Car, bare: Path, track: Path) -> None:
    await _upload(car, bare, track)
    car.log.clear()
    done = await _upload(car, bare, track)
    assert (done.uploaded_before, car.log) == (3, [])


async def test_touching_a_file_that_says_the_same_sends_nothing(car: Car, bare: Path, track: Path) -> None:
    await _upload(car, bare, track)
    car.log.clear()
    (bare / "c1/capture.json").touch()
    _write_track(track)
    await _upload(car, bare, track)
    assert car.log == []


@pytest.mark.parametrize("change", ["offset", "lever arm", "file"])
async def test_another_pose_sends_the_manifests_again_and_no_frame(car: Car, bare: Path, track: Path, change: str) -> None:
    await _upload(car, bare, track)
    car.log.clear()
    if change == "file":
        _write_track(track, 55.5)
    changes: dict[str, dict[str, Any]] = {"offset": {"time_offset": 0.5}, "lever arm": {"lever_arm": (3, 0, 0)}, "file": {}}
    done = await _upload(car, bare, track, **changes[change])
    keys = [f"dk/d1/c{minute}/capture.json" for minute in range(MINUTES)]
    assert sorted(car.log) == sorted([(what, key) for key in keys for what in ("put", "event")])
    assert done.uploaded == 3
    assert min(_uploaded(car).values()) > 55.00002


async def test_captures_whose_pose_is_unknown_stay_and_go_when_a_file_knows_it(car: Car, bare: Path, track: Path) -> None:
    lines = track.read_text().splitlines(keepends=True)
    track.write_text("".join(lines[:1] + lines[1:50] + lines[70:110]))
    done = await _upload(car, bare, track)
    reasons = {Path(event.folder).name: event.reason for event in car.events if isinstance(event, CaptureSkipped)}
    assert reasons == {"c1": SkipReason.POSE_GAP, "c2": SkipReason.POSE_OUTSIDE}
    assert (done.uploaded, done.skipped) == (1, 2)
    _write_track(track)
    done = await _upload(car, bare, track)
    assert (done.uploaded, done.uploaded_before, done.skipped) == (2, 1, 0)


async def test_without_any_file_they_stay_for_want_of_a_pose(car: Car, bare: Path) -> None:
    done = await upload_drive(bare, car.ports(), car.events.append)
    assert done.skipped == 3
    assert {event.reason for event in car.events if isinstance(event, CaptureSkipped)} == {SkipReason.NO_POSE}
    assert car.stored() == set()


async def test_a_manifest_that_has_a_pose_goes_as_it_lies_there(car: Car, drive: Path, track: Path) -> None:
    await _upload(car, drive, track)
    (data,) = (data for ref, data in car.blobs.objects.items() if ref.key == "dk/d1/c1/capture.json")
    assert data == (drive / "captures/c1/capture.json").read_bytes()
    car.log.clear()
    await _upload(car, drive, track, replace=True)
    assert set(_uploaded(car).values()) == {55.0, 55.006, 55.012}


async def test_a_completed_manifest_must_be_a_valid_one(car: Car, bare: Path, track: Path) -> None:
    manifest = json.loads((bare / "c1/capture.json").read_text())
    del manifest["rig_id"]
    (bare / "c1/capture.json").write_text(json.dumps(manifest))
    await _upload(car, bare, track)
    assert [event.reason for event in car.events if isinstance(event, CaptureSkipped)] == [SkipReason.BAD_MANIFEST]


Run = Callable[..., int]


@pytest.fixture
def run(car: Car, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, connected to the twins."""

    @asynccontextmanager
    async def connect(settings: AgentSettings) -> AsyncIterator[Ports]:
        yield car.ports()

    monkeypatch.setattr(command, "connect", connect)
    return lambda *arguments: command.main([str(argument) for argument in arguments])


def test_flags(run: Run, car: Car, bare: Path, track: Path) -> None:
    flags = ["--time-offset", "-0.5", "--lever-arm", "1", "-2", "-1.5", "--longest-gap", "3", "--least-speed", "2"]
    # The first fix is half a second too late for the first capture.
    assert run(bare, "--poses", track, "--pose-format", "csv", *flags) == 65
    # Half a second is 5.6 m of way, the lever arm one metre of it.
    assert _uploaded(car)["c1"] == pytest.approx(55.006 - 0.00005 + 1 / 111_343, abs=2e-9)


def test_settings_and_flags_over_them(run: Run, car: Car, bare: Path, track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOVEIL_POSE__FILES", str(track))
    monkeypatch.setenv("PANOVEIL_POSE__TIME_OFFSET", "0.5")
    monkeypatch.setenv("PANOVEIL_POSE__LEVER_ARM", "0,0,-1.5")
    assert run(bare) == 0
    assert _uploaded(car)["c1"] == 55.00605
    assert run(bare, "--time-offset", "0") == 0
    assert _uploaded(car)["c1"] == 55.006


def test_a_pose_file_that_is_wrong_is_78_before_anything_is_sent(
    run: Run, car: Car, bare: Path, track: Path, caplog: pytest.LogCaptureFixture
) -> None:
    track.write_text("epoch,lat,lon\n1,2\n")
    assert run(bare, "--poses", track) == 78
    assert "poses.csv, line 2" in caplog.text
    assert car.log == []


def test_an_impossible_flag_is_78(run: Run, bare: Path, track: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(bare, "--poses", track, "--longest-gap", "0") == 78
    assert "--longest-gap: Input should be greater than 0" in caplog.text


def test_what_was_read_is_told(
    run: Run, bare: Path, track: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    assert run(bare, "--poses", track) == 0
    assert f"{track} (csv): 180 fixes over 179 s, 0 passed over" in caplog.text
    assert run(bare, "--json", "--poses", track) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == {
        "event": "PosesRead",
        "file": str(track),
        "format": "csv",
        "fixes": 180,
        "passed_over": 0,
        "seconds": 179.0,
    }
