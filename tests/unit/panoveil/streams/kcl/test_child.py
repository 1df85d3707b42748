import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.streams._kcl import child


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut data at these places, as a pipe might."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(marks)]


def frame(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


@given(st.lists(st.binary(min_size=1).filter(lambda line: b"\n" not in line and line.strip())), st.lists(st.integers(0, 10_000)))
def test_lines_survive_any_cutting(lines: list[bytes], places: list[int]) -> None:
    buffer = bytearray()
    found = [line for chunk in cut(b"".join(line + b"\n" for line in lines), places) for line in child._lines(buffer, chunk)]
    assert (found, bytes(buffer)) == (lines, b"")


@given(st.lists(st.binary()), st.lists(st.integers(0, 10_000)))
def test_frames_survive_any_cutting(payloads: list[bytes], places: list[int]) -> None:
    buffer = bytearray()
    found = [one for chunk in cut(b"".join(map(frame, payloads)), places) for one in child._frames(buffer, chunk)]
    assert (found, bytes(buffer)) == (payloads, b"")


class Relay:
    """`relay` in a thread, between pipes that stand for the daemon and a socket that stands for the service."""

    def __init__(self) -> None:
        stdin, self.to_child = os.pipe()
        self.from_child, stdout = os.pipe()
        self.service, self._link = socket.socketpair()
        self.service.settimeout(60)
        self.codes: list[int] = []
        self.thread = threading.Thread(target=lambda: self.codes.append(child.relay(self._link, stdin, stdout)))
        self.thread.start()
        self._ends = [stdin, stdout, self.from_child]

    def ended(self) -> int:
        self.thread.join(60)
        return self.codes[0]

    def close(self) -> None:
        for end in self._ends:
            os.close(end)
        self.service.close()
        self._link.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay()
    yield relay
    relay.close()


def test_lines_become_frames_and_frames_lines(relay: Relay) -> None:
    os.write(relay.to_child, b'{"action":"initialize"}\n\n{"act')
    assert relay.service.recv(100) == frame(b'{"action":"initialize"}')
    os.write(relay.to_child, b'ion":"leaseLost"}\n')
    assert relay.service.recv(100) == frame(b'{"action":"leaseLost"}')
    relay.service.sendall(frame(b'{"action":"status"}') + frame(b"{}")[:5])
    assert os.read(relay.from_child, 100) == b'{"action":"status"}\n'
    os.close(relay.to_child)
    assert relay.ended() == 0


def test_it_ends_when_the_service_does(relay: Relay) -> None:
    relay.service.close()
    assert relay.ended() == 1
    os.close(relay.to_child)


def test_run_by_path_it_imports_nothing_heavy() -> None:
    code = f"import runpy, sys; runpy.run_path({child.__file__!r}); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not {"json", "asyncio", "logging", "panoveil", "pydantic", "boto3"} & set(answer.stdout.split())


def test_it_exits_with_an_error_where_no_service_listens(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", child.__file__, str(tmp_path / "nobody")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
