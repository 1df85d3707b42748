"""Uploading a drive: order, resumption, waiting, and what is left out."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from panoveil.contracts.errors import Misconfigured, Unavailable
from services.agent.adapters import SqliteJournal
from services.agent.app import upload_drive
from services.agent.events import (
    CaptureFound,
    CaptureSkipped,
    CaptureUploaded,
    DriveDone,
    FrameDamaged,
    FrameMissing,
    FrameUploaded,
    JournalLost,
    SkipReason,
    Waiting,
)
from tests.unit.services.agent.conftest import LENSES, Car, Off, add_capture, rewrite

ALL = {f"dk/d1/{name}/{file}" for name in ("c1", "c2", "c3") for file in [*(f"{lens}.jpg" for lens in LENSES), "capture.json"]}
STEPS_OF_A_DRIVE = 60


async def test_everything_is_uploaded_and_announced_once(car: Car, drive: Path) -> None:
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert car.stored() == ALL
    assert sorted(car.announced()) == sorted(ALL)
    assert done == car.events[-1]
    assert (done.captures, done.uploaded, done.skipped, done.files, done.frames_missing) == (3, 3, 0, 12, 0)
    uploaded = [event.capture_id for event in car.events if isinstance(event, CaptureUploaded)]
    assert sorted(uploaded) == ["dk/d1/c1", "dk/d1/c2", "dk/d1/c3"]


async def test_bytes_are_what_lies_on_the_disk(car: Car, drive: Path) -> None:
    done = await upload_drive(drive, car.ports(), car.events.append)
    for ref, data in car.blobs.objects.items():
        assert data == (drive / "captures" / Path(*Path(ref.key).parts[2:])).read_bytes()
    assert done.size == sum(map(len, car.blobs.objects.values()))
    assert set(car.blobs.content_types.values()) == {"image/jpeg", "application/json"}


@pytest.mark.parametrize("parallel", [1, 4, 50])
async def test_frames_go_before_their_manifest_and_puts_before_events(car: Car, drive: Path, parallel: int) -> None:
    await upload_drive(drive, car.ports(parallel), car.events.append)
    for key in ALL:
        manifest = key.rsplit("/", 1)[0] + "/capture.json"
        assert car.log.index(("put", key)) <= car.log.index(("put", manifest))
        assert car.log.index(("event", key)) <= car.log.index(("event", manifest))
        assert car.log.index(("put", key)) < car.log.index(("event", key))


async def test_the_oldest_capture_goes_first(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(parallel=1), car.events.append)
    puts = [key for what, key in car.log if what == "put"]
    assert [key.split("/")[2] for key in puts[:3]] == ["c3"] * 3
    assert [event.capture_id for event in car.events if isinstance(event, CaptureUploaded)] == [
        "dk/d1/c3",
        "dk/d1/c2",
        "dk/d1/c1",
    ]


async def test_events_carry_the_capture_as_partition_key(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(), car.events.append)
    assert {record.partition_key for record in car.sent} == {"dk/d1/c1", "dk/d1/c2", "dk/d1/c3"}
    for record in car.sent:
        assert json.loads(record.data)["Records"][0]["s3"]["object"]["key"].startswith(record.partition_key + "/")


async def test_a_second_run_sends_nothing(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(), car.events.append)
    before = car.steps
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert car.steps == before
    assert (done.uploaded, done.uploaded_before, done.files) == (0, 3, 0)


@pytest.mark.parametrize("step", range(STEPS_OF_A_DRIVE))
async def test_switched_off_at_any_step_it_goes_on_where_it_was(car: Car, drive: Path, step: int) -> None:
    car.off_after = step
    with contextlib.suppress(Off):
        await upload_drive(drive, car.ports(), car.events.append)
    assert set(car.announced()) <= car.stored(), "an object was announced that is not there"
    puts = sum(what == "put" for what, _ in car.log)
    car.off_after = None
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert car.stored() == ALL
    assert set(car.announced()) == ALL
    assert done.uploaded + done.uploaded_before == 3
    lost_answers = sum(what == "put" for what, _ in car.log) - len(ALL)
    assert lost_answers <= min(puts, 4), "more was uploaded again than was on its way"


async def test_the_car_is_switched_off_at_every_step_in_turn(car: Car, drive: Path) -> None:
    """Never more than a few steps at a time, from the first to the last."""
    runs = 0
    while True:
        runs += 1
        car.off_after = car.steps + 7
        try:
            await upload_drive(drive, car.ports(parallel=2), car.events.append)
        except Off:
            assert set(car.announced()) <= car.stored()
            assert runs < 50, "it does not get on"
            continue
        break
    assert (car.stored(), set(car.announced())) == (ALL, ALL)
    assert runs > 3


def test_the_steps_above_reach_the_end_of_a_drive(car: Car, drive: Path) -> None:
    assert len(ALL) * 2 + 2 <= STEPS_OF_A_DRIVE


async def test_what_the_journal_missed_is_sent_again(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(), car.events.append)
    with sqlite3.connect(drive / ".panoveil-agent.sqlite3") as database:
        database.execute("UPDATE objects SET announced = 0 WHERE key = 'dk/d1/c2/left.jpg'")
    database.close()
    car.log.clear()
    await upload_drive(drive, car.ports(), car.events.append)
    assert car.log == [("event", "dk/d1/c2/left.jpg")]


async def test_a_changed_file_is_uploaded_and_announced_again(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(), car.events.append)
    car.log.clear()
    rewrite(drive / "captures/c2", "left", b"mended")
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert sorted(car.log) == [(what, f"dk/d1/c2/{name}") for what in ("event", "put") for name in ("capture.json", "left.jpg")]
    assert (done.uploaded, done.uploaded_before) == (1, 2)


async def test_again_uploads_everything_again(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(), car.events.append)
    done = await upload_drive(drive, car.ports(), car.events.append, again=True)
    assert (done.uploaded, len(car.sent)) == (3, 2 * len(ALL))


async def test_another_destination_knows_nothing_of_the_first(car: Car, drive: Path) -> None:
    await upload_drive(drive, car.ports(), car.events.append)
    done = await upload_drive(drive, car.ports(destination="elsewhere"), car.events.append)
    assert done.uploaded == 3


async def test_a_folder_still_being_written_is_taken_up_later(car: Car, drive: Path) -> None:
    place = add_capture(drive / "captures", "c4", minute=9)
    manifest = (place / "capture.json").read_bytes()
    for half in (None, b"", manifest[:40]):
        (place / "capture.json").unlink(missing_ok=True)
        if half is not None:
            (place / "capture.json").write_bytes(half)
        done = await upload_drive(drive, car.ports(), car.events.append)
        reason = SkipReason.UNFINISHED if half is None else SkipReason.BAD_MANIFEST
        assert [event.reason for event in car.events if isinstance(event, CaptureSkipped)][-1] == reason
        assert (done.skipped, len(car.stored())) == (1, len(ALL))
    (place / "capture.json").write_bytes(manifest)
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert (done.skipped, done.uploaded, len(car.stored())) == (0, 1, len(ALL) + 4)


@pytest.mark.parametrize(
    "file", ["../../../etc/passwd", "/etc/passwd", "a/b.jpg", "..", ".hidden", "", "a\x00.jpg", "é.jpg", "capture.json"]
)
async def test_a_file_name_that_leaves_the_folder_is_refused(car: Car, drive: Path, file: str) -> None:
    frames = [{"lens": "front", "file": file, "sha256": "0" * 64}]
    add_capture(drive / "captures", "evil", frames=frames)
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert done.skipped == 1
    assert car.stored() == ALL


@pytest.mark.parametrize("part", ["survey", "drive", "capture"])
async def test_an_id_that_leaves_its_prefix_is_refused(car: Car, drive: Path, part: str) -> None:
    add_capture(drive / "captures", "evil", **{part: "../other"})  # type: ignore[arg-type]
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert (done.skipped, car.stored()) == (1, ALL)


async def test_a_frame_that_is_a_link_is_missing(car: Car, drive: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (drive / "captures/c1/left.jpg").unlink()
    (drive / "captures/c1/left.jpg").symlink_to(secret)
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert done.frames_missing == 1
    assert b"secret" not in car.blobs.objects.values()


async def test_a_missing_frame_is_told_and_the_rest_is_uploaded(car: Car, drive: Path) -> None:
    (drive / "captures/c1/left.jpg").unlink()
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert [event for event in car.events if isinstance(event, FrameMissing)] == [
        FrameMissing("dk/d1/c1", "left.jpg", "not in the folder")
    ]
    assert car.stored() == ALL - {"dk/d1/c1/left.jpg"}
    assert (done.frames_missing, done.uploaded, done.skipped) == (1, 3, 0)


async def test_a_frame_that_turns_up_later_is_uploaded_then(car: Car, drive: Path) -> None:
    data = (drive / "captures/c1/left.jpg").read_bytes()
    (drive / "captures/c1/left.jpg").unlink()
    await upload_drive(drive, car.ports(), car.events.append)
    (drive / "captures/c1/left.jpg").write_bytes(data)
    await upload_drive(drive, car.ports(), car.events.append)
    assert car.stored() == ALL
    assert sorted(car.announced()) == sorted(ALL)


async def test_a_frame_that_vanishes_meanwhile_stops_nothing(car: Car, drive: Path) -> None:
    def listen(event: object) -> None:
        car.events.append(event)  # type: ignore[arg-type]
        if isinstance(event, CaptureFound):
            (drive / "captures/c1/left.jpg").unlink(missing_ok=True)

    done = await upload_drive(drive, car.ports(), listen)
    assert (done.frames_missing, car.stored()) == (1, ALL - {"dk/d1/c1/left.jpg"})


async def test_a_manifest_that_vanishes_meanwhile_skips_its_capture(car: Car, drive: Path) -> None:
    def listen(event: object) -> None:
        car.events.append(event)  # type: ignore[arg-type]
        if isinstance(event, FrameUploaded) and event.capture_id == "dk/d1/c1":
            (drive / "captures/c1/capture.json").unlink(missing_ok=True)

    done = await upload_drive(drive, car.ports(), listen)
    assert (done.uploaded, done.skipped) == (2, 1)
    assert "dk/d1/c1/capture.json" not in car.announced()


async def test_an_empty_frame_goes_as_it_is(car: Car, drive: Path) -> None:
    rewrite(drive / "captures/c1", "left", b"")
    await upload_drive(drive, car.ports(), car.events.append)
    assert car.stored() == ALL


async def test_a_damaged_frame_is_named_and_stays_behind_and_the_rest_goes_on(car: Car, drive: Path) -> None:
    (drive / "captures/c1/left.jpg").write_bytes(b"half a pict")
    done = await upload_drive(drive, car.ports(), car.events.append)
    damaged = [event for event in car.events if isinstance(event, FrameDamaged)]
    assert [(event.capture_id, event.file) for event in damaged] == [("dk/d1/c1", "left.jpg")]
    assert "SHA-256" in damaged[0].detail
    assert car.stored() == set(car.announced()) == ALL - {"dk/d1/c1/left.jpg"}
    assert (done.uploaded, done.frames_damaged, done.left_behind) == (3, 1, 1)


async def test_a_damaged_frame_is_told_at_every_run_and_nothing_is_sent_again(car: Car, drive: Path) -> None:
    (drive / "captures/c1/left.jpg").write_bytes(b"half a pict")
    await upload_drive(drive, car.ports(), car.events.append)
    car.log.clear()
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert (done.frames_damaged, done.uploaded, done.uploaded_before, car.log) == (1, 0, 3, [])


async def test_a_damaged_frame_that_was_mended_is_sent_then(car: Car, drive: Path) -> None:
    whole = (drive / "captures/c1/left.jpg").read_bytes()
    (drive / "captures/c1/left.jpg").write_bytes(whole[:-1])
    await upload_drive(drive, car.ports(), car.events.append)
    car.log.clear()
    (drive / "captures/c1/left.jpg").write_bytes(whole)
    await upload_drive(drive, car.ports(), car.events.append)
    assert car.log == [("put", "dk/d1/c1/left.jpg"), ("event", "dk/d1/c1/left.jpg")]


async def test_a_folder_that_cannot_be_read_is_told(car: Car, drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def denied(place: str) -> Iterator[os.DirEntry[str]]:
        if Path(place).name == "c2":
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", denied)
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert [event.reason for event in car.events if isinstance(event, CaptureSkipped)] == [SkipReason.UNREADABLE]
    assert (done.uploaded, done.skipped) == (2, 1)


async def test_folders_with_a_dot_are_passed_over(car: Car, drive: Path) -> None:
    add_capture(drive / ".trash", "c9")
    await upload_drive(drive, car.ports(), car.events.append)
    assert car.stored() == ALL


async def test_the_same_capture_twice_is_uploaded_once(car: Car, drive: Path) -> None:
    add_capture(drive / "copy", "c1")
    done = await upload_drive(drive, car.ports(), car.events.append)
    skipped = [event for event in car.events if isinstance(event, CaptureSkipped)]
    assert [event.reason for event in skipped] == [SkipReason.DUPLICATE_CAPTURE]
    assert (done.captures, done.skipped) == (3, 1)


async def test_it_waits_until_s3_answers(car: Car, drive: Path) -> None:
    car.blobs.down = True

    def mend() -> None:
        car.blobs.down = max(car.slept) < 4  # by the longest wait: how the parallel PUTs share the waits is up to the threads

    car.on_sleep = mend
    await upload_drive(drive, car.ports(), car.events.append)
    assert (car.stored(), sorted(car.announced())) == (ALL, sorted(ALL))
    waits = [event for event in car.events if isinstance(event, Waiting)]
    assert {event.dependency for event in waits} == {"s3"}
    assert max(event.seconds for event in waits) > waits[0].seconds


async def test_it_waits_until_kinesis_answers_and_uploads_meanwhile(car: Car, drive: Path) -> None:
    car.kinesis_down = True

    def mend() -> None:
        car.kinesis_down = len(car.stored()) < len(ALL)

    car.on_sleep = mend
    await upload_drive(drive, car.ports(give_up_after=0), car.events.append)
    assert sorted(car.announced()) == sorted(ALL)
    assert any(isinstance(event, Waiting) and event.dependency == "kinesis" for event in car.events)


@pytest.mark.parametrize("dependency", ["s3", "kinesis"])
async def test_it_gives_up_in_the_end_and_loses_nothing(car: Car, drive: Path, dependency: str) -> None:
    car.blobs.down = dependency == "s3"
    car.kinesis_down = dependency == "kinesis"
    with pytest.raises(Unavailable) as caught:
        await upload_drive(drive, car.ports(), car.events.append)
    assert caught.value.dependency == dependency
    assert not any(isinstance(event, DriveDone) for event in car.events)
    car.blobs.down = car.kinesis_down = False
    await upload_drive(drive, car.ports(), car.events.append)
    assert (car.stored(), sorted(car.announced())) == (ALL, sorted(ALL))


async def test_an_empty_drive_is_done(car: Car, tmp_path: Path) -> None:
    done = await upload_drive(tmp_path, car.ports(), car.events.append)
    assert (done.captures, done.skipped) == (0, 0)


async def test_no_folder_is_a_mistake_to_mend(car: Car, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no folder"):
        await upload_drive(tmp_path / "absent", car.ports(), car.events.append)


async def test_two_agents_do_not_share_a_drive(car: Car, drive: Path) -> None:
    journal = SqliteJournal(drive / ".panoveil-agent.sqlite3", "test")
    with pytest.raises(Misconfigured, match="another agent"):
        await upload_drive(drive, car.ports(), car.events.append)
    journal.close()


async def test_a_journal_that_cannot_be_written_says_what_to_do(car: Car, drive: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="--journal"):
        await upload_drive(drive, car.ports(), car.events.append, journal=tmp_path / "absent" / "j.sqlite3")


async def test_a_damaged_journal_is_put_aside(car: Car, drive: Path) -> None:
    journal = drive / ".panoveil-agent.sqlite3"
    journal.write_bytes(os.urandom(8192))
    done = await upload_drive(drive, car.ports(), car.events.append)
    assert done.uploaded == 3
    assert [event.kept_as for event in car.events if isinstance(event, JournalLost)] == [f"{journal}.damaged"]
