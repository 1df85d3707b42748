"""The agent's journal: one SQLite file that survives the power going at any moment."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from panoveil.contracts.errors import Misconfigured
from services.agent.captures import Entry
from services.agent.events import JournalLost, Listener

JOURNAL_NAME = ".panoveil-agent.sqlite3"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    destination TEXT NOT NULL,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    etag TEXT NOT NULL,
    at TEXT NOT NULL,
    announced INTEGER NOT NULL,
    PRIMARY KEY (destination, key)
) WITHOUT ROWID
"""


class SqliteJournal:
    """What one agent has uploaded to one destination. It is the file's only user while it is open."""

    def __init__(self, path: Path, destination: str) -> None:
        """`destination` tells apart uploads of the same drive to different places. Raise sqlite3.Error where it cannot be used."""
        self._path = path
        self._destination = destination
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.Error:
            self._database.close()
            raise

    def _prepare(self) -> None:
        # Exclusive before WAL: then WAL needs no shared memory, which disks in cars do not always offer.
        for statement in ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", _SCHEMA):
            self._database.execute(statement)
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("COMMIT")
        _sync_folder(self._path.parent)
        if self._database.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("quick_check found damage")

    def entries(self) -> dict[str, Entry]:
        """See `Journal`."""
        with self._working():
            rows = self._database.execute(
                "SELECT key, size, modified, etag, at, announced FROM objects WHERE destination = ?", (self._destination,)
            ).fetchall()
        return {row[0]: Entry(row[0], row[1], row[2], row[3], datetime.fromisoformat(row[4]), bool(row[5])) for row in rows}

    def put(self, entry: Entry) -> None:
        """See `Journal`."""
        row = (self._destination, entry.key, entry.size, entry.modified, entry.etag, entry.at.isoformat(), entry.announced)
        with self._working():
            self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def announced(self, entries: Sequence[Entry]) -> None:
        """See `Journal`. An object uploaded anew meanwhile is left to be announced."""
        rows = [(self._destination, entry.key, entry.at.isoformat()) for entry in entries]
        with self._working():
            self._database.executemany("UPDATE objects SET announced = 1 WHERE destination = ? AND key = ? AND at = ?", rows)

    def forget(self) -> None:
        """Forget what was uploaded to this destination, but for when: all is uploaded again, and announced as the later."""
        with self._working():
            self._database.execute("UPDATE objects SET size = -1, announced = 0 WHERE destination = ?", (self._destination,))

    def close(self) -> None:
        """Let go of the file, after what a thread is still writing."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """One transaction, on the disk when the block ends; `Misconfigured` where the disk takes no more."""
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise Misconfigured(f"{self._path} cannot be written to ({error}): make room on the disk") from error


@contextmanager
def open_journal(path: Path, destination: str, on_event: Listener) -> Iterator[SqliteJournal]:
    """Open the journal for as long as the block runs; a damaged one is put aside and begun anew.

    `Misconfigured` where another agent holds it, or the disk cannot be written to.
    """
    try:
        journal = SqliteJournal(path, destination)
    except sqlite3.OperationalError as error:
        busy = "locked" in str(error)
        mend = "another agent is uploading this drive" if busy else "name a place that can be written to with --journal"
        raise Misconfigured(f"{path} cannot be opened ({error}): {mend}") from error
    except sqlite3.DatabaseError:
        on_event(JournalLost(str(_put_aside(path))))
        journal = SqliteJournal(path, destination)
    try:
        yield journal
    finally:
        journal.close()


def _sync_folder(folder: Path) -> None:
    """Have the disk know the file's name: its content alone would be found by nobody after a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems of cards sync no folders
            os.fsync(opened)
    finally:
        os.close(opened)


def _put_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    for companion in ("-wal", "-shm"):
        path.with_name(path.name + companion).unlink(missing_ok=True)
    return aside
