"""Which entries are meant, and which of them still matter."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from panoveil import quarantine
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import CaptureId
from panoveil.ledger import FAR_FUTURE, NO_DRIVE, CaptureState, Fate, Ledger, QuarantineEntry, State

_AGO = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_GOOD_ENDS = frozenset({State.PUBLISHED, State.HELD, State.ERASED})


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say. `names` are entry ids or capture ids, times epoch seconds; `decided` asks for those that are done with too."""

    names: tuple[str, ...] = ()
    reason: str | None = None
    service: str | None = None
    drive: str | None = None
    survey: str | None = None
    since: float = 0.0
    until: float = FAR_FUTURE
    decided: bool = False

    @property
    def everything(self) -> bool:
        """Whether nothing narrows it down."""
        return replace(self, decided=False) == Wish()

    def means(self, entry: QuarantineEntry) -> bool:
        """Say whether the entry is meant."""
        return (
            (not self.names or entry.entry_id in self.names or entry.partition_key in self.names)
            and self.reason in {None, entry.reason}
            and self.service in {None, entry.service}
            and self.drive in {None, entry.drive_id}
            and self.survey in {None, entry.drive_id.split("/")[0]}
            and self.since <= entry.since <= self.until
        )


@dataclass(frozen=True, slots=True)
class Found:
    """An entry, and how its capture stands now; None where it has no capture."""

    entry: QuarantineEntry
    capture: CaptureState | None


def parse_time(text: str | None, now: datetime) -> float | None:
    """Read `2h`, `3d` (so long ago; s, m, h, d, w) or an ISO date or time (UTC where it says no zone) as epoch seconds."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).timestamp()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(f"{text!r} is no time: write 30m, 12h, 3d, or 2026-06-01T12:00.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


async def find(wish: Wish, ledger: Ledger) -> AsyncIterator[Found]:
    """Yield the entries that are meant. Those whose captures came to a good end leave the list, unless decided ones are asked for."""
    states = _States(ledger)
    async for entry in _candidates(wish, ledger):
        if wish.means(entry):
            found = Found(entry, await states.of(entry))
            if _settles(found):
                found = Found(await _settle(entry, ledger), found.capture)
            if wish.decided or found.entry.listed:
                yield found


async def _candidates(wish: Wish, ledger: Ledger) -> AsyncIterator[QuarantineEntry]:
    if not wish.decided:
        async for entry in ledger.quarantined(wish.since, wish.until):
            yield entry
        return
    for drive in await _drives(wish, ledger):
        async for entry in ledger.quarantined_of(drive):
            yield entry


async def _drives(wish: Wish, ledger: Ledger) -> list[str]:
    """Return the drives of which everything must be read; names of captures say which."""
    if wish.drive:
        return [wish.drive]
    if wish.names and all(name.count("/") == 2 for name in wish.names):  # noqa: PLR2004 - survey/drive/capture
        return sorted({CaptureId.parse(name).drive_id for name in wish.names})
    return [NO_DRIVE, *[drive async for drive in ledger.drives()]]


class _States:
    """States of captures, read a drive at a time: one query for all of a drive's entries."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, dict[CaptureId, CaptureState]] = {}

    async def of(self, entry: QuarantineEntry) -> CaptureState | None:
        if entry.capture_id is None:
            return None
        if entry.drive_id not in self._known:
            self._known[entry.drive_id] = {state.capture_id: state async for state in self._ledger.captures(entry.drive_id)}
        return self._known[entry.drive_id].get(entry.capture_id)


def _settles(found: Found) -> bool:
    """Say whether the capture came to a good end after the entry: a published one stays so, whatever fails later."""
    entry, capture = found.entry, found.capture
    if not entry.listed or capture is None or capture.state not in _GOOD_ENDS:
        return False
    return entry.fate is Fate.REDRIVEN or capture.since > entry.since


async def _settle(entry: QuarantineEntry, ledger: Ledger) -> QuarantineEntry:
    def unless_put_away_meanwhile(now: QuarantineEntry) -> QuarantineEntry:
        return quarantine.settled(now) if now.times == entry.times else now

    return await quarantine.change(ledger, entry, unless_put_away_meanwhile)
