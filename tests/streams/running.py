"""A source at work, with a handler that tests can change while it runs."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from prometheus_client import REGISTRY

from panoveil.streams import Consumer, Outgoing, Record, RetryPolicy
from tests.streams.worlds import SERVICE, World

PATIENCE = 300.0
_names = itertools.count()


@dataclass
class FakeQuarantine:
    """Remembers what was put."""

    kept: list[tuple[bytes, str]] = field(default_factory=list)

    async def put(self, record: Record, reason: str, detail: str, traceback: str, attempts: int) -> None:
        self.kept.append((record.data, reason))


def new_names(count: int) -> list[bytes]:
    """Names that no record had before."""
    return [b"record-%d" % next(_names) for _ in range(count)]


async def nothing(record: Record) -> None:
    """Handle a record by doing nothing."""


class Running:
    """Runs while its context is entered; leaving it stops the source in order. `crash` does not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handler: Callable[[Record], Awaitable[None]] = nothing
        self.quarantine = FakeQuarantine()
        self.sent: set[bytes] = set()
        self.done: dict[bytes, Record] = {}
        self.deliveries: Counter[bytes] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: Counter[str] = Counter()
        self.source = world.source()
        policy = RetryPolicy(attempts=2, first_pause=0.01, longest_pause=0.05)
        self.consumer = Consumer(SERVICE, self.source, self._handle, self.quarantine, policy=policy)
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.consumer.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.task is not None:
            self.consumer.stop()
            await self.task

    async def crash(self) -> None:
        """End at once: nothing is finished, nothing is checkpointed."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.task = None

    @property
    def lag(self) -> float:
        """The gauge's seconds."""
        families = (family for family in REGISTRY.collect() if family.name == "panoveil_lag_seconds")
        samples = (sample for family in families for sample in family.samples)
        return max((sample.value for sample in samples if sample.labels["service"] == SERVICE), default=0.0)

    async def send(self, count: int) -> list[bytes]:
        """Send so many records with names of their own; return their data."""
        return await self.send_named(new_names(count))

    async def send_named(self, names: list[bytes]) -> list[bytes]:
        """Send records whose names a handler knows before the first of them comes."""
        self.sent.update(names)
        await self.world.send([Outgoing(name.decode(), name) for name in names])
        return names

    async def finished(self, names: list[bytes]) -> None:
        """Wait until each of these was handled or quarantined."""
        await self.until(lambda: {*names} <= self.done.keys() | {data for data, _ in self.quarantine.kept})

    async def checkpointed(self, names: list[bytes]) -> None:
        """Wait until each of these, all done, is covered by a checkpoint."""
        async with asyncio.timeout(PATIENCE):
            while not await self._covered(names):
                await self._look_again()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, as long as the source runs."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._look_again()

    async def _look_again(self) -> None:
        assert self.task is not None
        if self.task.done():
            self.task.result()
        await asyncio.sleep(0.02)

    async def _covered(self, names: list[bytes]) -> bool:
        marks = await self.world.checkpoints()
        return all(marks.get(self.done[name].shard_id, 0) >= int(self.done[name].sequence_number) for name in names)

    async def _handle(self, record: Record) -> None:
        self.deliveries[record.data] += 1
        lanes = (record.shard_id, "task")
        self.in_flight.update(lanes)
        self.most_in_flight |= self.in_flight
        try:
            await self.handler(record)
        finally:
            self.in_flight.subtract(lanes)
        self.done[record.data] = record
