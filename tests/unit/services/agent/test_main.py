"""The command: exit codes by cause, and what is told."""

import io
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from panoveil.contracts.errors import Misconfigured
from services.agent import __main__ as command
from services.agent.app import upload_drive
from services.agent.events import CaptureSkipped, SkipReason, Waiting
from services.agent.handler import Ports
from services.agent.listeners import json_lines, log_lines
from services.agent.settings import AgentSettings, read_settings
from tests.unit.services.agent.conftest import Car

Run = Callable[..., int]


@pytest.fixture
def run(car: Car, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, connected to the twins."""

    @asynccontextmanager
    async def connect(settings: AgentSettings) -> AsyncIterator[Ports]:
        yield car.ports(settings.parallel, give_up_after=1)

    monkeypatch.setattr(command, "connect", connect)
    return lambda *arguments: command.main([str(argument) for argument in arguments])


def test_all_uploaded_is_zero(run: Run, drive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json", drive) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "CaptureFound"
    assert events[-1] == {
        "event": "DriveDone",
        "folder": str(drive),
        "captures": 3,
        "uploaded": 3,
        "uploaded_before": 0,
        "skipped": 0,
        "frames_missing": 0,
        "frames_damaged": 0,
        "files": 12,
        "size": sum(event["size"] for event in events if event["event"] == "FrameUploaded"),
    }


def test_several_drives_one_after_the_other(run: Run, car: Car, drive: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert run(drive, tmp_path / "other") == 0
    assert len(car.stored()) == 12


def test_a_skipped_capture_is_65(run: Run, drive: Path) -> None:
    (drive / "captures/c1/capture.json").write_text("{")
    assert run(drive) == 65


@pytest.mark.parametrize("dependency", ["s3", "kinesis"])
def test_given_up_is_69(run: Run, car: Car, drive: Path, dependency: str) -> None:
    car.blobs.down = dependency == "s3"
    car.kinesis_down = dependency == "kinesis"
    assert run(drive) == 69


def test_to_be_mended_is_78(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert run(tmp_path / "absent") == 78
    monkeypatch.setenv("PANOVEIL_PARALLEL", "many")
    assert run(tmp_path) == 78
    assert "PANOVEIL_PARALLEL" in caplog.text


def test_the_journal_may_lie_elsewhere(run: Run, drive: Path, tmp_path: Path) -> None:
    assert run("--journal", tmp_path / "j", drive) == 0
    assert (tmp_path / "j").exists()
    assert not (drive / ".panoveil-agent.sqlite3").exists()


def test_again_is_passed_on(run: Run, car: Car, drive: Path) -> None:
    assert (run(drive), run(drive), len(car.sent)) == (0, 0, 12)
    assert (run("--again", drive), len(car.sent)) == (0, 24)


def test_help_shows_examples_and_exit_codes(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "78" in text


def test_every_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOVEIL_PARALLEL", "0")
    monkeypatch.setenv("PANOVEIL_GIVE_UP_AFTER", "-1")
    with pytest.raises(Misconfigured, match=r"PANOVEIL_PARALLEL: .*; PANOVEIL_GIVE_UP_AFTER"):
        read_settings()


async def test_every_event_can_be_written_and_logged(car: Car, drive: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (drive / "captures/c1/left.jpg").unlink()
    await upload_drive(drive, car.ports(), car.events.append)
    out = io.StringIO()
    for event in [*car.events, Waiting("s3", 0.5, "down"), CaptureSkipped("x", SkipReason.UNFINISHED, "")]:
        json_lines(out)(event)
        log_lines(event)
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()][-1] == "CaptureSkipped"
    assert "lacks left.jpg" in caplog.text
    assert "s3 does not answer" in caplog.text
