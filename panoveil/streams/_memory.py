"""Streams in memory: the same promises as Kinesis and the KCL, for tests and for trying things out."""

import asyncio
import hashlib
import itertools
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from panoveil import telemetry
from panoveil.contracts.keys import Stream
from panoveil.streams._lag import Lag
from panoveil.streams._port import Outgoing, Record, Work, check_sizes
from panoveil.streams._shard import Shard


@dataclass(frozen=True, slots=True)
class MemoryShard:
    """One shard as the service keeps it: records in order, and the sequence number each application is checkpointed at."""

    shard_id: str
    records: list[Record] = field(default_factory=list)
    checkpoints: dict[str, str] = field(default_factory=dict)

    def position(self, application: str) -> int:
        """Index of the first record after the application's checkpoint."""
        mark = self.checkpoints.get(application)
        return 0 if mark is None else bisect_right(self.records, int(mark), key=lambda record: int(record.sequence_number))


class MemoryStreams:
    """The service side, a `RecordSink`: it keeps records and checkpoints, whatever happens to its sources."""

    def __init__(self, shards: int = 2, clock: Callable[[], float] = time.time) -> None:
        """Every stream has so many shards; `clock` gives epoch seconds."""
        self._clock = clock
        self._numbers = itertools.count(1)
        self._shards: Mapping[Stream, list[MemoryShard]] = {
            stream: [MemoryShard(f"shardId-{index:012d}") for index in range(shards)] for stream in Stream
        }
        self._sources: set[MemorySource] = set()

    async def send(self, stream: Stream, records: Sequence[Outgoing]) -> None:
        """Append each record to the shard its partition key hashes to; `ValueError`, and nothing sent, where one is over 1 MiB."""
        check_sizes(records)
        for record in records:
            shard = self._shard_of(stream, record.partition_key)
            number = str(next(self._numbers))
            shard.records.append(Record(shard.shard_id, number, record.partition_key, record.data, self._clock()))
        for source in self._sources:
            source.poke()

    def source(
        self, stream: Stream, application: str, max_in_flight: int = 8, max_in_flight_per_shard: int = 8
    ) -> "MemorySource":
        """A consumer of all shards of a stream; run one at a time of an application."""
        return MemorySource(self._sources, self._shards[stream], application, max_in_flight, max_in_flight_per_shard, self._clock)

    def records(self, stream: Stream) -> list[Record]:
        """Everything ever sent to the stream, in order of arrival."""
        return sorted(
            (r for shard in self._shards[stream] for r in shard.records), key=lambda record: int(record.sequence_number)
        )

    def checkpoints(self, stream: Stream, application: str) -> dict[str, str]:
        """The sequence number each shard is checkpointed at, by shard id; a shard without one is absent."""
        return {s.shard_id: s.checkpoints[application] for s in self._shards[stream] if application in s.checkpoints}

    def drained(self, stream: Stream, application: str) -> bool:
        """Whether everything sent so far is worked off and checkpointed."""
        return all(shard.position(application) == len(shard.records) for shard in self._shards[stream])

    def _shard_of(self, stream: Stream, partition_key: str) -> MemoryShard:
        shards = self._shards[stream]
        digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
        return shards[int.from_bytes(digest) * len(shards) >> 128]


class MemorySource:
    """A `RecordSource` on `MemoryStreams`; made by `MemoryStreams.source`. Cancelling `run` is a crash: no last checkpoint."""

    def __init__(
        self,
        listeners: "set[MemorySource]",
        shards: Sequence[MemoryShard],
        application: str,
        slots: int,
        slots_per_shard: int,
        clock: Callable[[], float],
    ) -> None:
        """Add itself to `listeners` while it runs, to be poked when something was sent."""
        self._listeners = listeners
        self._shards = shards
        self._application = application
        self._slots = slots
        self._slots_per_shard = slots_per_shard
        self._clock = clock
        self._lanes: list[Shard] = []
        self._stopping = False
        self._failure: BaseException | None = None

    async def run(self, work: Work) -> None:
        """Deliver until `stop`; raise what `work` raised."""
        slots = asyncio.Semaphore(self._slots)
        self._lanes = [Shard(work, slots, self._slots_per_shard, self._fail) for _ in self._shards]
        lag = Lag(self._application, now=self._clock)
        self._listeners.add(self)
        try:
            await asyncio.gather(*(self._attend(*pair, lag) for pair in zip(self._shards, self._lanes, strict=True)))
        finally:
            self._listeners.discard(self)
            for lane in self._lanes:
                await lane.cancel()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Finish what runs, checkpoint it and end `run`."""
        self._stopping = True
        self.poke()

    def poke(self) -> None:
        """Look for news: records that were sent, or an end."""
        for lane in self._lanes:
            lane.poke()

    async def _attend(self, shard: MemoryShard, lane: Shard, lag: Lag) -> None:
        with lag.of(lane):
            await self._deliver(shard, lane)

    async def _deliver(self, shard: MemoryShard, lane: Shard) -> None:
        position = shard.position(self._application)
        while not self._stopping:
            batch = shard.records[position : position + max(0, self._slots_per_shard - lane.waiting)]
            position += len(batch)
            lane.offer(batch)
            await lane.changed()
            self._checkpoint(shard, lane)
        await lane.drain(timeout=None)
        self._checkpoint(shard, lane)

    def _checkpoint(self, shard: MemoryShard, lane: Shard) -> None:
        if lane.mark is not None and shard.checkpoints.get(self._application) != lane.mark:
            shard.checkpoints[self._application] = lane.mark
            telemetry.CHECKPOINTS.labels(self._application).inc()

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self.stop()
