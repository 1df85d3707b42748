"""Wires a replay: what the ledger knows → the services' handlers, on the real stores, at the lowest priority."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from console.recipes.document import Recipes
from console.replay import inputs
from console.replay.advice import nothing_known
from console.replay.inputs import Stage
from console.replay.redo import Anonymizing, Operator, Outcome, Redo, Stitching
from console.replay.report import Event, Found, Listener
from console.replay.scope import Scope
from console.replay.source import LedgerSource, Pace
from panoveil.detection import TritonDetector
from panoveil.pixels.process import prepare
from panoveil.runtime import Connections, connect
from panoveil.streams import Consumer, Record, RecordSource, RetryPolicy
from services.anonymizer import app as anonymizer_app
from services.anonymizer import handler as anonymizer
from services.stitcher import app as stitcher_app
from services.stitcher import handler as stitcher

_LOWEST = 19
_PATIENT = RetryPolicy()


@dataclass(frozen=True)
class Wish:
    """What the options say; no `operator` flips nothing."""

    stage: Stage
    scope: Scope
    recipes: Recipes
    operator: Operator | None
    rate: float | None = None
    parallel: int = 1
    dry_run: bool = False


async def replay(wish: Wish, hear: Listener) -> bool:
    """Replay all that is meant; say whether it came to its end, or was stopped by a signal: then the same command does the rest."""
    os.nice(_LOWEST)
    async with connect(wish.recipes.stitcher) as world, opened(wish, world) as redo:
        stopped = asyncio.Event()
        source = ledger_source(wish, world, hear)
        await run(wish, source, redo, hear, stopped)
        return not stopped.is_set()


def ledger_source(wish: Wish, world: Connections, hear: Listener) -> RecordSource:
    """Return a source of what the ledger knows."""
    found = inputs.records(wish.stage, wish.scope, world.ledger, lambda number: hear(Found(number)))
    return LedgerSource(found, wish.parallel, Pace(None if wish.dry_run else wish.rate))


async def run(
    wish: Wish, source: RecordSource, redo: Redo, hear: Listener, stopped: asyncio.Event, policy: RetryPolicy = _PATIENT
) -> None:
    """Work a source off as a service would: waiting for what is down, trying again what fails, naming what cannot be done."""
    seen: set[str] = set()

    def heard(event: Event) -> None:
        if isinstance(event, Outcome):
            seen.add(event.capture_id)
        hear(event)

    async def handle(record: Record) -> None:
        heard(await redo(record.data))

    consumer = Consumer("replay", source, handle, Failures(heard), policy=policy)
    with _stoppable(consumer.stop, stopped):
        await consumer.run()
    if not stopped.is_set():
        for capture_id in _unseen(wish.scope, seen):
            hear(Outcome(capture_id, "failed", "", *nothing_known(wish.stage)))


def _unseen(scope: Scope, seen: set[str]) -> list[str]:
    """Return the captures that were asked for by name and never came."""
    return sorted({str(capture) for capture in scope.captures if scope.names(capture)} - seen)


@dataclass(frozen=True)
class Failures:
    """Where captures go that cannot be replayed: into the report. The quarantine is for what live traffic cannot work on."""

    hear: Listener

    async def put(self, record: Record, reason: str, detail: str, traceback: str, attempts: int) -> None:
        """Tell of it."""
        told = f"{detail} (after {attempts} attempts)" if attempts > 1 else detail
        self.hear(Outcome(record.partition_key, "failed", "", reason, told, traceback=traceback))


@contextlib.contextmanager
def _stoppable(stop: Callable[[], None], stopped: asyncio.Event) -> Iterator[None]:
    def heard() -> None:
        stopped.set()
        stop()

    loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, heard)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def opened(wish: Wish, world: Connections) -> AsyncIterator[Redo]:
    """Build what redoes a message of the stage, with the models that Triton serves."""
    cv2.setNumThreads(1)
    settings = wish.recipes.anonymizer
    async with TritonDetector.of(settings) as detector:
        recipe = anonymizer_app.recipe_of(settings, detector)
        ports = anonymizer.Ports(world.blobs, world.ledger, world.sink, detector, recipe, fills_gaps=False)
        anonymizing = Anonymizing(ports, wish.operator)
        if wish.stage == "anonymizer":
            yield anonymizing.look if wish.dry_run else anonymizing
            return
        async with _stitching(wish, world, anonymizing) as stitching:
            yield stitching.look if wish.dry_run else stitching


@contextlib.asynccontextmanager
async def _stitching(wish: Wish, world: Connections, onward: Anonymizing) -> AsyncIterator[Stitching]:
    prepare()
    settings = wish.recipes.stitcher
    async with contextlib.AsyncExitStack() as closing:
        workers = closing.enter_context(ThreadPoolExecutor(settings.threads, "strip"))
        looks = settings.looks_at_frames
        detector = await closing.enter_async_context(TritonDetector.of(settings)) if looks else None
        rigs = stitcher.Rigs(world.blobs, settings.stitch, settings.tables)
        recipe = stitcher_app.recipe_of(settings, detector)
        ports = stitcher.Ports(world.blobs, world.ledger, world.sink, recipe, rigs, workers, detector)
        yield Stitching(ports, onward)
