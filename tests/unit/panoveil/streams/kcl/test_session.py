import asyncio
import base64
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from panoveil.contracts.errors import Misconfigured
from panoveil.streams import Limits, Record
from panoveil.streams._kcl.channel import Channel, LinkClosed
from panoveil.streams._kcl.session import Session, Watch
from panoveil.streams._lag import Lag
from panoveil.streams._shard import Shard
from tests.unit.panoveil.streams.kcl.ends import two_ends

LONG, SHORT = 3600.0, 0.02


class Daemon:
    """Speaks the daemon's part, and holds the strings of the work."""

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self.channel = channel
        self.limits = limits
        self.gates: dict[bytes, asyncio.Future[None]] = {}
        self.checkpoints = 0
        self.lag = Lag("session", now=lambda: 100.0)

    async def work(self, record: Record) -> None:
        self.gates[record.data] = asyncio.get_running_loop().create_future()
        await self.gates[record.data]

    async def started(self, *names: bytes) -> None:
        while not {*names} <= self.gates.keys():  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)

    def finish(self, *names: bytes) -> None:
        for name in names:
            self.gates[name].set_result(None)

    async def say(self, action: str, **more: Any) -> None:
        await self.channel.send({"action": action, **more})

    async def give(self, *numbers: int) -> None:
        await self.say("processRecords", records=[entry(number) for number in numbers], millisBehindLatest=0)

    async def hear(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.channel.receive(), 60)

    async def hears_status(self, action: str) -> None:
        assert await self.hear() == {"action": "status", "responseFor": action}

    async def hears_checkpoint(self, number: int | None, error: str | None = None) -> None:
        mark = None if number is None else str(number)
        assert await self.hear() == {"action": "checkpoint", "sequenceNumber": mark, "subSequenceNumber": None}
        await self.say("checkpoint", sequenceNumber=mark, subSequenceNumber=None, error=error)

    async def is_silent(self) -> bool:
        try:
            await asyncio.wait_for(self.channel.receive(), 2 * SHORT)
        except TimeoutError:
            return True
        return False

    def counts(self) -> None:
        self.checkpoints += 1


def entry(number: int) -> dict[str, Any]:
    data = base64.b64encode(b"%d" % number).decode()
    return {
        "action": "record",
        "data": data,
        "partitionKey": f"key-{number}",
        "sequenceNumber": str(number),
        "subSequenceNumber": 0,
        "approximateArrivalTimestamp": 1000 * number,
    }


@asynccontextmanager
async def session(limits: Limits) -> AsyncIterator[tuple[Daemon, Session, "asyncio.Task[None]"]]:
    """A session whose shard is initialised."""
    async with two_ends() as (here, there):
        daemon = Daemon(there, limits)
        shard = Shard(daemon.work, asyncio.Semaphore(limits.max_in_flight), limits.max_in_flight_per_shard, lambda _: None)
        session = Session(here, shard, limits, Watch(daemon.counts, daemon.lag))
        running = asyncio.create_task(session.run())
        await daemon.say("initialize", shardId="shardId-7", sequenceNumber="TRIM_HORIZON", subSequenceNumber=0)
        await daemon.hears_status("initialize")
        yield daemon, session, running
        await there.close()
        await asyncio.wait_for(running, 60)


def limits(**changes: Any) -> Limits:
    return Limits(**{"max_in_flight": 2, "hold_seconds": LONG, "checkpoint_seconds": 0.0, "drain_seconds": LONG, **changes})


async def test_records_are_handed_over_whole() -> None:
    seen: list[Record] = []

    async def work(record: Record) -> None:
        seen.append(record)

    async with two_ends() as (here, there):
        shard = Shard(work, asyncio.Semaphore(1), 1, lambda _: None)
        daemon = Daemon(there, Limits())
        running = asyncio.create_task(Session(here, shard, Limits(), Watch(daemon.counts, daemon.lag)).run())
        await daemon.say("initialize", shardId="shardId-7", sequenceNumber="TRIM_HORIZON", subSequenceNumber=0)
        await daemon.hears_status("initialize")
        await daemon.give(4)
        await daemon.hears_status("processRecords")
        await there.close()
        await running
    assert seen == [Record("shardId-7", "4", "key-4", b"4", 4.0)]


async def test_a_batch_is_returned_once_all_of_it_runs_and_checkpointed_with_the_next() -> None:
    async with session(limits()) as (daemon, _, _):
        await daemon.give(1, 2)
        await daemon.hears_status("processRecords")
        daemon.finish(b"1", b"2")
        await daemon.give()
        await daemon.hears_checkpoint(2)
        await daemon.hears_status("processRecords")
        await daemon.give()
        await daemon.hears_status("processRecords")
        assert daemon.checkpoints == 1


async def test_a_batch_is_held_while_there_is_no_room() -> None:
    async with session(limits()) as (daemon, _, _):
        await daemon.give(1, 2, 3)
        await daemon.started(b"1", b"2")
        assert await daemon.is_silent()
        daemon.finish(b"2")
        await daemon.hears_status("processRecords")


