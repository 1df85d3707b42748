"""Captures that began to arrive and never became whole."""

from collections.abc import AsyncIterator

from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.reasons import Reason
from panoveil.ledger import CaptureState, Ledger, State


async def incomplete(ledger: Ledger, older_than: float) -> AsyncIterator[CaptureState]:
    """Yield the captures that have been receiving since before `older_than` (epoch seconds)."""
    async for drive in ledger.drives():
        async for capture in ledger.captures(drive):
            if capture.state is State.RECEIVING and capture.since < older_than:
                yield capture


async def sweep(ledger: Ledger, older_than: float) -> int:
    """Quarantine them as FRAME_MISSING; a frame that arrives later takes its capture up again. Return how many."""
    count = 0
    async for capture in incomplete(ledger, older_than):
        detail = f"a frame or {MANIFEST_NAME} has not arrived"
        await ledger.move(capture.capture_id, State.QUARANTINED, Reason.FRAME_MISSING, detail, after=frozenset({State.RECEIVING}))
        count += 1
    return count
