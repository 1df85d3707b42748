"""What the ledger says, as metrics: one process reads it at a bounded cost and serves it for all.

Unfinished captures and quarantine entries are looked at as they are now: the ledger's sparse index costs what it yields. Captures are
counted drive by drive: those drives that are new, those in which something moves, and in each round the one that was read longest ago,
so that what was decided anew in an old drive is seen too. Reading is paced, so a large survey costs no more, it is only
known later. Each round also holds one drive's publications against its audit chain.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from panoveil import telemetry
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.reasons import Reason
from panoveil.ledger import UNFINISHED, AuditEntry, Ledger, State

_LOG = logging.getLogger(__name__)
_REASONS = frozenset(Reason)
_WORKING, _ENDED = "working", "ended"

Kind = tuple[State, str]


@dataclass(slots=True)
class Known:
    """What was read of a drive: its captures by state and reason, when (epoch seconds), and what its audit chain lacks."""

    captures: Counter[Kind] = field(default_factory=Counter)
    read_at: float = 0.0
    audited_at: float = 0.0
    audited: int = 0
    unverified: int = 0


@dataclass
class Survey:
    """All drives, as far as they are known by now."""

    ledger: Ledger
    clock: Callable[[], float] = time.time
    drives: dict[str, Known] = field(default_factory=dict)
    moving: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    kinds: set[Kind] = field(default_factory=lambda: {(state, "") for state in State})

    async def look(self) -> int:
        """Set the figures of what has been unfinished for long and of what waits in quarantine; return how many items were read."""
        moving: set[str] = set()
        looked = 0
        for state in UNFINISHED:
            found = [(one.since, one.capture_id.drive_id) async for one in self.ledger.unfinished(state)]
            oldest = min((since for since, _ in found), default=None)
            age = 0.0 if oldest is None else max(0.0, self.clock() - oldest)
            telemetry.LEDGER_OLDEST_SECONDS.labels(state).set(age)
            moving |= {drive_id for _, drive_id in found}
            looked += len(found)
        self.moved |= self.moving | moving
        self.moving = moving
        looked += await self._look_at_quarantine()
        self._tell()
        return looked

    async def _look_at_quarantine(self) -> int:
        counts = Counter([entry.reason async for entry in self.ledger.quarantined()])
        for reason in Reason:
            telemetry.LEDGER_QUARANTINE.labels(reason).set(counts[reason])
        return counts.total()

    async def due(self) -> list[str]:
        """Return the drives to read now: those that are new or in which something moved, then the one read longest ago."""
        async for drive_id in self.ledger.drives():
            self.drives.setdefault(drive_id, Known())
        wanted = {drive_id for drive_id, known in self.drives.items() if not known.read_at} | (self.moved & self.drives.keys())
        self.moved = set(self.moving)
        longest = min(self.drives, key=lambda drive_id: self.drives[drive_id].read_at, default=None)
        return [*sorted(wanted), *([longest] if longest is not None and longest not in wanted else [])]

    async def read(self, drive_id: str) -> int:
        """Count a drive's captures; return how many were read."""
        known, captures = self.drives[drive_id], Counter[Kind]()
        async for one in self.ledger.captures(drive_id):
            captures[one.state, one.reason if one.reason in _REASONS else ""] += 1
        known.captures, known.read_at = captures, self.clock()
        self._tell()
        return captures.total()

    async def audit(self) -> int:
        """Hold the publications of the drive for which that was done longest ago against its chain; return how much was read."""
        drive_id = min(self.drives, key=lambda drive_id: self.drives[drive_id].audited_at, default=None)
        if drive_id is None:
            return 0
        # The states first: a publication is audited before it is one.
        published = {str(one.capture_id) async for one in self.ledger.captures(drive_id) if one.state is State.PUBLISHED}
        verified, entries = set[str](), 0
        async for entry in self.ledger.audit_chain(drive_id):
            entries += 1
            verified |= verified_by(entry)
        known = self.drives[drive_id]
        known.audited, known.unverified = len(published), len(published - verified)
        known.audited_at = self.clock()
        self._tell()
        return len(published) + entries

    def _tell(self) -> None:
        telemetry.LEDGER_AUDITED.set(sum(known.audited for known in self.drives.values()))
        telemetry.LEDGER_UNVERIFIED.set(sum(known.unverified for known in self.drives.values()))
        telemetry.LEDGER_DRIVES.labels(_WORKING).set(len(self.moving))
        telemetry.LEDGER_DRIVES.labels(_ENDED).set(len(self.drives.keys() - self.moving))
        captures = sum((known.captures for known in self.drives.values()), Counter[Kind]())
        self.kinds |= captures.keys()
        for state, reason in self.kinds:
            telemetry.LEDGER_CAPTURES.labels(state, reason).set(captures[state, reason])
        telemetry.LEDGER_READ.set(self.clock())


def verified_by(entry: AuditEntry) -> set[str]:
    """Return the capture that was published after a verification that found nothing, where the entry says so."""
    verification = entry.body.get("verification")
    if entry.body.get("kind") != "publication" or not isinstance(verification, dict):
        return set()
    clean = verification.get("rounds", 0) > 0 and not verification.get("findings")
    return {str(entry.body.get("capture_id"))} if clean else set()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks, and how many items of the ledger to read a second at most on average."""

    every: float = 15.0
    items_per_second: float = 1000.0


async def watch(survey: Survey, pace: Pace) -> None:
    """Keep the figures up to date until cancelled; what does not answer is waited for."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_for_ever(lambda: _look(survey, pace), pace.every))
        group.create_task(_for_ever(lambda: _round(survey, pace), pace.every))


async def _look(survey: Survey, pace: Pace) -> None:
    await asyncio.sleep(await survey.look() / pace.items_per_second)


async def _round(survey: Survey, pace: Pace) -> None:
    for drive_id in await survey.due():
        await asyncio.sleep(await survey.read(drive_id) / pace.items_per_second)
    await asyncio.sleep(await survey.audit() / pace.items_per_second)


async def _for_ever(work: Callable[[], Awaitable[None]], every: float) -> None:
    while True:
        try:
            await work()
        except Unavailable as error:
            _LOG.warning("waiting for %s", error)
        await asyncio.sleep(every)