async def test_it_is_held_no_longer_than_agreed() -> None:
    async with session(limits(hold_seconds=SHORT)) as (daemon, _, _):
        await daemon.give(1, 2, 3)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1", b"2")
        assert daemon.gates.keys() == {b"1", b"2"}


async def test_unless_too_many_records_are_held_already() -> None:
    async with session(limits(hold_seconds=SHORT, max_held_per_shard=3)) as (daemon, _, _):
        await daemon.give(1, 2, 3)
        await daemon.started(b"1", b"2")
        assert await daemon.is_silent()
        daemon.finish(b"2")
        await daemon.hears_status("processRecords")


async def test_what_completes_while_a_batch_is_held_is_checkpointed() -> None:
    async with session(limits(checkpoint_seconds=SHORT)) as (daemon, _, _):
        await daemon.give(1, 2, 3, 4)
        await daemon.started(b"1", b"2")
        daemon.finish(b"1")
        await daemon.hears_checkpoint(1)


async def test_stopping_lets_a_held_batch_go_and_drops_new_ones() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.give(1, 2, 3)
        await daemon.started(b"1", b"2")
        one.stop_starting()
        await daemon.hears_status("processRecords")
        await daemon.give(4, 5)
        await daemon.hears_status("processRecords")
        assert daemon.gates.keys() == {b"1", b"2"}


async def test_a_hand_over_finishes_what_runs_and_checkpoints_it() -> None:
    async with session(limits(hold_seconds=SHORT)) as (daemon, one, _):
        await daemon.give(1, 2, 3)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1", b"2")
        await daemon.say("shutdownRequested")
        assert await daemon.is_silent()
        daemon.finish(b"1", b"2")
        await daemon.hears_checkpoint(2)
        await daemon.hears_status("shutdownRequested")
        assert one.said_bye
        await daemon.say("leaseLost")
        await daemon.hears_status("leaseLost")


async def test_a_hand_over_does_not_wait_for_ever() -> None:
    async with session(limits(drain_seconds=SHORT)) as (daemon, _, _):
        await daemon.give(1, 2)
        await daemon.started(b"1", b"2")
        await daemon.hears_status("processRecords")
        daemon.finish(b"1")
        await daemon.say("shutdownRequested")
        await daemon.hears_checkpoint(1)
        await daemon.hears_status("shutdownRequested")
        assert daemon.gates[b"2"].cancelled()


async def test_a_lost_lease_cancels_its_work() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.give(1)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1")
        await daemon.say("leaseLost")
        await daemon.hears_status("leaseLost")
        assert daemon.gates[b"1"].cancelled()
        assert one.said_bye


async def test_a_shards_end_is_checkpointed_only_after_all_of_it() -> None:
    async with session(limits(hold_seconds=SHORT)) as (daemon, one, _):
        await daemon.give(1, 2, 3)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1", b"2")
        await daemon.say("shardEnded", checkpoint="SHARD_END")
        daemon.finish(b"1", b"2")
        await daemon.started(b"3")
        assert await daemon.is_silent()
        daemon.finish(b"3")
        await daemon.hears_checkpoint(None)
        await daemon.hears_status("shardEnded")
        assert one.said_bye


async def test_the_end_of_a_shard_that_dropped_waiting_records_is_left_to_the_next_owner() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.give(1, 2, 3)
        await daemon.started(b"1", b"2")
        one.stop_starting()
        await daemon.hears_status("processRecords")
        await daemon.say("shardEnded", checkpoint="SHARD_END")
        assert await daemon.is_silent()
        daemon.finish(b"1", b"2")
        await daemon.hears_checkpoint(2)
        await daemon.hears_status("shardEnded")
        assert one.said_bye


async def test_the_end_of_a_shard_that_dropped_a_new_batch_is_left_to_the_next_owner() -> None:
    async with session(limits()) as (daemon, one, _):
        one.stop_starting()
        await daemon.give(1, 2)
        await daemon.hears_status("processRecords")
        await daemon.say("shardEnded", checkpoint="SHARD_END")
        await daemon.hears_status("shardEnded")
        assert (daemon.checkpoints, one.said_bye) == (0, True)


async def test_the_end_of_a_shard_with_a_failed_record_is_left_to_the_next_owner() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.give(1, 2)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1", b"2")
        daemon.finish(b"1")
        daemon.gates[b"2"].set_exception(Misconfigured("no bucket"))
        await daemon.say("shardEnded", checkpoint="SHARD_END")
        await daemon.hears_checkpoint(1)
        await daemon.hears_status("shardEnded")
        assert not one.said_bye


async def test_a_shard_that_ends_while_its_last_records_are_finished_for_a_stop_is_at_its_end() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.give(1, 2)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1", b"2")
        one.stop_starting()
        await daemon.say("shardEnded", checkpoint="SHARD_END")
        daemon.finish(b"1", b"2")
        await daemon.hears_checkpoint(None)
        await daemon.hears_status("shardEnded")
        assert one.said_bye


