import asyncio

import pytest

from panoveil.contracts.keys import Stream
from panoveil.streams import MemoryStreams, Outgoing, Record


async def test_a_key_always_goes_to_the_same_shard_and_all_shards_are_used() -> None:
    streams = MemoryStreams(shards=3)
    await streams.send(Stream.UPLOADS, [Outgoing(f"key-{n % 20}", b"") for n in range(60)])
    homes: dict[str, set[str]] = {}
    for record in streams.records(Stream.UPLOADS):
        homes.setdefault(record.partition_key, set()).add(record.shard_id)
    assert {len(shards) for shards in homes.values()} == {1}
    assert len(set.union(*homes.values())) == 3


async def test_records_are_stamped_by_the_clock_and_numbered_upwards() -> None:
    streams = MemoryStreams(clock=lambda: 12.5)
    await streams.send(Stream.UPLOADS, [Outgoing(f"key-{n}", b"%d" % n) for n in range(5)])
    records = streams.records(Stream.UPLOADS)
    assert [record.data for record in records] == [b"0", b"1", b"2", b"3", b"4"]
    assert {record.arrived_at for record in records} == {12.5}


async def test_streams_and_applications_are_apart() -> None:
    streams = MemoryStreams()
    await streams.send(Stream.UPLOADS, [Outgoing("key", b"x")])
    assert streams.records(Stream.CAPTURES) == []
    await _drain(streams, "one")
    assert streams.drained(Stream.UPLOADS, "one")
    assert not streams.drained(Stream.UPLOADS, "two")
    assert streams.checkpoints(Stream.UPLOADS, "two") == {}


async def test_what_is_sent_while_it_runs_is_delivered() -> None:
    streams = MemoryStreams()
    seen: list[bytes] = []

    async def work(record: Record) -> None:
        seen.append(record.data)
        if len(seen) < 5:
            await streams.send(Stream.UPLOADS, [Outgoing(f"key-{len(seen)}", b"%d" % len(seen))])
        else:
            source.stop()

    source = streams.source(Stream.UPLOADS, "app")
    running = asyncio.create_task(source.run(work))
    await streams.send(Stream.UPLOADS, [Outgoing("key", b"0")])
    await asyncio.wait_for(running, 60)
    assert seen == [b"0", b"1", b"2", b"3", b"4"]
    assert streams.drained(Stream.UPLOADS, "app")


async def test_an_error_out_of_work_stops_the_source_after_what_else_runs() -> None:
    streams = MemoryStreams(shards=1)
    done: list[bytes] = []

    async def work(record: Record) -> None:
        if record.data == b"1":
            raise ZeroDivisionError
        await asyncio.sleep(0)
        done.append(record.data)

    await streams.send(Stream.UPLOADS, [Outgoing("key", b"%d" % n) for n in range(4)])
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(streams.source(Stream.UPLOADS, "app").run(work), 60)
    assert b"0" in done
    assert streams.checkpoints(Stream.UPLOADS, "app") == {"shardId-000000000000": "1"}


async def test_stop_before_run_is_heeded() -> None:
    source = MemoryStreams().source(Stream.UPLOADS, "app")
    source.stop()
    source.stop()
    await asyncio.wait_for(source.run(_ignore), 60)
    assert source._stopping


async def _drain(streams: MemoryStreams, application: str) -> None:
    source = streams.source(Stream.UPLOADS, application)

    async def work(record: Record) -> None:
        source.stop()

    await asyncio.wait_for(source.run(work), 60)


async def _ignore(record: Record) -> None:
    pass
