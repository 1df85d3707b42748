"""What is held, as the ledger and the audit chains tell it: why, what was left, and what people decided about it since.

What was left is numbered within its capture, from its first hold on through all its holds, so a number never comes to mean something else:
a decision that is given again is about what it was about.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from panoveil.contracts.audit import Hold, HoldDecision
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import PanoramaBox
from panoveil.contracts.reasons import Reason
from panoveil.ledger import AuditEntry, CaptureState, Ledger, State

_ENTRY: TypeAdapter[Hold | HoldDecision] = TypeAdapter(Hold | HoldDecision)
_KINDS = frozenset({"hold", "review"})


@dataclass(frozen=True, slots=True)
class Find:
    """Something that was still found in the last round, and its number within its capture."""

    number: int
    box: PanoramaBox


@dataclass(frozen=True, slots=True)
class Case:
    """A capture that is or was held: how it stands, its holds and what was decided about them, each oldest first."""

    capture: CaptureState
    holds: tuple[Hold, ...]
    decisions: tuple[HoldDecision, ...] = ()

    @property
    def held(self) -> bool:
        """Whether it waits for a person now."""
        return self.capture.state is State.HELD

    @property
    def hold(self) -> Hold:
        """The last one."""
        return self.holds[-1]

    @property
    def origin(self) -> Hold:
        """The last one before anybody accepted anything; those after it are what was left in spite of that."""
        return next(hold for hold in reversed(self.holds) if not _accepts(hold) or hold is self.holds[0])

    @property
    def decision(self) -> HoldDecision | None:
        """What was decided last about the last hold, None where nothing was."""
        return next((one for one in reversed(self.decisions) if one.held == self.hold.recipe_id), None)

    def finds(self, hold: Hold) -> tuple[Find, ...]:
        """Return what a hold left, numbered."""
        before = sum(len(one.left) for one in self.holds[: self.holds.index(hold)])
        return tuple(Find(number, box) for number, box in enumerate(hold.left, before + 1))


def _accepts(hold: Hold) -> bool:
    return hold.recipe.review is not None and bool(hold.recipe.review.accept)


async def find(capture_id: CaptureId, ledger: Ledger) -> Case:
    """Return a capture's case; `Misconfigured` where it is unknown or was never held, `Rejected(ERASED)` where it was erased."""
    if await ledger.erased(capture_id):
        raise Rejected(Reason.ERASED, f"{capture_id} was erased: nothing of it is looked at or released any more")
    state = await ledger.state(capture_id)
    if state is None:
        raise Misconfigured(f"No capture {capture_id} is in the ledger; `panoveil holds list` lists those that are held.")
    told = (await _told(capture_id.drive_id, ledger)).get(str(capture_id), [])
    if (case := _case(state, told)) is None:
        how = "held, but its audit chain does not say why" if state.state is State.HELD else f"not held: it is {state.state}"
        raise Misconfigured(f"{capture_id} is {how}.")
    return case


async def captures(drive: str | None, ledger: Ledger, *, every: bool = False) -> AsyncIterator[tuple[CaptureState, Case | None]]:
    """Yield what is held now of a drive, or of all, and its case, None where its chain does not tell; `every`: what once was held too.

    The chain of a drive is read where something of it is held, with `every` in any case.
    """
    for drive_id in [drive] if drive else [name async for name in ledger.drives()]:
        states = [state async for state in ledger.captures(drive_id) if _matters(state, every=every)]
        told = await _told(drive_id, ledger) if states else {}
        for state in states:
            case = _case(state, told.get(str(state.capture_id), []))
            if case is not None or state.state is State.HELD:
                yield state, case


def _matters(state: CaptureState, *, every: bool) -> bool:
    return state.state is State.HELD or (every and state.state is not State.ERASED)


async def _told(drive_id: str, ledger: Ledger) -> dict[str, list[Hold | HoldDecision]]:
    """Return what a drive's chain says about holds, by capture."""
    told: dict[str, list[Hold | HoldDecision]] = {}
    async for entry in ledger.audit_chain(drive_id):
        if entry.body.get("kind") in _KINDS and (parsed := _parsed(entry)) is not None:
            told.setdefault(parsed.capture_id, []).append(parsed)
    return told


def _case(state: CaptureState, told: Iterable[Hold | HoldDecision]) -> Case | None:
    entries = list(told)
    holds = tuple(entry for entry in entries if isinstance(entry, Hold))
    return Case(state, holds, tuple(entry for entry in entries if isinstance(entry, HoldDecision))) if holds else None


def _parsed(entry: AuditEntry) -> Hold | HoldDecision | None:
    """Return an entry, None where another version wrote it in a form that is not known here."""
    try:
        return _ENTRY.validate_python(dict(entry.body))
    except ValidationError:
        return None
