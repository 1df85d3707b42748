"""The MultiLangDaemon as a process: started, listened to, ended. It never outlives this process, nor its children it."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

_log = logging.getLogger("panoveil.streams.kcl.daemon")
_LEVELS = {"ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.INFO}
_JVM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")
_MAIN = "software.amazon.kinesis.multilang.MultiLangDaemon"
_LINE_LIMIT = 1 << 20


class Daemon:
    """One run of the JVM."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Use `start`."""
        self._process = process
        self._end = asyncio.create_task(self._listen_and_wait(), name="kcl daemon")

    @classmethod
    async def start(cls, java: Path, jars: Path, folder: Path, *, emulated: bool) -> "Daemon":
        """Start the daemon on the files in `folder`. Call it from a thread that lives as long as the service."""
        return cls(
            await asyncio.create_subprocess_exec(
                *_command(java, jars, folder, emulated=emulated),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=_LINE_LIMIT,
                # A group of its own: Ctrl-C in a terminal must reach the service alone, which ends the daemon in order.
                start_new_session=True,
            )
        )

    @property
    def pid(self) -> int:
        """Also the id of the process group of the JVM and its children."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait for the end; return the exit code."""
        return await asyncio.shield(self._end)

    def terminate(self) -> None:
        """Ask for an ordered end. The children go on: the daemon tells them."""
        if self._process.returncode is None:
            self._process.terminate()

    async def kill(self) -> None:
        """End the JVM and its children now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self.ended()

    async def _listen_and_wait(self) -> int:
        await self._listen()
        return await self._process.wait()

    async def _listen(self) -> None:
        output = self._process.stdout
        assert output is not None
        level = logging.WARNING
        while True:
            try:
                line = await output.readline()
            except ValueError:  # longer than the limit
                continue
            if not line:
                return
            level = _forward(line.decode(errors="replace").rstrip(), level)


def _command(java: Path, jars: Path, folder: Path, *, emulated: bool) -> list[str]:
    # The emulator's CBOR is incomplete; its JSON is not.
    dialect = ["-Daws.cborEnabled=false"] if emulated else []
    stub = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(os.getpid())]
    logback = f"-Dlogback.configurationFile={folder / 'logback.xml'}"
    return [
        *stub,
        str(java),
        *_JVM,
        *dialect,
        logback,
        "-cp",
        f"{jars}/*",
        _MAIN,
        "--properties-file",
        str(folder / "properties"),
    ]


def _forward(line: str, before: int) -> int:
    """Log a line and return its level: its own, or where it names none (a stack trace, Java's own complaints) that of the line before."""
    word, _, rest = line.partition(" ")
    level = _LEVELS.get(word, before)
    if line:
        _log.log(level, "%s", rest if word in _LEVELS else line)
    return level