async def test_a_shards_end_whose_checkpoint_failed_is_no_bye() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.say("shardEnded", checkpoint="SHARD_END")
        await daemon.hears_checkpoint(None, "ThrottlingException")
        await daemon.hears_status("shardEnded")
        assert not one.said_bye


async def test_a_checkpoint_refused_for_a_lost_lease_cancels_the_work() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.give(1, 2)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1", b"2")
        daemon.finish(b"1")
        await daemon.give()
        await daemon.hears_checkpoint(1, "ShutdownException")
        await daemon.hears_status("processRecords")
        assert daemon.gates[b"2"].cancelled()
        assert not one.said_bye


@pytest.mark.parametrize("error", ["ThrottlingException", "KinesisClientLibDependencyException"])
async def test_a_checkpoint_that_failed_for_now_is_tried_again(error: str) -> None:
    async with session(limits()) as (daemon, _, _):
        await daemon.give(1)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1")
        daemon.finish(b"1")
        for refusal in (error, None):
            await daemon.give()
            await daemon.hears_checkpoint(1, refusal)
            await daemon.hears_status("processRecords")
        assert daemon.checkpoints == 1


async def test_any_other_refusal_ends_the_session_without_a_bye() -> None:
    async with session(limits()) as (daemon, one, running):
        await daemon.give(1)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1")
        daemon.finish(b"1")
        await daemon.give()
        await daemon.hears_checkpoint(1, "InvalidStateException")
        await asyncio.wait_for(running, 60)
        assert not one.said_bye


async def test_a_crash_of_the_child_cancels_its_work() -> None:
    async with session(limits()) as (daemon, one, running):
        await daemon.give(1)
        await daemon.started(b"1")
        await daemon.hears_status("processRecords")
        await daemon.channel.close()
        await asyncio.wait_for(running, 60)
        assert daemon.gates[b"1"].cancelled()
        assert not one.said_bye


@pytest.mark.parametrize("action", ["dance", ""])
async def test_an_unknown_action_ends_the_session(action: str) -> None:
    async with session(limits()) as (daemon, _, running):
        await daemon.say(action)
        await asyncio.wait_for(running, 60)
        with pytest.raises(LinkClosed):
            await daemon.hear()


def losing_patience(session: Session) -> None:
    """Wait long for the message that it waits for now, so that no busy machine is taken for silence, and briefly for the one after."""
    session._limits = dataclasses.replace(session._limits, stall_seconds=SHORT)


async def test_a_silent_daemon_is_given_up() -> None:
    async with session(limits()) as (daemon, one, running):
        losing_patience(one)
        await daemon.give()
        await daemon.hears_status("processRecords")
        await asyncio.wait_for(running, 60)
        assert not one.said_bye


async def test_a_daemon_that_does_not_answer_a_checkpoint_is_given_up() -> None:
    async with session(limits()) as (daemon, one, running):
        losing_patience(one)
        await daemon.give(1, 2, 3)
        await daemon.started(b"1", b"2")
        daemon.finish(b"1")
        assert (await daemon.hear())["action"] == "checkpoint"
        await asyncio.wait_for(running, 60)
        assert not one.said_bye
        assert daemon.gates[b"2"].cancelled()


async def test_an_idle_shard_has_no_lag() -> None:
    async with session(limits()) as (daemon, _, _):
        await daemon.give(40, 70)
        await daemon.hears_status("processRecords")
        await daemon.started(b"40", b"70")
        assert daemon.lag.seconds() == 60.0
        daemon.finish(b"40")
        daemon.finish(b"70")
        await daemon.give()
        await daemon.hears_checkpoint(70)
        await daemon.hears_status("processRecords")
        assert daemon.lag.seconds() == 0.0


async def test_a_shard_that_holds_nothing_lags_as_its_stream_says() -> None:
    async with session(limits()) as (daemon, _, running):
        await daemon.say("processRecords", records=[], millisBehindLatest=2500)
        await daemon.hears_status("processRecords")
        assert daemon.lag.seconds() == 2.5
        await daemon.channel.close()
        await asyncio.wait_for(running, 60)
        assert daemon.lag.seconds() == 0.0


async def test_quiet_waits_for_work_and_its_checkpoint() -> None:
    async with session(limits()) as (daemon, one, _):
        await daemon.give(1)
        await daemon.hears_status("processRecords")
        await daemon.started(b"1")
        one.stop_starting()
        waiting = asyncio.create_task(one.quiet(LONG))
        await asyncio.sleep(0)
        daemon.finish(b"1")
        await daemon.give()
        await daemon.hears_checkpoint(1)
        await daemon.hears_status("processRecords")
        await asyncio.wait_for(waiting, 60)
        assert daemon.checkpoints == 1
