import logging
import sys
from pathlib import Path

import pytest

from panoveil.streams._kcl.daemon import Daemon

NAME = "panoveil.streams.kcl.daemon"


async def run(folder: Path, script: str) -> int:
    java = folder / "java"
    java.write_text(f"#!{sys.executable}\n{script}")
    java.chmod(0o755)
    daemon = await Daemon.start(java, folder, folder, emulated=False)
    return await daemon.ended()


async def test_its_output_becomes_log_lines_with_its_levels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = ["Unrecognized VM option", "INFO A: one", "ERROR B: two", "\\tat there", "", "WARN C: three"]
    code = await run(tmp_path, f"import sys\nsys.stdout.write({chr(10).join(lines)!r})\nsys.exit(3)")
    assert code == 3
    assert [said for said in caplog.record_tuples if said[0] == NAME] == [
        (NAME, logging.WARNING, "Unrecognized VM option"),
        (NAME, logging.INFO, "A: one"),
        (NAME, logging.ERROR, "B: two"),
        (NAME, logging.ERROR, "\\tat there"),
        (NAME, logging.WARNING, "C: three"),
    ]


async def test_an_endless_line_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await run(tmp_path, "import sys\nsys.stdout.write('x' * 3_000_000 + '\\nERROR B: after\\n')")
    assert (NAME, logging.ERROR, "B: after") in caplog.record_tuples


async def test_it_may_be_killed_twice(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nsleep 3600\n")
    java.chmod(0o755)
    daemon = await Daemon.start(java, tmp_path, tmp_path, emulated=True)
    await daemon.kill()
    await daemon.kill()
    daemon.terminate()
    assert await daemon.ended() == -9
