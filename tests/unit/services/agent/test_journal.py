"""The journal keeps what it was told, whatever happens to the process."""

import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from panoveil.contracts.errors import Misconfigured
from services.agent.adapters import SqliteJournal, open_journal
from services.agent.captures import Entry
from services.agent.events import Event, JournalLost

AT = datetime(2026, 5, 11, 8, 14, 3, 412345, tzinfo=UTC)
FRONT = Entry("dk/d1/c1/front.jpg", 7, 1234567890123456789, "abc", AT)


def _reopened(path: Path, destination: str = "here") -> dict[str, Entry]:
    journal = SqliteJournal(path, destination)
    entries = journal.entries()
    journal.close()
    return entries


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = SqliteJournal(path, "here")
    journal.put(FRONT)
    journal.close()
    assert _reopened(path) == {FRONT.key: FRONT}
    assert _reopened(path, "elsewhere") == {}


def test_an_announced_entry_stays_so(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "here")
    journal.put(FRONT)
    journal.announced([FRONT])
    journal.close()
    assert _reopened(tmp_path / "j")[FRONT.key].announced


def test_announcing_an_older_upload_does_not_hide_the_newer(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "here")
    newer = Entry(FRONT.key, 8, 1, "def", AT.replace(year=2027))
    journal.put(FRONT)
    journal.put(newer)
    journal.announced([FRONT])
    assert journal.entries() == {FRONT.key: newer}
    journal.close()


def test_every_write_is_synced_to_the_disk(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "here")
    full, wal = (journal._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode"))
    journal.close()
    assert (full, wal) == (2, "wal")


def test_what_a_killed_process_wrote_is_there(tmp_path: Path) -> None:
    path = tmp_path / "j"
    program = (
        "import os, sys; from datetime import *; from pathlib import Path\n"
        "from services.agent.adapters import SqliteJournal; from services.agent.captures import Entry\n"
        f"entry = Entry({FRONT.key!r}, 7, 0, 'abc', datetime.now(UTC)); journal = SqliteJournal(Path(sys.argv[1]), 'here')\n"
        "journal.put(entry); journal.announced([entry]); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == -9
    assert _reopened(path)[FRONT.key].announced


@pytest.mark.parametrize("cut", [0, 1, 100, 4096, 5000])
def test_a_torn_write_ahead_log_loses_at_most_its_end(tmp_path: Path, cut: int) -> None:
    path, copy = tmp_path / "j", tmp_path / "copy"
    journal = SqliteJournal(path, "here")
    for number in range(20):
        journal.put(Entry(f"k{number:02}", number, 0, "", AT))
    shutil.copy(path, copy)
    log = (tmp_path / "j-wal").read_bytes()
    (tmp_path / "copy-wal").write_bytes(log[: len(log) - cut])
    journal.close()
    kept = sorted(_reopened(copy))
    assert kept == [f"k{number:02}" for number in range(len(kept))]
    assert len(kept) >= 18


@pytest.mark.parametrize("garbage", [b"not a database, but longer than the header of one" * 100, bytes(4096)])
def test_a_damaged_journal_is_kept_and_begun_anew(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(garbage)
    events: list[Event] = []
    with open_journal(path, "here", events.append) as journal:
        journal.put(FRONT)
    assert events == [JournalLost(f"{path}.damaged")]
    assert Path(f"{path}.damaged").read_bytes() == garbage
    assert _reopened(path) == {FRONT.key: FRONT}


def test_damage_in_the_middle_is_found(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = SqliteJournal(path, "here")
    for number in range(2000):
        journal.put(Entry(f"k{number:05}", number, 0, "e" * 32, AT))
    journal.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    with pytest.raises(sqlite3.DatabaseError):
        SqliteJournal(path, "here")


def test_a_full_disk_stops_with_a_sentence_and_keeps_what_was_written(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j", "here")
    journal.put(FRONT)
    journal._database.execute("PRAGMA max_page_count = 3")

    def fill_up() -> None:
        for number in range(1000):
            journal.put(Entry(f"k{number:04}", 0, 0, "e" * 100, AT))

    with pytest.raises(Misconfigured, match="make room"):
        fill_up()
    assert FRONT.key in journal.entries()
    journal.close()
    assert FRONT.key in _reopened(tmp_path / "j")
