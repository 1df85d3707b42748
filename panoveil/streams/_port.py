"""What a service asks of a stream: records to work on, and a place to send."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from panoveil.contracts.keys import Stream


@dataclass(frozen=True, slots=True)
class Record:
    """One record as delivered; `arrived_at` is the stream's own clock, epoch seconds."""

    shard_id: str
    sequence_number: str
    partition_key: str
    data: bytes
    arrived_at: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to send."""

    partition_key: str
    data: bytes


Work = Callable[[Record], Awaitable[None]]
"""Works one record off. Returning means: its effect is durable, it may be checkpointed. It never raises but to stop the consumer."""


class RecordSource(Protocol):
    """Delivers every record of a stream at least once and checkpoints what was worked off, contiguously."""

    async def run(self, work: Work) -> None:
        """Deliver records to `work`, a bounded number at a time, until `stop` is called; then finish what runs and return.

        A shard is checkpointed at its highest contiguous completed sequence number. `Misconfigured` says what is missing.
        """
        ...

    def stop(self) -> None:
        """Ask `run` to end: no new work, what runs is finished and checkpointed. Safe to call twice, and from a signal handler."""
        ...


class RecordSink(Protocol):
    """Sends records to streams."""

    async def send(self, stream: Stream, records: Sequence[Outgoing]) -> None:
        """Return when every record was acknowledged. Failed ones of a batch are sent again; `Unavailable("kinesis")` after that."""
        ...
