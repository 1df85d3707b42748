"""Child processes that end with their parent, whatever happens to it."""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

_PR_SET_PDEATHSIG = 1
_KEPT = {"PANOVEIL_TEST_MARK", "PANOVEIL_TRITON_INTRA_OP_THREADS"}
_PORTS = range(20_000, 32_768)
"""Below those that Linux gives to outgoing connections, which therefore take none between its choice and its use."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_given: set[int] = set()


def dying_with(parent: int) -> Callable[[], None]:
    """Return a `preexec_fn`: Linux kills the child when its parent dies, even by SIGKILL (prctl(2))."""

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the tie was made

    return tie


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on now and that this process was not given before."""
    while True:
        port = secrets.choice(_PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Process:
    """A running child: its name, handle and log file."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, name: str, argv: Sequence[str], env: Mapping[str, str], folder: Path) -> Self:
        """Start `argv` in a session of its own (so that Ctrl-C reaches only the parent), logging to `folder/name.log`."""
        log = folder / f"{name}.log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                argv,
                env=_inherited() | dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with(os.getpid()),  # noqa: PLW1509 - system calls only
            )
        return cls(name, popen, log)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def cpu_seconds(self) -> float:
        """CPU seconds of it and its descendants so far, ended children included."""
        try:
            family = [psutil.Process(self.popen.pid), *psutil.Process(self.popen.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0.0
        return sum(_cpu_seconds(member) for member in family)

    def stop(self, patience: float) -> None:
        """Send SIGTERM, and after `patience` seconds SIGKILL to whatever of its family still runs."""
        family = _family(self.popen.pid)
        if self.running:
            self.popen.terminate()
            try:
                self.popen.wait(patience)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        _, alive = psutil.wait_procs(family, timeout=2)
        for member in alive:
            member.kill()


def _inherited() -> dict[str, str]:
    """Everything but what could lead a loopback server astray: somebody's real credentials and settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PANOVEIL_")) or name in _KEPT}


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
