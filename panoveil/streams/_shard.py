"""Works one shard's records off: a bounded number at once, in any order, with the watermark kept."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable

from panoveil.streams._port import Record, Work
from panoveil.streams._watermark import Watermark


class Shard:
    """The records of one shard between delivery and checkpoint.

    `slots` is shared by all shards of a task and served in turn; `max_in_flight` bounds this shard alone, so that no shard
    takes every slot. An error out of `work` goes to `on_failure`: it means that the consumer must stop.
    """

    def __init__(
        self, work: Work, slots: asyncio.Semaphore, max_in_flight: int, on_failure: Callable[[BaseException], None]
    ) -> None:
        """Needs a running event loop."""
        self._work = work
        self._slots = slots
        self._own_slots = asyncio.Semaphore(max_in_flight)
        self._on_failure = on_failure
        self._watermark = Watermark()
        self._waiting: deque[Record] = deque()
        self._running: dict[asyncio.Task[None], Record] = {}
        self.behind = 0.0
        """Seconds from the end of the last batch to the end of the stream, as the stream said with it."""
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._pump = asyncio.create_task(self._start_waiting())

    @property
    def mark(self) -> str | None:
        """Where the shard may be checkpointed."""
        return self._watermark.mark

    @property
    def waiting(self) -> int:
        """Records that were delivered and are not yet being worked on."""
        return len(self._waiting)

    @property
    def held(self) -> int:
        """Records that were delivered and are not finished."""
        return len(self._waiting) + len(self._running)

    @property
    def whole(self) -> bool:
        """Whether all that was ever offered is finished: nothing of it waits, runs, failed or was dropped."""
        return not self._watermark.unfinished

    @property
    def oldest(self) -> float | None:
        """When the oldest record that is held arrived, epoch seconds; None where none is. Safe to ask from another thread."""
        held = [record.arrived_at for record in tuple(self._running.values())]
        with contextlib.suppress(IndexError):  # the last that waited may start meanwhile
            held.append(self._waiting[0].arrived_at)
        return min(held, default=None)

    def offer(self, records: Iterable[Record], behind: float = 0.0) -> None:
        """Take records in, in the order of the shard; after `stop_starting` they are dropped, to be delivered again elsewhere."""
        self.behind = behind
        for record in records:
            # A dropped one too: it stays unfinished.
            self._watermark.delivered(record.sequence_number)
            if not self._pump.done():
                self._waiting.append(record)
        self._arrived.set()

    def poke(self) -> None:
        """Let `changed` return: something else happened that its caller wants to see."""
        self._changed.set()

    async def changed(self, timeout: float | None = None) -> None:
        """Return when a record was started or finished since the last call, or after `timeout` seconds. One caller at a time."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return
        self._changed.clear()

    def stop_starting(self) -> None:
        """Start nothing more and drop what waits; what runs goes on."""
        self._pump.cancel()
        self._waiting.clear()
        self._changed.set()

    async def drain(self, timeout: float | None) -> None:
        """Let what runs finish; cancel what still runs after `timeout` seconds."""
        self.stop_starting()
        if self._running:
            await asyncio.wait(self._running, timeout=timeout)
        await self.cancel()

    async def finish(self) -> None:
        """Work everything off that was offered, unless `stop_starting` comes."""
        while self.held and not self._pump.done():
            await self.changed(timeout=1.0)

    async def cancel(self) -> None:
        """Drop everything: nothing runs when this returns."""
        self.stop_starting()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(self._pump, *running, return_exceptions=True)

    async def _start_waiting(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._own_slots.acquire()
            await self._slots.acquire()
            self._start(self._waiting.popleft())

    def _start(self, record: Record) -> None:
        task = asyncio.create_task(self._run(record), name=f"record {record.shard_id} {record.sequence_number}")
        self._running[task] = record
        task.add_done_callback(lambda done: self._ended(record, done))
        self._changed.set()

    async def _run(self, record: Record) -> None:
        await self._work(record)

    def _ended(self, record: Record, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._own_slots.release()
        self._slots.release()
        if not task.cancelled():
            error = task.exception()
            if error is None:
                self._watermark.completed(record.sequence_number)
            else:
                self._on_failure(error)
        self._changed.set()
