"""The power goes: at any moment of a run, with any part of what was being written on the disk, and in a process that is killed."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.agent.adapters import SqliteJournal
from services.agent.app import upload_drive
from services.agent.captures import Entry
from tests.unit.services.agent.conftest import LENSES, Car, Off, add_capture

NAMES = ("c1", "c2", "c3")
ALL = {f"dk/d1/{name}/{file}" for name in NAMES for file in [*(f"{lens}.jpg" for lens in LENSES), "capture.json"]}
STEPS_OF_A_DRIVE = 60
PARALLEL = 4


@dataclass
class Disk:
    """What would be on the disk if the power went: the journal as each commit left it, synced, and what it held then."""

    path: Path
    states: list[tuple[bytes, bytes, dict[str, Entry]]] = field(default_factory=list)

    def note(self, entries: dict[str, Entry]) -> None:
        """Remember the files as they are now."""
        log = self.path.with_name(self.path.name + "-wal")
        self.states.append((self.path.read_bytes(), log.read_bytes(), entries))

    def cut(self, path: Path, kept: float, junk: int) -> dict[str, Entry]:
        """Write the files as a cut in the next commit leaves them, that much of it on the disk, and return what was synced before."""
        before = self.states[-2] if len(self.states) > 1 else self.states[-1]
        after = self.states[-1]
        path.write_bytes(before[0])
        added = after[1][len(before[1]) :] if after[1].startswith(before[1]) else b""
        there = added[: int(kept * len(added))]
        path.with_name(path.name + "-wal").write_bytes(before[1] + there + Random(junk).randbytes(junk))
        return before[2]


def _watch(patch: pytest.MonkeyPatch, noted: Disk) -> None:
    """Note every commit; a lock, for commits come from threads, and from some even after the run has ended."""
    lock = threading.Lock()

    def watched(name: str) -> Callable[..., None]:
        do: Callable[..., None] = getattr(SqliteJournal, name)

        def locked(self: SqliteJournal, *values: object) -> None:
            with lock:
                do(self, *values)
                if name != "close" and self._path == noted.path:
                    noted.note(dict(self.entries()))

        return locked

    for name in ("put", "announced", "close"):
        patch.setattr(SqliteJournal, name, watched(name))


@settings(max_examples=60)
@given(step=st.integers(2, STEPS_OF_A_DRIVE), kept=st.floats(0, 1), junk=st.sampled_from([0, 1, 24, 4096]))
async def test_whatever_of_the_last_write_is_on_the_disk_nothing_is_lost_or_sent_twice(step: int, kept: float, junk: int) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        root, car = Path(name), Car(off_after=step)
        for minute, capture in enumerate(NAMES):
            add_capture(root / "drive", capture, minute=minute)
        noted = Disk(root / "j")
        _watch(patch, noted)
        with contextlib.suppress(Off):
            await upload_drive(root / "drive", car.ports(), car.events.append, journal=noted.path)
        synced = noted.cut(root / "cut", kept, junk) if noted.states else {}
        known = _read(root / "cut", root / "copy") if noted.states else {}
        assert synced.keys() <= known.keys(), "what was synced is lost"
        assert all(known[key].announced for key, entry in synced.items() if entry.announced)
        stored = car.stored()
        await _resume(car, root / "drive", root / "cut", known)
        again = stored & {key for what, key in car.log if what == "put"}
        assert len(again) <= PARALLEL + 1, "more went again than was on its way, and the one whose note was being written"


@settings(max_examples=60)
@given(file=st.sampled_from(["", "-wal"]), cut=st.integers(0, 60_000))
async def test_a_journal_cut_off_at_any_byte_sends_nothing_again_that_it_still_knows(file: str, cut: int) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        root, car = Path(name), Car()
        for minute, capture in enumerate(NAMES):
            add_capture(root / "drive", capture, minute=minute)
        noted = Disk(root / "j")
        _watch(patch, noted)
        await upload_drive(root / "drive", car.ports(), car.events.append, journal=noted.path)
        noted.cut(root / "cut", 1, 0)
        victim = root / f"cut{file}"
        victim.write_bytes(victim.read_bytes()[:cut])
        await _resume(car, root / "drive", root / "cut", _read(root / "cut", root / "copy"))


def _read(path: Path, copy: Path) -> dict[str, Entry]:
    """What the journal still knows, read from a copy; nothing where it is damaged."""
    for companion in ("", "-wal"):
        shutil.copy(f"{path}{companion}", f"{copy}{companion}")
    with contextlib.suppress(Exception):
        journal = SqliteJournal(copy, "test")
        try:
            return dict(journal.entries())
        finally:
            journal.close()
    return {}


async def _resume(car: Car, drive: Path, journal: Path, known: dict[str, Entry]) -> None:
    """Start again from `journal`: everything ends announced, nothing that it `known` again, nothing that is not there."""
    assert set(car.announced()) <= car.stored(), "an object was announced that is not there"
    car.off_after = None
    car.log.clear()
    await upload_drive(drive, car.ports(), car.events.append, journal=journal)
    put = {key for what, key in car.log if what == "put"}
    announced = {key for what, key in car.log if what == "event"}
    assert not put & known.keys()
    assert not announced & {key for key, entry in known.items() if entry.announced}
    assert car.stored() == set(car.announced()) == ALL


# It kills itself at a step of a run, be it in S3, in Kinesis or in the journal; what the servers had by then lies in files.
MORTAL = """
import asyncio, json, os, signal, sys
from pathlib import Path
from services.agent import app
from services.agent.adapters import SqliteJournal
from services.agent.handler import Ports
from panoveil.blobs import MemoryBlobs

