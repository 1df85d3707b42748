"""What the services ask of the ledger: grouping, capture state, idempotency and the audit chain."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import Quality
from panoveil.ledger._chain import AuditEntry, AuditHead
from panoveil.ledger._quarantined import QuarantineEntry


class State(StrEnum):
    """Where a capture stands. Only the last four are ends."""

    RECEIVING = "receiving"
    READY = "ready"
    STITCHED = "stitched"
    PUBLISHED = "published"
    HELD = "held"
    QUARANTINED = "quarantined"
    ERASED = "erased"


ENDS = frozenset({State.PUBLISHED, State.HELD, State.QUARANTINED, State.ERASED})
UNFINISHED = (State.RECEIVING, State.READY, State.STITCHED)
"""In the order in which a capture passes through them."""
_FOR_GOOD = frozenset({State.PUBLISHED, State.ERASED})

MAY_FOLLOW: Mapping[State, frozenset[State]] = {
    State.RECEIVING: frozenset(),
    State.READY: frozenset({State.RECEIVING, State.QUARANTINED}),
    State.STITCHED: frozenset({State.RECEIVING, State.READY, State.QUARANTINED}),
    State.HELD: frozenset(State) - _FOR_GOOD,
    State.QUARANTINED: frozenset(State) - _FOR_GOOD,
    State.PUBLISHED: frozenset(State) - _FOR_GOOD,
    State.ERASED: frozenset(State) - {State.ERASED},
}
"""From which states a capture may move to a state (to any, where it has none). A late or repeated record never moves it
back. A quarantined capture moves on when it is worked on again; a held one when it is decided anew, not while that is
under way; a published one stays published until it is erased, and an erased one stays that."""

FAR_FUTURE = 9_999_999_999.0
"""Epoch seconds that no entry reaches."""

ANYWHERE = frozenset(State)
"""No further condition on a move."""


@dataclass(frozen=True, slots=True)
class SeenObject:
    """An object of a capture that an event announced; `size` in bytes."""

    name: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Grade:
    """How good a capture's panorama is, 0..1, None where nobody has looked, and what is alarming about its rig, a sentence or more."""

    score: float | None = None
    alarm: str = ""

    @classmethod
    def of(cls, quality: Quality) -> Self:
        """Take from what the stitcher measured what a person wants to see first."""
        return cls(quality.score, " ".join(quality.alarms))


UNGRADED = Grade()
"""Nobody has looked."""


@dataclass(frozen=True, slots=True)
class CaptureState:
    """A capture's state, the reason for it where it is an unhappy one, since when (epoch seconds), and its grade."""

    capture_id: CaptureId
    state: State
    reason: str = ""
    detail: str = ""
    since: float = 0.0
    grade: Grade = UNGRADED


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which of a capture's publications is the current one: the recipe it was made by.

    `previous` is the recipe that was current before, to roll back to; None where there is none, and after a roll back. `at` is when it
    came to be so, epoch seconds. `version` counts the changes, from 1.
    """

    capture_id: CaptureId
    recipe_id: str
    previous: str | None
    at: float
    version: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A stage's output for a capture: the message that it sent for a recipe, or whatever else it noted."""

    capture_id: CaptureId
    stage: str
    recipe_id: str
    message: bytes


