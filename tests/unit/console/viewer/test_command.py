"""`panoveil view` as an operator starts and ends it."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.cli import app
from tests.unit.console.catalogue.drives import published, save


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    save(tmp_path, [published(0)])
    command = [sys.executable, "-m", "console", "view", "--folder", str(tmp_path), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        address = said.split(" at ")[1].split()[0]
        assert said.startswith("fyn-2026/car7-0601: 1 panorama")
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}drive.geojson", timeout=60) as answer:  # noqa: S310 - our own server
            assert b"fyn-2026/car7-0601/000000" in answer.read()
        process.send_signal(number)
        assert process.wait(60) == 0


def test_an_unknown_drive_is_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "console", "view", "dk/none", "--folder", str(tmp_path), "--no-browser"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr.startswith(f"panoveil: {tmp_path} holds no publication: `panoveil demo` leaves")
    assert len(ended.stderr.splitlines()) == 1


def test_without_a_drive_and_a_folder_nothing_can_be_shown() -> None:
    assert CliRunner().invoke(app, ["view"]).exit_code == 2
