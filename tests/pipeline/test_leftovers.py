"""Whatever ends the command that started the pipeline, no process of it is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]

_PATIENCE = 300.0


def started_by(mark: str) -> list[psutil.Process]:
    """Every process whose environment carries the mark; it is inherited by all descendants, orphans included."""
    return [process for process in psutil.process_iter() if _environment(process).get("PANOVEIL_TEST_MARK") == mark]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except psutil.Error:
        return {}


def until(mark: str, wanted: set[str]) -> list[psutil.Process]:
    """Return the marked processes once each wanted word is in some command line; no wanted words: once none is left."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found = started_by(mark)
        lines = [_command(process) for process in found]
        if all(any(word in line for line in lines) for word in wanted) and (wanted or not found):
            return found
        time.sleep(0.1)
    return pytest.fail(f"after {_PATIENCE:.0f} s: {[_command(process) for process in started_by(mark)]}")


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    mark = str(tmp_path)
    environment = {**os.environ, "PANOVEIL_TEST_MARK": mark}
    command = [sys.executable, "-m", "console", "up", "--out", str(tmp_path)]
    # As a background job of a shell: Ctrl-C is ignored unless the command asks for it itself.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    yield process, mark
    process.kill()
    process.wait()
    for left in started_by(mark):
        left.kill()


EVERYTHING = {"ministack", "tritonserver", "triton_python_backend_stub", "MultiLangDaemon", "streams/_kcl/child"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left(up: tuple[subprocess.Popen[bytes], str], how: signal.Signals) -> None:
    process, mark = up
    assert until(mark, EVERYTHING)
    process.send_signal(how)
    process.wait(_PATIENCE)
    assert until(mark, set()) == []
