"""A part of a stream, read by an application of its own: from a time on, to the moment at which it began."""

import asyncio
import time
import uuid

import pytest

from panoveil.aws import plain_client
from panoveil.contracts.keys import Stream
from panoveil.streams import (
    KclSource,
    Outgoing,
    Record,
    kept_since,
    kinesis_sink,
    provision_application,
    provision_streams,
    retire_application,
)
from panoveil.streams._kcl.config import KclConfig
from tests.streams.worlds import REGION

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


class Part:
    """A stream, and what an application reads of it."""

    def __init__(self, url: str) -> None:
        self.url, self.name = url, f"part-{uuid.uuid4().hex[:8]}"
        provision_streams({self.name: 2}, REGION, url)

    async def send(self, names: list[bytes]) -> None:
        async with kinesis_sink({Stream.UPLOADS: self.name}, REGION, self.url) as sink:
            await sink.send(Stream.UPLOADS, [Outgoing(name.decode(), name) for name in names])

    def source(self, application: str, start: float) -> KclSource:
        assert provision_application(application, self.name, REGION, self.url, from_time=True) == 2
        return KclSource(KclConfig(application, self.name, REGION, "part", "part", self.url, start=start, end=time.time()))

    async def read(self, start: float) -> list[bytes]:
        application, read = f"part-{uuid.uuid4().hex[:8]}", []

        async def work(record: Record) -> None:
            read.append(record.data)

        await self.source(application, start).run(work)
        retire_application(application, REGION, self.url)
        return read

    @property
    def tables(self) -> list[str]:
        return [
            name for name in plain_client("dynamodb", REGION, self.url).list_tables()["TableNames"] if name.startswith("part-")
        ]


async def test_it_is_read_from_a_time_on_to_its_end_and_leaves_no_table_behind(emulator: str) -> None:
    part = Part(emulator)
    before, after = [[b"%s-%d" % (word, number) for number in range(30)] for word in (b"before", b"after")]
    await part.send(before)
    start = int(time.time()) + 1  # the KCL is told whole seconds
    await asyncio.sleep(start - time.time() + 0.01)
    await part.send(after)
    assert sorted(await part.read(start)) == sorted(after)
    assert sorted(await part.read(start - 3600)) == sorted(before + after)
    assert part.tables == []


async def test_an_empty_stream_is_read_to_its_end(emulator: str) -> None:
    assert await Part(emulator).read(time.time() - 60) == []


def test_retiring_what_is_not_there_is_no_error(emulator: str) -> None:
    retire_application("part-of-nothing", REGION, emulator)
    assert "part-of-nothing" not in Part(emulator).tables


def test_a_stream_says_since_when_it_keeps_its_records(emulator: str) -> None:
    part, week = Part(emulator), 168 * 3600
    assert time.time() - week - 60 < kept_since(part.name, REGION, emulator) <= time.time() - week
