"""How far a shard has come, and that a source which reads a part of a stream ends by itself where every shard has passed its end."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.streams import KclConfig, KclSource, Record
from panoveil.streams._kcl.files import properties_of
from panoveil.streams._kcl.session import Session, Watch
from panoveil.streams._shard import Shard
from tests.unit.panoveil.streams.kcl.ends import two_ends
from tests.unit.panoveil.streams.kcl.test_session import Daemon, entry, limits

PART = KclConfig("app", "stream", "eu-north-1", "me", "test", start=1000.9, end=2000.0)


def test_an_application_that_begins_at_a_time_is_told_the_second_and_no_other_beginning() -> None:
    properties = properties_of(PART, Path("/x/child"))
    assert properties["initialPositionInStreamExtended"] == "1000"
    assert "initialPositionInStream" not in properties


async def positions(*batches: tuple[list[int], int | None], finish: bool = True) -> list[tuple[str, float]]:
    """What is told of a shard that gets these batches, each so many milliseconds behind."""
    told: list[tuple[str, float]] = []

    async def work(record: Record) -> None:
        await asyncio.sleep(0 if finish else math.inf)

    async with two_ends() as (here, there):
        daemon = Daemon(there, limits())
        shard = Shard(work, asyncio.Semaphore(2), 2, lambda _: None)
        watch = Watch(daemon.counts, daemon.lag, lambda *position: told.append(position))
        running = asyncio.create_task(Session(here, shard, limits(hold_seconds=0.02), watch).run())
        for numbers, behind in batches:
            await daemon.say("processRecords", records=list(map(entry, numbers)), millisBehindLatest=behind)
            while (heard := await daemon.hear())["action"] == "checkpoint":
                await daemon.say("checkpoint", sequenceNumber=heard["sequenceNumber"], subSequenceNumber=None, error=None)
        await there.close()
        await running
    return told


@pytest.mark.parametrize(
    ("batches", "told"),
    [
        ([([1, 2], 500), ([], 500), ([], 0)], [("?", 2.0), ("?", math.inf)]),
        ([([], 500)], []),
        ([([], None)], []),
        ([([3], 0)], [("?", math.inf)]),
    ],
)
async def test_a_shard_has_come_as_far_as_its_records_and_to_its_tip_only_where_nothing_lies_ahead(
    batches: list[tuple[list[int], int | None]], told: list[tuple[str, float]]
) -> None:
    # What is finished only after its batch was given back is told of with the next.
    found = await positions(*batches, ([], 500))
    assert [at for at in dict.fromkeys(found) if at[1] > 0] == told


async def test_a_shard_that_is_never_idle_has_come_as_far_as_what_is_done() -> None:
    found = await positions(*(([number], 500) for number in range(1, 6)))
    assert ("?", 4.0) in found


async def test_what_is_not_worked_off_is_not_passed() -> None:
    assert {at for _, at in await positions(([1], 0), ([], 0), finish=False)} == {-math.inf}


@given(st.permutations([("a", 1500.0), ("a", 2000.5), ("b", 2000.0), ("b", math.inf), ("new", math.inf)]))
def test_a_part_ends_once_each_shard_of_its_beginning_has_passed_the_end(order: list[tuple[str, float]]) -> None:
    source = KclSource(PART)
    source._to_pass = {"a", "b"}
    tell: Callable[[str, float], None] = source._set_passed
    for number, position in enumerate(order):
        tell(*position)
        passed = {shard for shard, at in order[: number + 1] if at > 2000.0}
        assert source._stop.is_set() is ({"a", "b"} <= passed)
