"""What a source promises while it runs. One behaviour, two worlds."""

import asyncio

import pytest

from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.streams import Outgoing, Record
from tests.streams.running import Running, new_names, nothing
from tests.streams.worlds import MAX_IN_FLIGHT, MAX_IN_FLIGHT_PER_SHARD

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def _as_new(running: Running) -> None:
    running.handler = nothing
    running.most_in_flight.clear()


async def test_everything_is_delivered_and_checkpointed(running: Running) -> None:
    names = await running.send(60)
    await running.finished(names)
    await running.checkpointed(names)
    assert {record.shard_id for record in running.done.values()} == set(await running.world.checkpoints())


async def test_a_record_arrives_as_it_was_sent(running: Running) -> None:
    [name] = await running.send(1)
    await running.finished([name])
    record = running.done[name]
    assert (record.data, record.partition_key) == (name, name.decode())
    assert record.arrived_at > 1_700_000_000


async def test_no_more_is_in_flight_than_allowed(running: Running) -> None:
    gate = asyncio.Event()

    async def wait(record: Record) -> None:
        await gate.wait()

    running.handler = wait
    names = await running.send(40)
    await running.until(lambda: running.in_flight["task"] == MAX_IN_FLIGHT)
    await running.until(_several_looks())
    gate.set()
    await running.finished(names)
    assert running.most_in_flight["task"] == MAX_IN_FLIGHT
    assert max(count for lane, count in running.most_in_flight.items() if lane != "task") == MAX_IN_FLIGHT_PER_SHARD


async def test_no_checkpoint_passes_unfinished_work(running: Running) -> None:
    gate = asyncio.Event()
    names = new_names(30)
    slow: dict[str, Record] = {}

    async def first_of_a_shard_waits(record: Record) -> None:
        # By name: a record that is delivered twice must not pass for another one.
        if record.data in names and slow.setdefault(record.shard_id, record).data == record.data:
            await gate.wait()

    running.handler = first_of_a_shard_waits
    await running.send_named(names)
    await running.until(lambda: len({*names} & running.done.keys()) == len(names) - 2 and len(slow) == 2)
    await running.until(_several_looks())
    marks = await running.world.checkpoints()
    assert all(marks.get(shard, 0) < int(record.sequence_number) for shard, record in slow.items())
    gate.set()
    await running.finished(names)
    await running.checkpointed(names)


async def test_poison_is_quarantined_and_the_shard_goes_on(running: Running) -> None:
    async def choke(record: Record) -> None:
        if record.data == names[3]:
            raise Rejected("not_json", "it is not")
        if record.data == names[5]:
            raise ZeroDivisionError

    names = new_names(10)
    running.handler = choke
    await running.send_named(names)
    await running.finished(names)
    assert dict(running.quarantine.kept) == {names[3]: "not_json", names[5]: "handler_failed"}
    await running.checkpointed([name for name in names if name in running.done])


async def test_a_dependency_that_is_down_is_waited_for(running: Running) -> None:
    names = new_names(3)

    async def down_at_first(record: Record) -> None:
        if record.data in names and running.deliveries[record.data] < 3:
            raise Unavailable("s3", "asleep")

    running.handler = down_at_first
    await running.send_named(names)
    await running.finished(names)
    assert all(running.deliveries[name] >= 3 for name in names)
    assert not {*names} & {data for data, _ in running.quarantine.kept}


async def test_the_lag_grows_while_a_dependency_is_down_and_ends_with_it(running: Running) -> None:
    down = True

    async def at_first(record: Record) -> None:
        if down:
            raise Unavailable("s3", "asleep")

    running.handler = at_first
    names = await running.send(30)
    await running.until(lambda: running.lag > 0.5)
    shown = running.lag
    await running.until(lambda: running.lag > 2 * shown)
    assert not {*names} & running.done.keys()
    down = False
    await running.finished(names)
    await running.until(lambda: running.lag == 0)


async def test_a_record_that_is_too_large_is_refused_with_all_that_were_to_go_with_it(running: Running) -> None:
    too_large = Outgoing("kø", bytes(2**20 - 2))  # a byte too many: the key has three
    with pytest.raises(ValueError, match="1048576"):
        await running.world.send([*[Outgoing(name.decode(), name) for name in new_names(600)], too_large])
    await running.finished(await running.send(20))
    assert running.deliveries.keys() <= running.sent


@pytest.mark.parametrize("victim", ["a child", "the JVM"])
async def test_a_killed_process_loses_nothing(running: Running, victim: str) -> None:
    if victim not in running.world.faults:
        pytest.skip("this world has no such process")
    before = await running.send(20)
    await running.until(lambda: len({*before} & running.done.keys()) >= 5)
    running.world.faults[victim]()
    after = await running.send(20)
    await running.finished(before + after)
    await running.checkpointed(before + after)


def _several_looks() -> "_Countdown":
    return _Countdown()


class _Countdown:
    """True at the fifth look: time enough for a wrong checkpoint to show."""

    def __init__(self) -> None:
        self._left = 25

    def __call__(self) -> bool:
        self._left -= 1
        return self._left <= 0
