"""The two worlds the suite runs in: streams in memory, and an emulated Kinesis read through the KCL."""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import psutil

from panoveil.aws import plain_client
from panoveil.contracts.keys import Stream
from panoveil.streams import (
    KclConfig,
    KclSource,
    Limits,
    MemoryStreams,
    Outgoing,
    RecordSource,
    kinesis_sink,
    provision_application,
    provision_streams,
)

REGION = "eu-north-1"
SERVICE = "streams-test"
SHARDS = 2
MAX_IN_FLIGHT, MAX_IN_FLIGHT_PER_SHARD = 3, 2


class World(Protocol):
    """What the suite needs of either world; every source is one more start of the same application."""

    @property
    def faults(self) -> Mapping[str, Callable[[], None]]:
        """Ways to break a running source from outside, by name."""
        ...

    def source(self) -> RecordSource: ...

    async def send(self, records: Sequence[Outgoing]) -> None: ...

    async def checkpoints(self) -> dict[str, int]:
        """The sequence number each shard is checkpointed at; a shard without one is absent."""
        ...


class MemoryWorld:
    """`MemoryStreams` with one application."""

    faults: Mapping[str, Callable[[], None]] = {}

    def __init__(self) -> None:
        self._streams = MemoryStreams(SHARDS)

    def source(self) -> RecordSource:
        return self._streams.source(Stream.UPLOADS, SERVICE, MAX_IN_FLIGHT, MAX_IN_FLIGHT_PER_SHARD)

    async def send(self, records: Sequence[Outgoing]) -> None:
        await self._streams.send(Stream.UPLOADS, records)

    async def checkpoints(self) -> dict[str, int]:
        return {shard: int(mark) for shard, mark in self._streams.checkpoints(Stream.UPLOADS, SERVICE).items()}


@dataclass
class KclWorld:
    """An application of its own on a stream of its own, on the emulator."""

    url: str
    name: str = field(default_factory=lambda: f"streams-{uuid.uuid4().hex[:8]}")
    retrieval: Literal["polling", "fanout"] = "polling"
    kinesis_url: str | None = None
    """Of another emulator that serves Kinesis: the leases are made from a stream with the same shards on the first."""

    def __post_init__(self) -> None:
        for url in {self.url, self.streams_url}:
            provision_streams({self.name: SHARDS}, REGION, url)
        assert provision_application(self.name, self.name, REGION, self.url) == SHARDS

    @property
    def faults(self) -> Mapping[str, Callable[[], None]]:
        return {"a child": lambda: kill_one("child.py"), "the JVM": lambda: kill_one("MultiLangDaemon")}

    @property
    def config(self) -> KclConfig:
        limits = Limits(MAX_IN_FLIGHT, MAX_IN_FLIGHT_PER_SHARD, hold_seconds=1.0, checkpoint_seconds=0.2, drain_seconds=60.0)
        return KclConfig(
            self.name, self.name, REGION, "tester", SERVICE, self.streams_url, self.url, retrieval=self.retrieval, limits=limits
        )

    @property
    def streams_url(self) -> str:
        """Where Kinesis is."""
        return self.kinesis_url or self.url

    def source(self) -> RecordSource:
        return KclSource(self.config)

    async def send(self, records: Sequence[Outgoing]) -> None:
        async with kinesis_sink({Stream.UPLOADS: self.name}, REGION, self.streams_url) as sink:
            await sink.send(Stream.UPLOADS, records)

    async def checkpoints(self) -> dict[str, int]:
        return {shard: int(mark) for shard, mark in (await self.marks()).items() if mark.isdigit()}

    async def marks(self) -> dict[str, str]:
        """What each lease says of its shard: a sequence number, or a word such as SHARD_END."""
        leases = (await asyncio.to_thread(self._client.scan, TableName=self.name, ConsistentRead=True))["Items"]
        return {lease["leaseKey"]["S"]: lease["checkpoint"]["S"] for lease in leases}

    @property
    def _client(self) -> Any:
        return plain_client("dynamodb", REGION, self.url)


def descendants(pid: int) -> dict[int, str]:
    """Running descendants of a process: pid to command line."""
    found: dict[int, str] = {}
    for child in psutil.Process(pid).children(recursive=True):
        # It may end while it is looked at.
        with contextlib.suppress(psutil.Error):
            found[child.pid] = " ".join(child.cmdline())
    return found


def kill_one(what: str) -> None:
    """SIGKILL one descendant of this process whose command line names `what`."""
    os.kill(next(pid for pid, command in descendants(os.getpid()).items() if what in command), signal.SIGKILL)
