"""What lies in quarantine, as the ledger knows it, and what was done about it."""

from dataclasses import dataclass
from enum import StrEnum

from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId


class Fate(StrEnum):
    """What became of an entry. The first two are listed; the last two stay as evidence."""

    WAITING = "waiting"
    REDRIVEN = "redriven"
    SETTLED = "settled"
    DROPPED = "dropped"


LISTED = frozenset({Fate.WAITING, Fate.REDRIVEN})
"""Fates of entries that somebody may still have to see to."""


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One record, or one capture that never became whole, that a service could not work on.

    The same record has the same `entry_id`, however often it is delivered, redriven and put away again: `times` counts that,
    `attempts` the handler's tries of the last time. `first` and `since` are when it was put away first and last, epoch seconds.
    `record` is the key of what was put away in the quarantine bucket, "" where there is no record. `version` grows with every change.
    """

    entry_id: str
    service: str
    partition_key: str
    reason: str
    detail: str
    since: float
    first: float
    record: str = ""
    attempts: int = 1
    times: int = 1
    fate: Fate = Fate.WAITING
    redrives: int = 0
    decided_at: float = 0.0
    decided_by: str = ""
    because: str = ""
    version: int = 1

    @property
    def capture_id(self) -> CaptureId | None:
        """The capture it belongs to, None where its partition key names none."""
        try:
            return CaptureId.parse(self.partition_key)
        except Rejected:
            return None

    @property
    def drive_id(self) -> str:
        """`survey/drive`, or `NO_DRIVE`."""
        return self.capture_id.drive_id if self.capture_id else NO_DRIVE

    @property
    def name(self) -> str:
        """`<capture>/<entry id>`: its name among the entries of its drive."""
        return f"{self.capture_id.capture if self.capture_id else NO_DRIVE}/{self.entry_id}"

    @property
    def listed(self) -> bool:
        """Whether somebody may still have to see to it."""
        return self.fate in LISTED


NO_DRIVE = "-"
"""Where entries are kept whose partition key names no capture."""
