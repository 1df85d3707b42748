"""What a source promises across its end. One behaviour, two worlds."""

import asyncio

from panoveil.streams import Record
from tests.streams.running import Running
from tests.streams.worlds import MAX_IN_FLIGHT, World


async def test_the_next_start_resumes_at_the_checkpoint(world: World) -> None:
    async with Running(world) as first:
        names = await first.send(30)
        await first.until(lambda: len(first.done) >= 10)
    # Stopped in order: what ran was finished and checkpointed, nothing of it comes again.
    async with Running(world) as second:
        await second.finished([name for name in names if name not in first.done])
        assert not first.done.keys() & second.done.keys()
        stuck = asyncio.Event()
        second.handler = lambda record: _wait_for(stuck, record)
        later = await second.send(30)  # some for every shard
        await second.until(lambda: second.in_flight["task"] == MAX_IN_FLIGHT)
        await second.crash()
    # Crashed: all that was unfinished comes again.
    async with Running(world) as third:
        await third.finished(later)
        await third.checkpointed(later)
    assert {*names, *later} == first.done.keys() | second.done.keys() | third.done.keys()


async def _wait_for(event: asyncio.Event, record: Record) -> None:
    await event.wait()
