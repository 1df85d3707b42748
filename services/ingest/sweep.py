"""Captures that began to arrive and never became whole."""

import logging
from collections import Counter

from panoveil import telemetry
from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable
from panoveil.contracts.keys import CaptureId
from panoveil.quarantine import Failure, put_capture
from panoveil.streams.consumer import summary
from services.ingest.handler import STAGE, Ports, close

_LOG = logging.getLogger(__name__)


async def sweep(ports: Ports, older_than: float, most_missing: int = 0) -> Counter[str]:
    """End the wait for the captures that have been receiving since before `older_than` (epoch seconds).

    What has arrived is announced, without at most `most_missing` lenses; the rest is quarantined for what it lacks. A frame that arrives
    later takes its capture up again. Costs what is overdue, however many captures there are. Return how many, by outcome.
    """
    counts: Counter[str] = Counter()
    overdue = [capture.capture_id async for capture in ports.ledger.receiving(older_than)]
    for capture_id in overdue:
        try:
            counts[await _end(capture_id, most_missing, ports)] += 1
        except (Unavailable, Misconfigured):
            raise
        except Exception as error:  # noqa: BLE001 - one that nobody foresaw must not keep the sweep from the others
            _LOG.warning("the sweep cannot end %s: %s", capture_id, summary(error))
            counts["failed"] += 1
    return counts


async def _end(capture_id: CaptureId, most_missing: int, ports: Ports) -> str:
    try:
        await close(capture_id, most_missing, ports)
    except Rejected as error:
        failure = Failure(error.reason, error.detail, "", 1, ports.now().timestamp())
        await put_capture(STAGE, capture_id, failure, ports.ledger)
        telemetry.QUARANTINED.labels(STAGE, error.reason).inc()
        return "quarantined"
    return "announced"
