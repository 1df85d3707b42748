"""The demo as a page of verbs: photograph, start, upload, watch, collect, stop."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from console.demo.collect import collect_publications, truth_covered
from console.demo.progress import Counts, View
from console.demo.scrape import mean_step_seconds
from console.demo.summary import Summary
from console.observe import beside
from console.observe.beside import Ports
from console.observe.prometheus import Prometheus
from console.rigs.registry import put_rig
from console.stack import stack as stacks
from console.stack.processes import Process
from panoveil.contracts.archive import CaptureArchived, parse_archived
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.rig import Rig
from panoveil.ledger import ENDS, CaptureState, State
from panoveil.runtime import Connections, connect
from services.archivist import handler as archivist

_LOOK_EVERY = 0.5
_INCOMPLETE_AFTER = 90.0


@dataclass(frozen=True)
class Drive:
    """A drive folder, the names of the captures in it that can be uploaded, and how wide their panoramas are to be, pixels."""

    folder: Path
    drive_id: str
    captures: frozenset[str]
    panorama_width: int


@dataclass(frozen=True)
class Watched:
    """A demo with Prometheus beside it: `at_end` is called with both before anything is stopped."""

    at_end: Callable[[stacks.Stack, Prometheus], Awaitable[None]]
    ports: Ports = field(default_factory=Ports)


async def run(
    drive: Drive, folder: Path, view: View, patience: float, watched: Watched | None = None, *, archive: bool = False
) -> Summary:
    """Send the drive through a pipeline started for it; published panoramas go to `folder/published`, logs to `folder/logs`.

    With `archive` the originals of what is published go into the archive, and that is waited for.
    """
    view.say("Starting the emulator, Triton and the services on loopback")
    services = (*stacks.SERVICES, stacks.ARCHIVIST) if archive else stacks.SERVICES
    async with contextlib.AsyncExitStack() as opened:
        stack = await opened.enter_async_context(stacks.running(folder / "logs", _environment(drive, watched), services))
        world = await opened.enter_async_context(connect(stack.settings))
        observed = await opened.enter_async_context(beside.observed(stack, watched.ports)) if watched else None
        if observed:
            view.say(f"Prometheus: {observed.url}/graph\nIts alerts: {observed.url}/alerts")
        await import_rig(drive.folder, world)
        view.say("The car uploads, the pipeline works")
        began, spent = time.monotonic(), stack.cpu_seconds()
        agent = _start_agent(drive, stack, watched)
        try:
            states = await _watch(drive, agent, stack, world, view, began + patience)
            archived = await _archived(drive, states, stack, world, began + patience) if archive else None
        finally:
            agent.stop(5.0)
        seconds = time.monotonic() - began
        cpu = {name: total - spent[name] for name, total in stack.cpu_seconds().items()}
        steps = await asyncio.to_thread(mean_step_seconds, list(stack.metrics_urls.values()))
        published = await collect_publications(drive.drive_id, world.blobs, folder / "published")
        if watched and observed:
            await watched.at_end(stack, observed)
        view.say("Stopping everything")
    truth = truth_covered(drive.folder / "truth.jsonl", published)
    left_behind = skipped(agent.log)
    return Summary(drive.captures, left_behind, states, seconds, cpu, steps, truth, folder / "published", archived)


def _environment(drive: Drive, watched: Watched | None) -> Mapping[str, str]:
    return {
        **(watched.ports.for_commands if watched else {}),
        "PANOVEIL_STITCH__WIDTH": str(drive.panorama_width),
        "PANOVEIL_INCOMPLETE_AFTER": str(_INCOMPLETE_AFTER),
        "PANOVEIL_SWEEP_EVERY": "5",
    }


async def import_rig(folder: Path, world: Connections) -> None:
    """Put the drive folder's rig where every service looks for it."""
    rig = Rig.model_validate_json((folder / "rig.json").read_bytes())
    await put_rig(rig, world.blobs)


def _start_agent(drive: Drive, stack: stacks.Stack, watched: Watched | None) -> Process:
    """Start it; where Prometheus looks on, it stays to be scraped.

    The journal lies with the logs: an emulator forgets, and the drive's own journal must not think of it as a place to upload to.
    """
    journal = str(stack.folder / "agent.sqlite3")
    command = [sys.executable, "-m", "services.agent", str(drive.folder), "--json", "--journal", journal]
    if watched is None:
        return Process.start("agent", command, stack.environment, stack.folder)
    return Process.start("agent", [*command, "--watch"], {**stack.environment, **watched.ports.for_agent}, stack.folder)


async def _watch(
    drive: Drive, agent: Process, stack: stacks.Stack, world: Connections, view: View, deadline: float
) -> list[CaptureState]:
    """Return the states of the drive's captures once each has ended, or as they are when time is up."""
    while True:
        states = [state async for state in world.ledger.captures(drive.drive_id)]
        view.show(Counts.of(len(drive.captures), sum(skipped(agent.log).values()), states))
        if drive.captures <= {state.capture_id.capture for state in states if state.state in ENDS}:
            return states
        if time.monotonic() > deadline:
            view.say(f"Time is up; the services' logs are in {stack.folder}")
            return states
        stack.require_running()
        _require_uploading(agent)
        await asyncio.sleep(_LOOK_EVERY)


async def _archived(
    drive: Drive, states: list[CaptureState], stack: stacks.Stack, world: Connections, deadline: float
) -> list[CaptureArchived]:
    """Return what lies in the archive once that is all that was published, or as it is when time is up."""
    wanted = sum(state.state is State.PUBLISHED for state in states)
    while True:
        found = [parse_archived(one.message) async for one in world.ledger.messages(drive.drive_id, archivist.STAGE)]
        if len(found) >= wanted or time.monotonic() > deadline:
            return found
        stack.require_running()
        await asyncio.sleep(_LOOK_EVERY)


def _require_uploading(agent: Process) -> None:
    if agent.popen.poll() not in {None, os.EX_OK, os.EX_DATAERR}:
        raise Unavailable("agent", f"it gave up; {agent.log} ends:\n{agent.tail()}")


def skipped(log: Path) -> Counter[str]:
    """Count by reason the captures that the agent says, one JSON event a line, it left in the car."""
    events = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}"))
    return Counter(event["reason"] for event in events if event["event"] == "CaptureSkipped")
