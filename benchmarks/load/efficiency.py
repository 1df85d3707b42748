"""How much of the services' CPU is work on pixels.

Drive after drive is worked off. Counted are, from when it begins to come in until nothing of it is under way, each service's CPU-seconds,
its JVM's and its shard children's included. Straight after that, since a shared machine is not always as fast, its captures go through the
same handlers in this process, with streams, objects, ledger and the detector's answers in memory: what that takes is the pure functions'
share. The first drive warms all of that up and does not count. The anonymizer has a stack of its own, whose Triton has learnt the answers
(`recalled`), so that it is busy and does not wait for a CPU's inference.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2

from benchmarks.chaos.drives import make
from benchmarks.load.recalled import start_recalled, write_repository
from benchmarks.load.twin import Twin
from benchmarks.options import Tell
from console.demo.run import Drive, import_rig
from console.stack import stack as stacks
from panoveil.contracts.errors import Unavailable
from panoveil.detection import TritonDetector
from panoveil.ledger import State
from panoveil.pixels.process import prepare
from panoveil.runtime import Connections, connect
from services.agent.app import connect as agent_connect
from services.agent.app import upload_drive
from services.agent.settings import AgentSettings
from services.anonymizer.settings import AnonymizerSettings

Alone = Mapping[str, Callable[[Drive], Awaitable[float]]]
"""By stage: works off a drive with the handlers alone, returns CPU-seconds."""

_STAGES: Mapping[str, State] = {"ingest": State.READY, "stitcher": State.STITCHED, "anonymizer": State.PUBLISHED}
_LOOK_EVERY = 0.05
_SETTLE = 60.0
"""Seconds after which a JVM that has nothing to do has compiled what it does meanwhile."""
_PATIENCE = 1800.0
_DRAIN = 25.0
_PAST: Mapping[State, frozenset[State]] = {
    State.READY: frozenset({State.READY, State.STITCHED, State.PUBLISHED, State.HELD}),
    State.STITCHED: frozenset({State.STITCHED, State.PUBLISHED, State.HELD}),
    State.PUBLISHED: frozenset({State.PUBLISHED, State.HELD}),
}


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU-seconds a capture: of a service with all that belongs to it, and of its handlers alone."""

    service: float
    pure: float


async def measure(captures: int, rounds: int, width: int, idle_seconds: float, folder: Path, tell: Tell) -> dict[str, Any]:
    """Return CPU-seconds a panorama by stage, of the services and of the pure functions; and what the three cost when idle."""
    prepare()
    cv2.setNumThreads(1)
    tell(f"efficiency: photographing for panoramas of {width} pixels")
    drives = make(folder / "drives", (1 + rounds) * captures, captures, width, seed=1)
    extra = {"PANOVEIL_STITCH__WIDTH": str(width), "PANOVEIL_INCOMPLETE_AFTER": "86400"}
    with Twin() as twin:
        async with stacks.running(folder / "logs", extra, services=()) as stack, connect(stack.settings) as world:
            idle = await _idle(stack, idle_seconds, tell)
            await twin.take_raw(drives, world)
            alone: Alone = {"ingest": twin.ingest, "stitcher": twin.stitch}
            spent = await _busy(alone, drives, lambda drive: _upload(drive, world), stack, world, tell)
            await twin.take_stitched(drives, world)
            await _learn(drives, twin, tell)
        async with stacks.running(folder / "recalled-logs", extra, services=()) as stack, connect(stack.settings) as world:
            await asyncio.to_thread(stack.processes.pop("triton").stop, _DRAIN)
            await start_recalled(stack, write_repository(folder / "recalled", twin.memory.answers))
            await twin.give_stitched(world)
            alone = {"anonymizer": twin.anonymize}
            spent |= await _busy(alone, drives, lambda drive: twin.send_stitched(drive, world), stack, world, tell)
    return _figures(spent) | {"idle_share_of_a_core": round(idle, 3), "width": width, "captures": captures}


