"""What a service asks of a stream: records to work on, and a place to send."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import Stream

MAX_RECORD_BYTES = 1024 * 1024


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

    @property
    def size(self) -> int:
        """Bytes, as Kinesis counts them: the key too."""
        return len(self.data) + len(self.partition_key.encode())


def check_sizes(records: Iterable[Outgoing]) -> None:
    """Raise `ValueError` where a record is larger than a stream takes."""
    for record in records:
        if record.size > MAX_RECORD_BYTES:
            raise ValueError(f"a record of {record.size} bytes; Kinesis takes {MAX_RECORD_BYTES}")


class PartlySent(Unavailable):
    """Records of a `send` that are not acknowledged are `left`, in their order; all others of it are in the stream."""

    def __init__(self, dependency: str, detail: str, left: Sequence[Outgoing]) -> None:
        """`left` is to be sent again, and nothing else."""
        super().__init__(dependency, detail)
        self.left = tuple(left)


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
        """Return when every record was acknowledged. Failed ones of a batch are sent again; `Unavailable("kinesis")` after that.

        It is `PartlySent` where some may be in: a caller who sends only what is left sends nothing twice that was acknowledged.
        `ValueError`, and none of them sent, where one has more than `MAX_RECORD_BYTES`.
        """
        ...
