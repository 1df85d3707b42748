"""One run: drives are sent, things are killed, and once all has been worked off it is judged."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos import drives as workload
from benchmarks.chaos.faults import Faults, Odds
from benchmarks.chaos.fleet import KINDS, Fleet, kill
from benchmarks.chaos.judge import Verdict, judge
from benchmarks.options import Tell
from console.demo.run import Drive, import_rig
from console.stack import stack as stacks
from panoveil.aws import plain_client
from panoveil.contracts.keys import Stream
from panoveil.contracts.reasons import Reason
from panoveil.ledger import ENDS, CaptureState
from panoveil.runtime import Connections, connect

CUT = "connections"
_LOOK_EVERY = 1.0
_TRY_FOR = 20.0
_INCOMPLETE_AFTER = 60.0


@dataclass(frozen=True)
class Plan:
    """What a run does. `width` in pixels of the panoramas, `every` the mean seconds between kills, `patience` seconds after the last."""

    captures: int = 300
    a_drive: int = 20
    kills: int = 110
    every: float = 6.0
    width: int = 512
    seed: int = 1
    patience: float = 900.0
    odds: Odds = field(default_factory=Odds)


@dataclass(frozen=True)
class Outcome:
    """What was done to the pipeline, and what became of the captures."""

    verdict: Verdict
    kills: Counter[str]
    faults: Counter[str]
    restarts: Counter[str]
    seconds: float


async def run(plan: Plan, folder: Path, tell: Tell) -> Outcome:
    """Do all of the plan; logs and drives lie in `folder` afterwards."""
    chance = random.Random(plan.seed)  # noqa: S311 - a seeded schedule, no secret
    tell(f"the virtual car takes {plan.captures} captures")
    drives = workload.make(folder, plan.captures, plan.a_drive, plan.width, plan.seed)
    began = time.monotonic()
    async with _world(plan, folder, _limit(drives, plan), chance) as (fleet, faults, world):
        await import_rig(drives[0].folder, world)
        kills: Counter[str] = Counter()
        await _together(_send(drives, fleet, kills, plan, tell), _kill(plan, fleet, faults, kills, tell))
        await _worked_off(drives, world, plan.patience, tell)
        settings = fleet.stack.settings
        stream = settings.stream(Stream.PUBLICATIONS)
        everything = await asyncio.to_thread(told, stream, settings.region, settings.endpoint_url)
        verdict = await judge(drives, world.ledger, world.blobs, everything)
    return Outcome(verdict, kills, faults.counts, fleet.restarts, time.monotonic() - began)


def _limit(drives: Sequence[Drive], plan: Plan) -> str:
    """Return the bandwidth at which the car is busy for half the time in which things are killed."""
    size = sum(path.stat().st_size for drive in drives for path in drive.folder.glob("*/*"))
    return f"{2 * size / (plan.kills * plan.every):.0f}B/s"


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Do all; the first that fails ends the others, and its error is raised bare."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _world(plan: Plan, folder: Path, limit: str, chance: random.Random) -> AsyncIterator[tuple[Fleet, Faults, Connections]]:
    """The pipeline behind the faulty proxy, and connections of our own that see the servers as they are."""
    extra = {
        "PANOVEIL_STITCH__WIDTH": str(plan.width),
        "PANOVEIL_INCOMPLETE_AFTER": str(_INCOMPLETE_AFTER),
        "PANOVEIL_SWEEP_EVERY": "5",
    }
    async with contextlib.AsyncExitStack() as closing:
        stack = await closing.enter_async_context(stacks.running(folder / "logs", extra, services=()))
        assert stack.settings.endpoint_url is not None
        faults = Faults(stack.settings.endpoint_url, plan.odds, random.Random(plan.seed + 1))  # noqa: S311
        await closing.enter_async_context(faults.running())
        world = await closing.enter_async_context(connect(stack.settings))
        fleet = Fleet(stack, {**stack.environment, "PANOVEIL_ENDPOINT_URL": faults.url, "PANOVEIL_LIMIT": limit}, chance)
        await closing.enter_async_context(fleet.supervised())
        yield fleet, faults, world


async def _send(drives: Sequence[Drive], fleet: Fleet, kills: Counter[str], plan: Plan, tell: Tell) -> None:
    """Send drive after drive, each once its share of the kills is done, so that captures are under way at every kill."""
    for number, drive in enumerate(drives):
        while kills.total() < plan.kills * number / len(drives):  # noqa: ASYNC110 - a counter is no event
            await asyncio.sleep(_LOOK_EVERY)
        await fleet.upload(drive)
        tell(f"the car has sent drive {number + 1} of {len(drives)}")


async def _kill(plan: Plan, fleet: Fleet, faults: Faults, kills: Counter[str], tell: Tell) -> None:
    for target in schedule(fleet.chance):
        if kills.total() >= plan.kills:
            return
        await asyncio.sleep(fleet.chance.uniform(0.3, 1.7) * plan.every)
        if target == CUT:
            faults.cut()
        elif await _killed(fleet, target):
            kills[target] += 1
            tell(f"killed {target} ({kills.total()} of {plan.kills})")
        else:
            tell(f"there was no {target} to kill for {_TRY_FOR:.0f} s")


async def _killed(fleet: Fleet, target: str) -> bool:
    """Kill it as soon as it is there: it may be on its way up."""
    deadline = time.monotonic() + _TRY_FOR
    while time.monotonic() < deadline:
        if await asyncio.to_thread(kill, fleet, target):
            return True
        await asyncio.sleep(0.2)
    return False


def schedule(chance: random.Random) -> Iterator[str]:
    """Yield without end what is to be killed, every kind as often as any other, in random order; once a round all connections are cut."""
    while True:
        yield from chance.sample([*KINDS, CUT], len(KINDS) + 1)


async def _worked_off(drives: Sequence[Drive], world: Connections, patience: float, tell: Tell) -> None:
    """Return once every capture has ended, or when patience has."""
    deadline, before = time.monotonic() + patience, -1
    wanted = sum(len(drive.captures) for drive in drives)
    while time.monotonic() < deadline:
        states = [state for drive in drives for state in await _states(drive, world)]
        ended = sum(map(_has_ended, states))
        if ended != before:
            tell(f"{ended} of {wanted} captures have ended")
        if ended >= wanted:
            return
        before = ended
        await asyncio.sleep(_LOOK_EVERY)


async def _states(drive: Drive, world: Connections) -> list[CaptureState]:
    return [state async for state in world.ledger.captures(drive.drive_id)]


def _has_ended(state: CaptureState) -> bool:
    """Whether it has, for good: one given up for want of a frame goes on when the frame comes, and here every frame comes."""
    return state.state in ENDS and state.reason != Reason.FRAME_MISSING


def told(name: str, region: str, endpoint_url: str | None) -> list[bytes]:
    """Return every record of a stream, shard by shard."""
    kinesis = plain_client("kinesis", region, endpoint_url)
    found: list[bytes] = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        start = {"StreamName": name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**start)["ShardIterator"]
        while (answer := kinesis.get_records(ShardIterator=iterator))["Records"]:
            found += [record["Data"] for record in answer["Records"]]
            iterator = answer["NextShardIterator"]
    return found
