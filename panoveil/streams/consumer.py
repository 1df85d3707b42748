"""What happens around a handler: retried, waited for, quarantined, measured. One `Consumer` a service.

handler returns            the record is done
raises Rejected            the input is at fault: quarantined at once, with its reason
raises Unavailable         a dependency is down: waited for with growing pauses, for as long as it takes, never quarantined; meanwhile
                           a circuit keeps every record of the service from asking, but for one at a time
raises Misconfigured       the service stops
raises anything else       a bug: retried a bounded number of times, then quarantined as `handler_failed` with its traceback
"""

import asyncio
import logging
import random
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol

from panoveil import telemetry
from panoveil.contracts.errors import Misconfigured, PanoveilError, Rejected, Unavailable
from panoveil.contracts.reasons import Reason
from panoveil.streams._circuit import PATIENT, Circuit, RetryPolicy, Sleep
from panoveil.streams._port import Record, RecordSource

_log = logging.getLogger("panoveil.streams.consumer")

Handler = Callable[[Record], Awaitable[None]]


class Quarantine(Protocol):
    """Where records go that cannot be processed."""

    async def put(self, record: Record, reason: str, detail: str, traceback: str, attempts: int) -> None:
        """Keep the record and why; it is durable when this returns. May raise `Unavailable`, and is then called again."""
        ...


class Consumer:
    """Works off one source with one handler."""

    def __init__(
        self,
        service: str,
        source: RecordSource,
        handler: Handler,
        quarantine: Quarantine,
        *,
        policy: RetryPolicy = PATIENT,
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`service` labels the metrics; `sleep` and `chance` (uniform in [0, 1)) are for tests."""
        self._service = service
        self._source = source
        self._handler = handler
        self._quarantine = quarantine
        self._policy = policy
        self._circuit = Circuit(service, policy, sleep, chance)

    async def run(self) -> None:
        """Consume until `stop`; raise `Misconfigured` where the service cannot go on."""
        await self._source.run(self.work)

    def stop(self) -> None:
        """End `run` in order. Records that only wait to be tried again are given up: whoever consumes next gets them."""
        self._source.stop()
        self._circuit.give_up()

    async def work(self, record: Record) -> None:
        """Bring one record to its end, done or quarantined; raise `Misconfigured` where the service cannot go on."""
        with telemetry.IN_FLIGHT.labels(self._service).track_inprogress():
            outcome = await self._outcome(record)
        telemetry.RECORDS.labels(self._service, outcome).inc()

    async def _outcome(self, record: Record) -> str:
        failures = 0
        while True:
            try:
                await self._circuit.call(lambda: _ungrouped(lambda: self._handler(record)))
            except Misconfigured:
                raise
            except Rejected as error:
                return await self._put_away(record, error.reason, error.detail, "", failures + 1)
            except Exception as error:  # noqa: BLE001 - a bug of any kind must not stop the shard
                failures += 1
                _log.warning("%s failed on %s %s: %s", self._service, record.shard_id, record.sequence_number, summary(error))
                if failures >= self._policy.attempts:
                    return await self._put_away(record, Reason.HANDLER_FAILED, summary(error), trace(error), failures)
                telemetry.RETRIES.labels(self._service, "bug").inc()
                await self._circuit.pause(failures)
            else:
                return "done"

    async def _put_away(self, record: Record, reason: str, detail: str, trace: str, attempts: int) -> str:
        await self._circuit.call(lambda: _ungrouped(lambda: self._quarantine.put(record, reason, detail, trace, attempts)))
        telemetry.QUARANTINED.labels(self._service, reason).inc()
        return "quarantined"


async def _ungrouped(call: Callable[[], Awaitable[None]]) -> None:
    """Call; where a task group hides errors of ours, raise the one with the gravest consequence."""
    try:
        await call()
    except ExceptionGroup as group:
        for kind in (Misconfigured, Unavailable, Rejected):
            ours = group.subgroup(kind)
            if ours is not None:
                raise _first_leaf(ours) from None
        raise


def _first_leaf(error: Exception) -> Exception:
    return _first_leaf(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def summary(error: BaseException) -> str:
    """Name an error. Only Panoveil's own messages are quoted: any other may hold what it choked on."""
    return f"{type(error).__name__}: {error}" if isinstance(error, PanoveilError) else type(error).__name__


def trace(error: BaseException) -> str:
    """Where an error and its causes came from: types, files, lines, functions. No messages and no values, so no payload."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        frames = "".join(traceback.format_list(traceback.extract_tb(link.__traceback__)))
        parts.append(f"{frames}{summary(link)}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nthe cause of:\n\n".join(reversed(parts))
