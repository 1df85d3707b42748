"""Wires a replay: what the ledger knows → the services' handlers, on the real stores, at the lowest priority."""

import asyncio
import contextlib
import hashlib
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import cv2

from console.recipes.document import Recipes
from console.replay import inputs
from console.replay.advice import nothing_known
from console.replay.inputs import Stage
from console.replay.redo import Anonymizing, Operator, Outcome, Redo, Stitching, unless_erased
from console.replay.report import Event, Found, Listener
from console.replay.scope import Scope
from console.replay.source import LedgerSource, Pace
from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import CaptureReady, PanoramaStitched, PanoramaStitchedV1, PanoramaStitchedV2, decode
from panoveil.detection import TritonDetector
from panoveil.pixels.process import prepare
from panoveil.quarantine import CONSUMES
from panoveil.runtime import Connections, connect
from panoveil.streams import (
    Consumer,
    KclConfig,
    KclSource,
    Limits,
    Record,
    RecordSource,
    RetryPolicy,
    kept_since,
    provision_application,
    retire_application,
)
from services.anonymizer import app as anonymizer_app
from services.anonymizer import handler as anonymizer
from services.stitcher import app as stitcher_app
from services.stitcher import handler as stitcher

Origin = Literal["auto", "ledger", "stream"]
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
    origin: Origin = "auto"


async def replay(wish: Wish, hear: Listener) -> bool:
    """Replay all that is meant; say whether it came to its end, or was stopped by a signal: then the same command does the rest."""
    os.nice(_LOWEST)
    origin = await asyncio.to_thread(origin_of, wish)
    async with connect(wish.recipes.stitcher) as world, opened(wish, world) as redo:
        stopped = asyncio.Event()
        if origin == "ledger":
            await run(wish, ledger_source(wish, world, hear), redo, hear, stopped)
        else:
            async with stream_source(wish) as source:
                await run(wish, source, Streamed(wish.scope, redo, Pace(wish.rate), hear), hear, stopped)
        return not stopped.is_set()


def origin_of(wish: Wish) -> Literal["ledger", "stream"]:
    """Say where messages come from: the stream where only a time is asked for that it still keeps all of, or where that is wished."""
    if wish.origin != "auto":
        return wish.origin
    if not wish.scope.only_time:
        return "ledger"
    settings = wish.recipes.stitcher
    return "stream" if wish.scope.since > kept_since(_stream(wish), settings.region, settings.endpoint_url) else "ledger"


def _stream(wish: Wish) -> str:
    return wish.recipes.stitcher.stream(CONSUMES[wish.stage])


@contextlib.asynccontextmanager
async def stream_source(wish: Wish) -> AsyncIterator[RecordSource]:
    """Read the stage's stream from the scope's beginning to now, as an application that exists for as long as the block runs."""
    settings = wish.recipes.stitcher
    config = KclConfig(
        application=settings.application(f"replay-{uuid.uuid4().hex[:12]}"),
        stream_name=_stream(wish),
        region=settings.region,
        worker_id="replay",
        service="replay",
        endpoint_url=settings.endpoint_url,
        java=settings.java,
        limits=Limits(max_in_flight=wish.parallel, max_in_flight_per_shard=wish.parallel),
        start=wish.scope.since,
        end=time.time(),
    )
    where = (settings.region, settings.endpoint_url)
    await asyncio.to_thread(provision_application, config.application, config.stream_name, *where, from_time=True)
    try:
        yield KclSource(config)
    finally:
        await asyncio.to_thread(retire_application, config.application, *where)


class Streamed:
    """Redoes those messages of a stream that are meant, each once however often it was sent."""

    def __init__(self, scope: Scope, redo: Redo, pace: Pace, hear: Listener) -> None:
        """`hear` is told of each message that is meant."""
        self._scope, self._redo, self._pace, self._hear = scope, redo, pace, hear
        self._met: set[bytes] = set()
        self._told: set[bytes] = set()

    async def __call__(self, data: bytes) -> Outcome | None:
        """Return what came of it, None where it is not meant or came before."""
        digest = hashlib.sha256(data).digest()
        if digest in self._met or not self._is_meant(data):
            return None
        if digest not in self._told:
            self._told.add(digest)
            self._hear(Found(1))
        self._met.add(digest)  # now: it may come again while this one is worked on
        try:
            await self._pace.turn()
            return await self._redo(data)
        except BaseException:
            self._met.discard(digest)
            raise

    def _is_meant(self, data: bytes) -> bool:
        """Say so of a message of a capture that is meant; what is none lies in quarantine since it came."""
        try:
            message = decode(data)
        except Rejected:
            return False
        kinds = CaptureReady | PanoramaStitched | PanoramaStitchedV1 | PanoramaStitchedV2
        return isinstance(message, kinds) and self._scope.covers(message)


def ledger_source(wish: Wish, world: Connections, hear: Listener) -> RecordSource:
    """Return a source of what the ledger knows."""
    found = inputs.records(wish.stage, wish.scope, world.ledger, lambda number: hear(Found(number)))
    return LedgerSource(found, wish.parallel, Pace(None if wish.dry_run else wish.rate))


async def run(
    wish: Wish,
    source: RecordSource,
    redo: Redo | Streamed,
    hear: Listener,
    stopped: asyncio.Event,
    policy: RetryPolicy = _PATIENT,
) -> None:
    """Work a source off as a service would: waiting for what is down, trying again what fails, naming what cannot be done."""
    seen: set[str] = set()

    def heard(event: Event) -> None:
        if isinstance(event, Outcome):
            seen.add(event.capture_id)
        hear(event)

    async def handle(record: Record) -> None:
        outcome = await redo(record.data)
        if outcome is not None:
            heard(outcome)

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
        await recipe()  # a service waits for models that are blind at their threshold; here somebody waits for an answer
        ports = anonymizer.Ports(world.blobs, world.ledger, world.sink, detector, recipe, fills_gaps=False)
        anonymizing = Anonymizing(ports, wish.operator)
        if wish.stage == "anonymizer":
            yield unless_erased(anonymizing.look if wish.dry_run else anonymizing, world.ledger)
            return
        async with _stitching(wish, world, anonymizing) as stitching:
            yield unless_erased(stitching.look if wish.dry_run else stitching, world.ledger)


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
