"""The proxy that fails: every kind of fault is met by real clients over a real server, and none of it loses a record."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from benchmarks.chaos.faults import Faults, Odds
from benchmarks.chaos.run import told
from panoveil.blobs import S3Blobs, provision_buckets
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import BlobRef, Bucket, Stream
from panoveil.streams import Outgoing, PartlySent, RecordSink, kinesis_sink, provision_streams

REGION = "eu-north-1"
NONE = Odds(0, 0, 0, 0, 0, 0)

pytestmark = pytest.mark.servers


@asynccontextmanager
async def faulty(emulator: str, odds: Odds) -> AsyncIterator[Faults]:
    faults = Faults(emulator, odds, random.Random(4))
    async with faults.running():
        yield faults


async def send(sink: RecordSink, records: Sequence[Outgoing]) -> None:
    """Send until nothing is left."""
    while records:
        try:
            await sink.send(Stream.UPLOADS, records)
        except PartlySent as partly:
            records = partly.left
        else:
            records = ()


async def arrived(emulator: str, name: str, odds: Odds, *batches: int) -> tuple[list[bytes], Faults]:
    """What a stream holds after batches of so many records were sent until none of them was left."""
    provision_streams({name: 1}, REGION, emulator)
    async with faulty(emulator, odds) as faults, kinesis_sink({Stream.UPLOADS: name}, REGION, faults.url) as sink:
        for number, count in enumerate(batches):
            await send(sink, [Outgoing("key", b"%d-%d" % (number, index)) for index in range(count)])
    return told(name, REGION, emulator), faults


async def test_without_odds_everything_goes_through_as_it_is(emulator: str) -> None:
    found, faults = await arrived(emulator, "chaos-none", NONE, 3, 2)
    assert found == [b"0-0", b"0-1", b"0-2", b"1-0", b"1-1"]
    assert not any(count for fault, count in faults.counts.items() if fault != "connections_cut")


async def test_records_that_are_refused_repeated_and_reordered_all_arrive(emulator: str) -> None:
    odds = Odds(0, 0, 0, partial=0.5, duplicated=0.5, reordered=1)
    found, faults = await arrived(emulator, "chaos-records", odds, *[10] * 20)
    assert set(found) == {b"%d-%d" % (number, index) for number in range(20) for index in range(10)}
    assert len(found) == 200 + faults.counts["records_duplicated"] > 200
    assert faults.counts["records_refused"] > 0
    assert found != sorted(found)


async def test_calls_that_are_throttled_failed_or_not_answered_are_made_again(emulator: str) -> None:
    found, faults = await arrived(emulator, "chaos-calls", Odds(0.1, 0.1, 0.1, 0, 0, 0), *[1] * 60)
    assert set(found) == {b"%d-0" % number for number in range(60)}
    assert {"kinesis_throttled", "kinesis_failed", "kinesis_unanswered"} <= set(faults.counts)
    assert len(found) == 60 + faults.counts["kinesis_unanswered"]  # what was done without an answer was done twice


async def test_objects_go_both_ways_whole(emulator: str) -> None:
    buckets = {Bucket.RAW: "chaos-raw"}
    provision_buckets(buckets, REGION, emulator)
    ref, data = BlobRef(Bucket.RAW, "s/d/c/æ ø.jpg"), random.Random(1).randbytes(3_000_000)
    async with faulty(emulator, NONE) as faults, S3Blobs(buckets, REGION, faults.url) as blobs:
        await blobs.put(ref, data)
        assert await blobs.get(ref) == data
        stored = await blobs.head(ref)
    assert stored is not None
    assert stored.size == len(data)


async def test_one_that_always_fails_is_unavailable(emulator: str) -> None:
    buckets = {Bucket.RAW: "chaos-raw"}
    async with faulty(emulator, Odds(failed=1.0)) as faults, S3Blobs(buckets, REGION, faults.url) as blobs:
        with pytest.raises(Unavailable):
            await blobs.head(BlobRef(Bucket.RAW, "any"))
