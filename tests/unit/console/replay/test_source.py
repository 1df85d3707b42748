"""What the ledger knows is handed out as a stream would: so many at a time, no faster than wanted."""

import asyncio

import pytest

from console.replay.source import Pace
from panoveil.contracts.errors import Misconfigured
from panoveil.streams import Record
from tests.unit.console.replay.worlds import source_of

RECORDS = [Record("ledger", str(number), f"a/b/{number}", b"", 0.0) for number in range(10)]


async def test_every_record_is_handed_out_once_and_no_more_than_so_many_at_a_time() -> None:
    running, most, done = 0, 0, []

    async def work(record: Record) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(record)

    await source_of(RECORDS, 3, Pace(None)).run(work)
    assert sorted(done, key=lambda record: int(record.sequence_number)) == RECORDS
    assert most == 3


async def test_who_stops_gets_no_more_and_what_runs_is_finished() -> None:
    source, done = source_of(RECORDS, 1, Pace(None)), []

    async def work(record: Record) -> None:
        source.stop()
        await asyncio.sleep(0)
        done.append(record)

    await source.run(work)
    assert done == RECORDS[:1]


async def test_an_error_that_stops_a_service_stops_it() -> None:
    async def work(record: Record) -> None:
        raise Misconfigured("no such bucket")

    with pytest.raises(Misconfigured, match="no such bucket"):
        await source_of(RECORDS, 3, Pace(None)).run(work)


async def test_a_rate_is_kept_whatever_the_work_takes() -> None:
    now, turns = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(4.0, sleep, lambda: now)
    for takes in (0.0, 0.1, 0.0, 1.0, 0.0):
        await pace.turn()
        turns.append(now)
        now += takes
    assert turns == pytest.approx([100.0, 100.25, 100.5, 100.75, 101.75], abs=1e-9)