drive, world, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
steps = 0

def step():
    global steps
    steps += 1
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)

def note(what, key):
    with world.open("a") as file:
        file.write(json.dumps([what, key]) + "\\n")

class Store(MemoryBlobs):
    async def put(self, ref, data, content_type="", *, sha256=None):
        step()
        stored = await super().put(ref, data, content_type, sha256=sha256)
        note("put", ref.key)
        step()
        return stored

class Sink:
    async def send(self, stream, records):
        step()
        for record in records:
            note("event", json.loads(record.data)["Records"][0]["s3"]["object"]["key"])
            step()

for name in ("put", "announced"):
    def mortal(self, value, _write=getattr(SqliteJournal, name), _name=name):
        step()
        _write(self, value)
        for entry in [value] if _name == "put" else value:
            note("noted" if _name == "put" else "done", entry.key)
        step()
    setattr(SqliteJournal, name, mortal)

asyncio.run(app.upload_drive(drive, Ports(Store(), Sink(), "raw", "test"), lambda event: None))
"""


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_seeded_moments_it_sends_nothing_again_that_it_had_noted(tmp_path: Path, seed: int) -> None:
    drive, world, random = tmp_path / "drive", tmp_path / "world", Random(seed)
    for minute, capture in enumerate(NAMES):
        add_capture(drive, capture, minute=minute)
    kills = 0
    while _run(drive, world, random.randint(3, 40)) == -9:
        kills += 1
        assert kills < 30, "it does not get on"
        assert _events(world, "event").keys() <= _events(world, "put").keys()
    assert kills >= 2
    assert _events(world, "event").keys() == _events(world, "put").keys() == ALL
    log = [json.loads(line) for line in world.read_text().splitlines()]
    for noted, again in (("noted", "put"), ("done", "event")):
        known: set[str] = set()
        for what, key in log:
            assert not (what == again and key in known), f"{key} was noted, and sent again"
            known |= {key} if what == noted else set()


def _run(drive: Path, world: Path, last: int) -> int:
    command = [sys.executable, "-c", MORTAL, str(drive), str(world), str(last)]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


def _events(world: Path, what: str) -> Counter[str]:
    lines = world.read_text().splitlines() if world.exists() else []
    return Counter(key for kind, key in map(json.loads, lines) if kind == what)
