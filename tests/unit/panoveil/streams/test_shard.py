import asyncio
from collections.abc import AsyncIterator

import pytest

from panoveil.streams import Record
from panoveil.streams._shard import Shard


def record(number: int) -> Record:
    return Record("shard", str(number), "key", b"%d" % number, 0.0)


class Bench:
    """Work that waits until told to finish, and what the shard made of it."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.gates: dict[int, asyncio.Future[None]] = {}
        self.failures: list[BaseException] = []

    async def work(self, record: Record) -> None:
        number = int(record.sequence_number)
        self.started.append(number)
        self.gates[number] = asyncio.get_running_loop().create_future()
        await self.gates[number]

    def shard(self, slots: int = 4, own: int = 4) -> Shard:
        return Shard(self.work, asyncio.Semaphore(slots), own, self.failures.append)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def shard(bench: Bench) -> AsyncIterator[Shard]:
    shard = bench.shard()
    yield shard
    await shard.cancel()


async def test_it_starts_as_many_as_it_may(bench: Bench, shard: Shard) -> None:
    shard.offer(map(record, range(1, 7)))
    await settle()
    assert (bench.started, shard.waiting, shard.held) == ([1, 2, 3, 4], 2, 6)
    bench.gates[2].set_result(None)
    await settle()
    assert (bench.started, shard.waiting) == ([1, 2, 3, 4, 5], 1)


async def test_the_mark_follows_what_is_finished(bench: Bench, shard: Shard) -> None:
    shard.offer(map(record, range(1, 4)))
    await settle()
    bench.gates[2].set_result(None)
    await settle()
    assert shard.mark is None
    bench.gates[1].set_result(None)
    await settle()
    assert shard.mark == "2"


async def test_two_shards_share_the_slots_in_turn(bench: Bench) -> None:
    slots = asyncio.Semaphore(2)
    one, two = (Shard(bench.work, slots, 2, bench.failures.append) for _ in range(2))
    one.offer(map(record, [1, 2, 3]))
    two.offer(map(record, [11, 12]))
    await settle()
    assert bench.started in ([1, 11], [1, 2])
    for number in list(bench.started):
        bench.gates[number].set_result(None)
    await settle()
    assert {1, 11} < set(bench.started)
    await one.cancel()
    await two.cancel()


async def test_stopping_drops_what_waits_and_lets_what_runs_finish(bench: Bench, shard: Shard) -> None:
    shard.offer(map(record, range(1, 7)))
    await settle()
    draining = asyncio.create_task(shard.drain(timeout=None))
    await settle()
    assert shard.waiting == 0
    assert not draining.done()
    for gate in bench.gates.values():
        gate.set_result(None)
    await draining
    assert (shard.mark, bench.started) == ("4", [1, 2, 3, 4])
    shard.offer([record(9)])
    assert shard.held == 0


async def test_a_drain_gives_up_what_takes_too_long(bench: Bench, shard: Shard) -> None:
    shard.offer(map(record, [1, 2]))
    await settle()
    bench.gates[1].set_result(None)
    await shard.drain(timeout=0.01)
    assert (shard.mark, shard.held) == ("1", 0)
    assert bench.gates[2].cancelled()


async def test_cancelled_work_does_not_count_as_done(bench: Bench, shard: Shard) -> None:
    shard.offer([record(1)])
    await settle()
    await shard.cancel()
    assert (shard.mark, bench.failures) == (None, [])


async def test_an_error_is_reported_and_does_not_count_as_done(bench: Bench, shard: Shard) -> None:
    shard.offer([record(1)])
    await settle()
    bench.gates[1].set_exception(ZeroDivisionError())
    await settle()
    assert [type(failure) for failure in bench.failures] == [ZeroDivisionError]
    assert shard.mark is None


async def test_slots_come_back_whatever_happens(bench: Bench) -> None:
    slots = asyncio.Semaphore(3)
    shard = Shard(bench.work, slots, 3, bench.failures.append)
    shard.offer(map(record, range(1, 9)))
    await settle()
    bench.gates[1].set_exception(ZeroDivisionError())
    bench.gates[2].set_result(None)
    await settle()
    await shard.cancel()
    assert slots._value == 3


async def test_a_change_is_seen_even_when_it_came_before_the_wait(bench: Bench, shard: Shard) -> None:
    shard.offer([record(1)])
    await settle()
    await asyncio.wait_for(shard.changed(), 60)
    waiting = asyncio.create_task(shard.changed())
    await settle()
    assert not waiting.done()
    bench.gates[1].set_result(None)
    await asyncio.wait_for(waiting, 60)


async def test_finish_works_everything_off(bench: Bench, shard: Shard) -> None:
    shard.offer(map(record, [1, 2]))
    finishing = asyncio.create_task(shard.finish())
    await settle()
    for gate in bench.gates.values():
        gate.set_result(None)
    await asyncio.wait_for(finishing, 60)
    assert shard.mark == "2"


async def test_it_is_whole_while_nothing_is_unfinished(bench: Bench, shard: Shard) -> None:
    seen = [shard.whole]
    shard.offer(map(record, [1, 2]))
    await settle()
    for number in (2, 1):
        bench.gates[number].set_result(None)
        await settle()
        seen.append(shard.whole)
    assert seen == [True, False, True]


async def test_it_is_not_whole_once_a_record_failed(bench: Bench, shard: Shard) -> None:
    shard.offer([record(1)])
    await settle()
    bench.gates[1].set_exception(ZeroDivisionError())
    await settle()
    assert (shard.held, shard.whole) == (0, False)


async def test_it_is_not_whole_once_work_was_cancelled(shard: Shard) -> None:
    shard.offer([record(1)])
    await settle()
    await shard.cancel()
    assert (shard.held, shard.whole) == (0, False)


async def test_it_is_not_whole_once_waiting_records_were_dropped(bench: Bench) -> None:
    shard = bench.shard(own=1)
    shard.offer(map(record, [1, 2]))
    await settle()
    shard.stop_starting()
    bench.gates[1].set_result(None)
    await shard.drain(timeout=None)
    assert (shard.mark, shard.held, shard.whole) == ("1", 0, False)


async def test_it_is_not_whole_once_a_new_record_was_dropped(shard: Shard) -> None:
    await shard.cancel()
    assert shard.whole
    shard.offer([record(1)])
    assert (shard.held, shard.whole) == (0, False)
