"""The supervisor against a daemon that is a script; tests/streams has the real one."""

import asyncio
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.streams import KclConfig, KclSource, Limits, Record
from panoveil.streams._kcl import source as source_module
from tests.streams.worlds import descendants

LIMITS = Limits(max_in_flight=4, max_in_flight_per_shard=4, hold_seconds=0.2, checkpoint_seconds=0.0, drain_seconds=60.0)


async def asleep(config: KclConfig) -> None:
    """Watch nobody."""


class Shelf:
    """A fake Java and the shard that its daemon serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.java = folder / "java"
        script = Path(__file__).with_name("fake_java.py").read_text()
        self.java.write_text(f"#!{sys.executable}\n{script}")
        self.java.chmod(0o755)
        self.released: list[int] = []
        self.put(20)

    def put(self, count: int) -> None:
        (self.folder / "records").write_text("".join(f"record-{n}\n" for n in range(count)))

    def source(self, limits: Limits = LIMITS) -> KclSource:
        config = KclConfig("app", "stream", "eu-north-1", "me", "test", java=str(self.java), limits=limits)
        return KclSource(config, preflight=lambda _: None, watchdog=asleep, release=self.release)

    def release(self, config: KclConfig) -> None:
        """Note how many daemons had been started when the lock was released."""
        self.released.append(self.starts if (self.folder / "starts").exists() else 0)

    @property
    def family(self) -> dict[int, str]:
        """The daemon and its child, running: pid to command line."""
        daemons = {pid: command for pid, command in descendants(os.getpid()).items() if str(self.java) in command}
        children = {pid: command for daemon in daemons for pid, command in descendants(daemon).items() if "child.py" in command}
        return daemons | children

    @property
    def starts(self) -> int:
        return len((self.folder / "starts").read_text().splitlines())

    @property
    def checkpoint(self) -> int:
        return int((self.folder / "checkpoint").read_text() or 0) if (self.folder / "checkpoint").exists() else 0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


class Worker:
    """Works records off; notes what it saw."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    async def __call__(self, record: Record) -> None:
        self.seen.add(record.data)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - it looks at another process
            await asyncio.sleep(0.005)


async def test_it_delivers_checkpoints_and_stops_in_order(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source, worker = shelf.source(), Worker()
    running = asyncio.create_task(source.run(worker))
    await eventually(lambda: shelf.checkpoint == 20)
    source.stop()
    source.stop()
    await running
    assert len(worker.seen) == 20
    assert shelf.starts == 1
    assert shelf.family == {}
    assert ("panoveil.streams.kcl.daemon", logging.WARNING, "FakeDaemon: started") in caplog.record_tuples


async def test_stop_finishes_what_runs(shelf: Shelf) -> None:
    source, gate, done = shelf.source(), asyncio.Event(), set[bytes]()

    async def work(record: Record) -> None:
        await gate.wait()
        done.add(record.data)
        if len(done) == 1:
            source.stop()

    running = asyncio.create_task(source.run(work))
    await eventually((shelf.folder / "starts").exists)
    gate.set()
    await running
    assert shelf.checkpoint == len(done) < 20


@pytest.mark.parametrize("victim", ["child.py", "/java"])
async def test_a_death_is_followed_by_a_start_and_nothing_is_lost(shelf: Shelf, victim: str) -> None:
    source, worker = shelf.source(), Worker()
    running = asyncio.create_task(source.run(worker))
    await eventually(lambda: shelf.checkpoint == 20)
    pids = [pid for pid, command in shelf.family.items() if victim in command]
    os.kill(pids[0], signal.SIGKILL)
    shelf.put(40)
    await eventually(lambda: shelf.checkpoint == 40)
    assert shelf.starts == 2
    assert shelf.released == [0, 1]
    assert len(worker.seen) == 40
    source.stop()
    await running


async def test_what_the_work_raises_stops_the_source(shelf: Shelf) -> None:
    async def work(record: Record) -> None:
        if record.data == b"record-7":
            raise Misconfigured("no bucket")

    with pytest.raises(Misconfigured):
        await shelf.source().run(work)
    assert shelf.checkpoint == 7
    assert shelf.family == {}


async def test_cancelling_leaves_nothing_behind(shelf: Shelf) -> None:
    running = asyncio.create_task(shelf.source().run(Worker()))
    await eventually(lambda: shelf.checkpoint > 0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert shelf.family == {}


async def test_a_daemon_that_will_not_end_is_ended(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "_SHUTDOWN_GRACE", 0.1)
    (shelf.folder / "stubborn").touch()
    source = shelf.source(dataclasses.replace(LIMITS, drain_seconds=0.2))
    running = asyncio.create_task(source.run(Worker()))
    await eventually((shelf.folder / "starts").exists)
    source.stop()
    await asyncio.wait_for(running, 60)
    assert shelf.family == {}


async def test_a_daemon_that_keeps_dying_is_started_less_and_less_often(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[int] = []

    async def pause(self: KclSource, failures: int) -> None:
        pauses.append(failures)
        if len(pauses) == 3:
            self.stop()

    monkeypatch.setattr(KclSource, "_pause", pause)
    (shelf.folder / "mute").touch()
    await shelf.source().run(Worker())
    assert pauses == [0, 1, 2]


async def test_it_waits_while_kinesis_does_not_answer(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "_LONGEST_PAUSE", 0.0)
    tries: list[KclConfig] = []

    def preflight(config: KclConfig) -> None:
        tries.append(config)
        if len(tries) < 3:
            raise Unavailable("kinesis")
        raise Misconfigured("no such stream")

    source = KclSource(KclConfig("app", "stream", "eu-north-1", "me", "test", java=str(shelf.java)), preflight)
    with pytest.raises(Misconfigured):
        await source.run(Worker())
    assert len(tries) == 3


async def test_a_stop_ends_that_wait(shelf: Shelf) -> None:
    def preflight(config: KclConfig) -> None:
        source.stop()
        raise Unavailable("kinesis")

    source = KclSource(KclConfig("app", "stream", "eu-north-1", "me", "test", java=str(shelf.java)), preflight)
    await asyncio.wait_for(source.run(Worker()), 60)
    assert not (shelf.folder / "starts").exists()