def _figures(spent: Mapping[str, Sequence[Spent]]) -> dict[str, Any]:
    """Return medians over the rounds, and each round's efficiency: all of its pure work over all that the services took."""
    rounds = [sum(one.pure for one in each) / sum(one.service for one in each) for each in zip(*spent.values(), strict=True)]
    return {
        "efficiency": round(median(rounds), 3),
        "efficiency_by_round": [round(value, 3) for value in rounds],
        "efficiency_by_stage": {name: round(median(one.pure / one.service for one in of), 3) for name, of in spent.items()},
        "services_cpu_s": {name: round(median(one.service for one in of), 3) for name, of in spent.items()},
        "pure_cpu_s": {name: round(median(one.pure for one in of), 3) for name, of in spent.items()},
    }


async def _upload(drive: Drive, world: Connections) -> None:
    await import_rig(drive.folder, world)
    async with agent_connect(AgentSettings()) as ports:
        await upload_drive(drive.folder, ports, lambda _event: None)


async def _busy(
    alone: Alone,
    drives: Sequence[Drive],
    feed: Callable[[Drive], Awaitable[None]],
    stack: stacks.Stack,
    world: Connections,
    tell: Tell,
) -> dict[str, list[Spent]]:
    """Have the stages' services work off every drive, and the handlers alone after it; return what each drive but the first took."""
    for name in alone:
        stacks.start_service(stack, name)
    spent: dict[str, list[Spent]] = {name: [] for name in alone}
    for drive in drives:
        before = {name: stack.processes[name].cpu_seconds() for name in alone}
        await feed(drive)
        taken = {name: await _until_done(name, drive, stack, world) - before[name] for name in alone}
        for name, handler in alone.items():
            one = Spent(taken[name] / len(drive.captures), await handler(drive) / len(drive.captures))
            spent[name].append(one)
            tell(f"efficiency: {name} {one.service:.2f} CPU-s a panorama, JVM and shard children included; alone {one.pure:.2f}")
    await asyncio.gather(*(_stop(name, stack) for name in alone))
    return {name: of[1:] for name, of in spent.items()}


async def _until_done(name: str, drive: Drive, stack: stacks.Stack, world: Connections) -> float:
    """Wait until every capture of the drive is past a stage; return its service's CPU-seconds so far."""
    deadline, past = time.monotonic() + _PATIENCE, _PAST[_STAGES[name]]
    while time.monotonic() < deadline:
        states = [state.state async for state in world.ledger.captures(drive.drive_id)]
        if sum(state in past for state in states) == len(drive.captures):
            return stack.processes[name].cpu_seconds()
        stack.require_running()
        await asyncio.sleep(_LOOK_EVERY)
    raise Unavailable(name, f"{drive.drive_id} was not done in {_PATIENCE:.0f} s")


async def _idle(stack: stacks.Stack, seconds: float, tell: Tell) -> float:
    """Start all three with nothing to do; return the share of one core that they take, and stop them."""
    for name in _STAGES:
        stacks.start_service(stack, name)
    tell(f"idle: all three services for {seconds:.0f} s, after {_SETTLE:.0f} s to settle")
    await asyncio.sleep(_SETTLE)
    services = [stack.processes[name] for name in _STAGES]
    before, began = sum(one.cpu_seconds() for one in services), time.monotonic()
    await asyncio.sleep(seconds)
    share = (sum(one.cpu_seconds() for one in services) - before) / (time.monotonic() - began)
    await asyncio.gather(*(_stop(name, stack) for name in _STAGES))
    return share


async def _stop(name: str, stack: stacks.Stack) -> None:
    await asyncio.to_thread(stack.processes.pop(name).stop, _DRAIN)


async def _learn(drives: Sequence[Drive], twin: Twin, tell: Tell) -> None:
    """Have the detector tell of every panorama."""
    async with TritonDetector.of(AnonymizerSettings()) as detector:
        twin.memory.detector = detector
        await twin.memory.learn_golden()
        for number, drive in enumerate(drives, 1):
            tell(f"efficiency: the detector tells what is in every panorama, drive {number} of {len(drives)}")
            await twin.anonymize(drive)
    twin.memory.detector = None
