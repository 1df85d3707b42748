"""Shards that split and merge under load, on the emulator that can: `make kinesis`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panoveil.aws import plain_client
from panoveil.streams import Record
from tests.streams.kinesis_local import kinesis_local
from tests.streams.running import Running
from tests.streams.worlds import REGION, KclWorld

pytestmark = pytest.mark.servers

FIRST, SECOND, LOWER, UPPER, MERGED = (f"shardId-{number:012d}" for number in range(5))
AHEAD = 200
PARENTS = {LOWER: [FIRST], UPPER: [FIRST], MERGED: [UPPER, SECOND]}


@pytest.fixture
def kinesis(tmp_path: Path) -> Iterator[str]:
    with kinesis_local(tmp_path) as url:
        yield url


class Resharded:
    """A stream that reshards while a source works it off; notes what of which shard began and ended when."""

    def __init__(self, world: KclWorld, running: Running) -> None:
        self.world = world
        self.running = running
        self.began: list[str] = []
        self.ended: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.sent: list[bytes] = []
        self.early: list[str] = []
        running.handler = self._handle
        self._kinesis = plain_client("kinesis", REGION, world.streams_url)

    async def load(self, done: asyncio.Event) -> None:
        """Send until told that it is enough, never more than a few hundred ahead."""
        while not done.is_set():
            await self.running.until(lambda: len(self.sent) - len(self.running.done) < AHEAD)
            self.sent += await self.running.send(10)

    async def split(self, shard: str) -> None:
        [found] = [one for one in await self._shards() if one["ShardId"] == shard]
        low, high = (int(found["HashKeyRange"][key]) for key in ("StartingHashKey", "EndingHashKey"))
        middle = str((low + high) // 2)
        await asyncio.to_thread(
            self._kinesis.split_shard, StreamName=self.world.name, ShardToSplit=shard, NewStartingHashKey=middle
        )
        await self._settled(4)

    async def merge(self, shard: str, neighbour: str) -> None:
        await asyncio.to_thread(
            self._kinesis.merge_shards, StreamName=self.world.name, ShardToMerge=shard, AdjacentShardToMerge=neighbour
        )
        await self._settled(5)

    async def _shards(self) -> list[dict[str, Any]]:
        answer = await asyncio.to_thread(self._kinesis.list_shards, StreamName=self.world.name)
        return list(answer["Shards"])

    async def _settled(self, shards: int) -> None:
        while len(await self._shards()) < shards:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.1)

    async def _handle(self, record: Record) -> None:
        shard = record.shard_id
        self.began.append(shard)
        marks = await self.world.marks() if shard in PARENTS and shard not in self.ended else {}
        self.early += [
            f"{shard} before {parent}" for parent in PARENTS.get(shard, []) if marks and marks.get(parent) != "SHARD_END"
        ]
        if shard in self.gates:
            await self.gates[shard].wait()
        self.ended.append(shard)


async def test_shards_split_and_merge_under_load_and_nothing_is_lost_or_ended_early(emulator: str, kinesis: str) -> None:
    world = KclWorld(emulator, kinesis_url=kinesis)
    enough = asyncio.Event()
    async with Running(world) as running:
        stream = Resharded(world, running)
        loading = asyncio.create_task(stream.load(enough))
        await running.until(lambda: {FIRST, SECOND} <= set(stream.ended))
        await _parent_held_back(stream, FIRST, lambda: stream.split(FIRST), children=[LOWER, UPPER])
        await running.until(lambda: {LOWER, UPPER} <= set(stream.ended))
        await _parent_held_back(stream, SECOND, lambda: stream.merge(UPPER, SECOND), children=[MERGED])
        await running.until(lambda: MERGED in stream.ended)
        enough.set()
        await loading
        await running.finished(stream.sent)
        marks = await world.marks()
    assert stream.early == []
    assert {shard for shard, mark in marks.items() if mark == "SHARD_END"} >= {UPPER, SECOND}
    assert set(stream.ended) == {FIRST, SECOND, LOWER, UPPER, MERGED}


async def _parent_held_back(stream: Resharded, parent: str, reshard: Any, children: list[str]) -> None:
    """While a record of the parent is not finished, its shard is not ended and its children are not begun."""
    stream.gates[parent] = asyncio.Event()
    held = stream.began.count(parent)
    await stream.running.until(lambda: stream.began.count(parent) > held)
    await reshard()
    for _ in range(25):
        assert (await stream.world.marks()).get(parent) != "SHARD_END"
        assert not {*children} & {*stream.began}
        await asyncio.sleep(0.2)
    stream.gates[parent].set()
