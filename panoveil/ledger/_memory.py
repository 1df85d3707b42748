"""The ledger in memory: same behaviour as DynamoDB, for tests and for trying things."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import CaptureId
from panoveil.ledger._chain import AuditEntry, AuditHead, link
from panoveil.ledger._port import ANYWHERE, MAY_FOLLOW, UNGRADED, CaptureState, Grade, SeenObject, State


class MemoryLedger:
    """Keeps everything in dictionaries; while `down` is true it answers as a table that cannot be reached."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives epoch seconds."""
        self._clock = clock
        self._objects: dict[CaptureId, dict[str, SeenObject]] = {}
        self._states: dict[CaptureId, CaptureState] = {}
        self._finished: dict[tuple[CaptureId, str, str], bytes] = {}
        self._chains: dict[str, list[AuditEntry]] = {}
        self._audited: dict[tuple[str, str], AuditEntry] = {}
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

    async def finished(self, capture_id: CaptureId, stage: str, recipe_id: str) -> bytes | None:
        """See `Ledger`."""
        self._answer()
        return self._finished.get((capture_id, stage, recipe_id))

    async def finish(self, capture_id: CaptureId, stage: str, recipe_id: str, message: bytes) -> bytes:
        """See `Ledger`."""
        self._answer()
        return self._finished.setdefault((capture_id, stage, recipe_id), message)

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
