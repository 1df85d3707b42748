"""Kinesis as a `RecordSink`."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from panoveil.aws import PATIENT, Patience, open_client, translated
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import Stream
from panoveil.streams._port import Outgoing, PartlySent, check_sizes

MAX_RECORDS = 500
MAX_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Resend:
    """How often records that Kinesis refused are sent, and the pauses in between: doubling, seconds, cut by up to half at random."""

    attempts: int = 8
    first_pause: float = 0.2
    longest_pause: float = 2.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures (1 or more)."""
        return min(self.longest_pause, self.first_pause * 2.0 ** (failures - 1)) * random.uniform(0.5, 1)  # noqa: S311


class KinesisSink:
    """Sends in batches as large as Kinesis takes. Of a batch only what failed is sent again, so order is not kept."""

    def __init__(
        self,
        client: Any,
        names: Mapping[Stream, str],
        resend: Resend = Resend(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`client` is an open aiobotocore client, `names` maps roles to real streams; see `kinesis_sink`."""
        self._client = client
        self._names = names
        self._resend = resend
        self._sleep = sleep

    async def send(self, stream: Stream, records: Sequence[Outgoing]) -> None:
        """Return when all are acknowledged; raise `Unavailable("kinesis")`, `Misconfigured`, or `ValueError` for one over 1 MiB."""
        check_sizes(records)
        sent = 0
        for batch in batches(records):
            try:
                await self._send_batch(self._names[stream], batch)
            except PartlySent as partly:
                raise PartlySent(partly.dependency, partly.detail, [*partly.left, *records[sent + len(batch) :]]) from partly
            sent += len(batch)

    async def _send_batch(self, name: str, batch: Sequence[Outgoing]) -> None:
        left = list(batch)
        try:
            for failures in range(self._resend.attempts):
                if failures:
                    await self._sleep(self._resend.pause(failures))
                left = await self._failed(name, left)
                if not left:
                    return
        except Unavailable as error:
            raise PartlySent("kinesis", error.detail, left) from error
        raise PartlySent("kinesis", f"stream {name} refused {len(left)} records {self._resend.attempts} times", left)

    async def _failed(self, name: str, batch: Sequence[Outgoing]) -> list[Outgoing]:
        """Send once; return the records that are not in."""
        entries = [{"Data": record.data, "PartitionKey": record.partition_key} for record in batch]
        with translated("kinesis", f"stream {name}"):
            answer = await self._client.put_records(StreamName=name, Records=entries)
        return [record for record, result in zip(batch, answer["Records"], strict=True) if result.get("ErrorCode")]


@asynccontextmanager
async def kinesis_sink(
    names: Mapping[Stream, str], region: str, endpoint_url: str | None = None, patience: Patience = PATIENT
) -> AsyncIterator[KinesisSink]:
    """Open a sink on AWS, or on the emulator at `endpoint_url`."""
    async with AsyncExitStack() as closing:
        with translated("kinesis", "a client"):
            client = await closing.enter_async_context(open_client("kinesis", region, endpoint_url, patience))
        yield KinesisSink(client, names)


def batches(records: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    """Cut into runs that one PutRecords takes: at most 500 records and 5 MiB, keys included."""
    batch: list[Outgoing] = []
    room = MAX_BYTES
    for record in records:
        if batch and (len(batch) == MAX_RECORDS or record.size > room):
            yield batch
            batch, room = [], MAX_BYTES
        batch.append(record)
        room -= record.size
    if batch:
        yield batch
