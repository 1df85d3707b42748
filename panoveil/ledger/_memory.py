"""The ledger in memory: same behaviour as DynamoDB, for tests and for trying things."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import CaptureId
from panoveil.ledger._chain import AuditEntry, AuditHead, link
from panoveil.ledger._port import (
    ANYWHERE,
    FAR_FUTURE,
    MAY_FOLLOW,
    UNFINISHED,
    UNGRADED,
    CaptureState,
    Finished,
    Grade,
    Pointer,
    SeenObject,
    State,
)
from panoveil.ledger._quarantined import QuarantineEntry


class MemoryLedger:
    """Keeps everything in dictionaries; while `down` is true it answers as a table that cannot be reached."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives epoch seconds."""
        self._clock = clock
        self._objects: dict[CaptureId, dict[str, SeenObject]] = {}
        self._states: dict[CaptureId, CaptureState] = {}
        self._finished: dict[tuple[CaptureId, str, str], bytes] = {}
        self._pointers: dict[CaptureId, Pointer] = {}
        self._chains: dict[str, list[AuditEntry]] = {}
        self._audited: dict[tuple[str, str], AuditEntry] = {}
        self._entries: dict[tuple[str, str], QuarantineEntry] = {}
        self._ended: set[str] = set()
        self.down = False

    async def saw(self, capture_id: CaptureId, seen: SeenObject) -> dict[str, SeenObject]:
        """See `Ledger`."""
        self._answer()
        self._objects.setdefault(capture_id, {})[seen.name] = seen
        self._move(CaptureState(capture_id, State.RECEIVING))
        return dict(sorted(self._objects[capture_id].items()))

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
        """See `Ledger`."""
        self._answer()
        self._move(CaptureState(capture_id, state, reason, detail, grade=grade), after)

    async def state(self, capture_id: CaptureId) -> CaptureState | None:
        """See `Ledger`."""
        self._answer()
        return self._states.get(capture_id)

    async def end_drive(self, drive_id: str) -> None:
        """See `Ledger`."""
        self._answer()
        self._ended.add(drive_id)

    async def drive_erased(self, drive_id: str) -> bool:
        """See `Ledger`."""
        self._answer()
        return drive_id in self._ended

    async def erased(self, capture_id: CaptureId) -> bool:
        """See `Ledger`."""
        there = self._states.get(capture_id)
        return await self.drive_erased(capture_id.drive_id) or (there is not None and there.state is State.ERASED)

    async def finished(self, capture_id: CaptureId, stage: str, recipe_id: str) -> bytes | None:
        """See `Ledger`."""
        self._answer()
        return self._finished.get((capture_id, stage, recipe_id))

    async def finish(self, capture_id: CaptureId, stage: str, recipe_id: str, message: bytes) -> bytes:
        """See `Ledger`."""
        self._answer()
        return self._finished.setdefault((capture_id, stage, recipe_id), message)

    async def messages(self, drive_id: str, stage: str, capture: str | None = None) -> AsyncIterator[Finished]:
        """See `Ledger`."""
        self._answer()
        found = [Finished(*key, message) for key, message in self._finished.items() if key[1] == stage]
        for one in sorted(found, key=lambda one: (one.capture_id.capture, one.recipe_id)):
            if one.capture_id.drive_id == drive_id and capture in {None, one.capture_id.capture}:
                yield one

    async def current(self, capture_id: CaptureId) -> Pointer | None:
        """See `Ledger`."""
        self._answer()
        return self._pointers.get(capture_id)

    async def point(self, capture_id: CaptureId, recipe_id: str, *, expected: Pointer | None, back: bool = False) -> bool:
        """See `Ledger`."""
        self._answer()
        there = self._pointers.get(capture_id)
        if (there and there.version) != (expected and expected.version):
            return False
        previous = None if there is None or back else there.recipe_id
        version = there.version + 1 if there else 1
        self._pointers[capture_id] = Pointer(capture_id, recipe_id, previous, self._clock(), version)
        return True

    async def pointers(self, drive_id: str) -> AsyncIterator[Pointer]:
        """See `Ledger`."""
        self._answer()
        of_drive = [pointer for pointer in self._pointers.values() if pointer.capture_id.drive_id == drive_id]
        for pointer in sorted(of_drive, key=lambda pointer: pointer.capture_id.capture):
            yield pointer

    async def drives(self) -> AsyncIterator[str]:
        """See `Ledger`."""
        self._answer()
        for drive_id in sorted({capture_id.drive_id for capture_id in self._states}):
            yield drive_id

    async def captures(self, drive_id: str) -> AsyncIterator[CaptureState]:
        """See `Ledger`."""
        self._answer()
        of_drive = [state for state in self._states.values() if state.capture_id.drive_id == drive_id]
        for state in sorted(of_drive, key=lambda state: state.capture_id.capture):
            yield state

    async def seen(self, capture_id: CaptureId) -> dict[str, SeenObject]:
        """See `Ledger`."""
        self._answer()
        return dict(sorted(self._objects.get(capture_id, {}).items()))

    async def receiving(self, before: float) -> AsyncIterator[CaptureState]:
        """See `Ledger`."""
        self._answer()
        for state in [one for one in self._states.values() if one.state is State.RECEIVING and one.since < before]:
            yield state

    async def unfinished(self, state: State) -> AsyncIterator[CaptureState]:
        """See `Ledger`."""
        self._answer()
        for one in [one for one in self._states.values() if one.state is state in UNFINISHED]:
            yield one

    async def receive_again(self, capture_id: CaptureId) -> None:
        """See `Ledger`."""
        self._answer()
        before = self._states.get(capture_id)
        if before is not None and before.state is State.QUARANTINED:
            self._states[capture_id] = CaptureState(capture_id, State.RECEIVING, since=self._clock())

    async def keep(self, entry: QuarantineEntry) -> bool:
        """See `Ledger`."""
        self._answer()
        place = (entry.drive_id, entry.name)
        there = self._entries[place].version if place in self._entries else 0
        if there != entry.version - 1:
            return False
        self._entries[place] = entry
        return True

    async def kept(self, drive_id: str, name: str) -> QuarantineEntry | None:
        """See `Ledger`."""
        self._answer()
        return self._entries.get((drive_id, name))

    async def quarantined(self, since: float = 0.0, until: float = FAR_FUTURE) -> AsyncIterator[QuarantineEntry]:
        """See `Ledger`."""
        self._answer()
        listed = [entry for entry in self._entries.values() if entry.listed and since <= entry.since <= until]
        for entry in sorted(listed, key=lambda entry: (entry.since, entry.drive_id, entry.name)):
            yield entry

    async def quarantined_of(self, drive_id: str) -> AsyncIterator[QuarantineEntry]:
        """See `Ledger`."""
        self._answer()
        for place in sorted(place for place in self._entries if place[0] == drive_id):
            yield self._entries[place]

    async def audit(self, drive_id: str, body: Mapping[str, object], once: str = "") -> AuditEntry:
        """See `Ledger`."""
        self._answer()
        chain = self._chains.setdefault(drive_id, [])
        if (drive_id, once) not in self._audited:
            chain.append(link(chain[-1] if chain else None, body))
            if not once:
                return chain[-1]
            self._audited[drive_id, once] = chain[-1]
        return self._audited[drive_id, once]

    async def audit_head(self, drive_id: str) -> AuditHead | None:
        """See `Ledger`."""
        self._answer()
        chain = self._chains.get(drive_id)
        return chain[-1].head if chain else None

    async def audit_chain(self, drive_id: str) -> AsyncIterator[AuditEntry]:
        """See `Ledger`."""
        self._answer()
        for entry in tuple(self._chains.get(drive_id, [])):
            yield entry

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("dynamodb", "switched off")

    def _move(self, to: CaptureState, after: frozenset[State] = ANYWHERE) -> None:
        before = self._states.get(to.capture_id)
        if before is None or before.state in MAY_FOLLOW[to.state] & after:
            self._states[to.capture_id] = replace(to, since=self._clock())
