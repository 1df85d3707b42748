"""Hands out what the ledger knows as a stream would: several at a time, no faster than wanted."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from panoveil.streams import Record, Work

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Lets so many through a second, evenly, after a burst of one; None lets everything through."""

    def __init__(self, rate: float | None, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.monotonic) -> None:
        """`sleep` is called with seconds, `clock` gives them."""
        self._gap = 1 / rate if rate else 0.0
        self._sleep, self._clock = sleep, clock
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = self._clock()
        if self._next > now:
            await self._sleep(self._next - now)
        self._next = max(now, self._next) + self._gap


class LedgerSource:
    """A `RecordSource` over records that are known; there is nothing to checkpoint, for the ledger knows what is done."""

    def __init__(self, records: AsyncIterator[Record], parallel: int, pace: Pace) -> None:
        """So many at a time, no faster than `pace` lets through."""
        self._records, self._parallel, self._pace = records, parallel, pace
        self._lock = asyncio.Lock()
        self._stopping = False

    async def run(self, work: Work) -> None:
        """Hand out every record, then return; raise what `work` raised."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._parallel):
                    group.create_task(self._hand_out(work))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def stop(self) -> None:
        """Hand out no more; what runs is finished."""
        self._stopping = True

    async def _hand_out(self, work: Work) -> None:
        while (record := await self._taken()) is not None:
            await work(record)

    async def _taken(self) -> Record | None:
        async with self._lock:
            if not self._stopping:
                await self._pace.turn()
            return None if self._stopping else await anext(self._records, None)