class Ledger(Protocol):
    """The one memory all services share.

    Every method raises `Unavailable("dynamodb")` while the table does not answer.
    """

    async def saw(self, capture_id: CaptureId, seen: SeenObject) -> dict[str, SeenObject]:
        """Note an object (the same one again changes nothing) and return all objects seen of the capture, by name."""
        ...

    async def move(
        self,
        capture_id: CaptureId,
        state: State,
        reason: str = "",
        detail: str = "",
        *,
        after: frozenset[State] = ANYWHERE,
        grade: Grade = UNGRADED,
    ) -> None:
        """Set the capture's state and grade where `MAY_FOLLOW` and `after` both allow it, else change nothing; so it may be repeated."""
        ...

    async def state(self, capture_id: CaptureId) -> CaptureState | None:
        """Return the capture's state, or None where nothing was ever seen of it."""
        ...

    async def end_drive(self, drive_id: str) -> None:
        """Note that a drive was erased: from now on all its captures are, also those that nobody has seen yet. May be repeated."""
        ...

    async def drive_erased(self, drive_id: str) -> bool:
        """Say whether a whole drive was erased, as of now."""
        ...

    async def erased(self, capture_id: CaptureId) -> bool:
        """Say whether a capture, or its drive, was erased, as of now: then nobody may work on it."""
        ...

    async def finished(self, capture_id: CaptureId, stage: str, recipe_id: str) -> bytes | None:
        """Return the message that the stage sent for this recipe, or None where it has not finished."""
        ...

    async def finish(self, capture_id: CaptureId, stage: str, recipe_id: str, message: bytes) -> bytes:
        """Note that the stage's output is written; the first caller wins. Return the message to send: the winner's."""
        ...

    def messages(self, drive_id: str, stage: str, capture: str | None = None) -> AsyncIterator[Finished]:
        """Yield what a stage finished of a drive, or of one of its captures, ordered by capture and recipe, as of about a second ago."""
        ...

    async def current(self, capture_id: CaptureId) -> Pointer | None:
        """Return which publication is the current one, as of now; None where nothing was ever published."""
        ...

    async def point(self, capture_id: CaptureId, recipe_id: str, *, expected: Pointer | None, back: bool = False) -> bool:
        """Make a recipe's publication the current one where the pointer still is as `expected` (None: where there is none).

        False where somebody moved it, also where they moved it to and fro, so that whoever decides knows what was decided before.
        What was current becomes `previous`, but not of a pointer moved `back`: rolling back twice does not go forward again.
        """
        ...

    def pointers(self, drive_id: str) -> AsyncIterator[Pointer]:
        """Yield the pointers of a drive's captures, ordered by capture, as of about a second ago."""
        ...

    def drives(self) -> AsyncIterator[str]:
        """Yield every drive id (`survey/drive`), ordered; a drive that began within the last second may be absent."""
        ...

    def captures(self, drive_id: str) -> AsyncIterator[CaptureState]:
        """Yield the state of every capture of a drive, ordered by capture, as of about a second ago."""
        ...

    async def seen(self, capture_id: CaptureId) -> dict[str, SeenObject]:
        """Return all objects seen of the capture, by name, noting nothing."""
        ...

    def receiving(self, before: float) -> AsyncIterator[CaptureState]:
        """Yield the captures that have been receiving since before that time (epoch seconds), as of about a second ago.

        Costs what it yields, however many captures the ledger knows.
        """
        ...

    def unfinished(self, state: State) -> AsyncIterator[CaptureState]:
        """Yield the captures that are in one of the `UNFINISHED` states, as of about a second ago; costs what it yields."""
        ...

    async def receive_again(self, capture_id: CaptureId) -> None:
        """Let a quarantined capture be receiving, as if it began now; any other stays as it is."""
        ...

    async def keep(self, entry: QuarantineEntry) -> bool:
        """Write a quarantine entry that is new (version 1) or follows the version that is there; False where another was quicker."""
        ...

    async def kept(self, drive_id: str, name: str) -> QuarantineEntry | None:
        """Return a quarantine entry by its drive and its name there, as of now."""
        ...

    def quarantined(self, since: float = 0.0, until: float = FAR_FUTURE) -> AsyncIterator[QuarantineEntry]:
        """Yield the entries that are listed, put away last in [since, until], oldest first, as of about a second ago.

        Costs what it yields, however many were ever put away.
        """
        ...

    def quarantined_of(self, drive_id: str) -> AsyncIterator[QuarantineEntry]:
        """Yield every entry of a drive (`NO_DRIVE` for those of none), listed or not, ordered by capture, as of about a second ago."""
        ...

    async def audit(self, drive_id: str, body: Mapping[str, object], once: str = "") -> AuditEntry:
        """Append to the drive's hash chain; where `once` was appended before, change nothing and return the entry of then.

        `once` names what happened, at most 700 ASCII characters; without it every call appends.
        """
        ...

    async def audit_head(self, drive_id: str) -> AuditHead | None:
        """Return the end of the drive's chain as it is noted beside the chain, None where nothing was ever appended."""
        ...

    def audit_chain(self, drive_id: str) -> AsyncIterator[AuditEntry]:
        """Yield the drive's chain from its first entry."""
        ...
