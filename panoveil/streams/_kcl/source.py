"""A Kinesis stream as a `RecordSource`, shared with the other tasks of the application by the KCL."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from panoveil import telemetry
from panoveil.contracts.errors import Unavailable
from panoveil.streams._kcl.config import KclConfig
from panoveil.streams._kcl.daemon import Daemon
from panoveil.streams._kcl.files import private_folder, write_files
from panoveil.streams._kcl.gateway import Gateway
from panoveil.streams._kcl.java import find_java, kcl_jars
from panoveil.streams._kcl.preflight import check, shards_of
from panoveil.streams._kcl.session import Watch
from panoveil.streams._kcl.watchdog import release, watch
from panoveil.streams._lag import Lag
from panoveil.streams._port import Record, Work

_log = logging.getLogger("panoveil.streams.kcl")
_SHUTDOWN_GRACE = 9.0
_LONGEST_PAUSE = 30.0
_STEADY = 60.0
"""Seconds after which a daemon counts as having worked: the next one is started without a pause."""


class KclSource:
    """Delivers a stream's records to one asyncio function, whatever dies on the way. Cancelling `run` is a crash: nothing is drained."""

    def __init__(
        self,
        config: KclConfig,
        preflight: Callable[[KclConfig], None] = check,
        list_shards: Callable[[KclConfig], Iterable[str]] = shards_of,
        watchdog: Callable[[KclConfig], Coroutine[Any, Any, None]] = watch,
        release: Callable[[KclConfig], None] = release,
    ) -> None:
        """Nothing is started yet. `preflight` runs in a thread and raises what stands against starting, as does `list_shards`.

        `watchdog` runs beside the daemon, `release` in a thread before each start of one.
        """
        self._config = config
        self._preflight = preflight
        self._list_shards = list_shards
        self._watchdog = watchdog
        self._release = release
        self._stop = asyncio.Event()
        self._to_pass: set[str] = set()

    def stop(self) -> None:
        """End `run` in order: what runs is finished and checkpointed, the shards are given back."""
        self._stop.set()

    async def run(self, work: Work) -> None:
        """Deliver until `stop`; raise what `work` raised, or `Misconfigured`. Waits while Kinesis does not answer."""
        java, jars = await asyncio.to_thread(find_java, self._config.java), kcl_jars()
        await self._wait_for_stream()
        if self._config.end is not None:  # what a shard holds that comes into being later arrived after the end
            self._to_pass = set(await asyncio.to_thread(self._list_shards, self._config))
        gateway = Gateway(self._in_part(work), self._config.limits, self._watch())
        async with _listening(gateway, self._config) as folder, _running(self._watchdog(self._config)):
            failures = 0
            while not self._stop.is_set():
                started = time.monotonic()
                await self._run_daemon(java, jars, folder, gateway)
                failures = 0 if time.monotonic() - started > _STEADY else failures + 1
                await self._pause(failures - 1)

    async def _wait_for_stream(self) -> None:
        up = telemetry.DEPENDENCY_UP.labels(self._config.service, "kinesis")
        for failures in itertools.count(1):
            try:
                await asyncio.to_thread(self._preflight, self._config)
            except Unavailable as error:
                _log.warning("waiting for %s", error)
                up.set(0)
                await self._pause(failures)
            else:
                up.set(1)
                return
            if self._stop.is_set():
                return

    async def _run_daemon(self, java: Path, jars: Path, folder: Path, gateway: Gateway) -> None:
        """Run the daemon once, to whatever end; raise what `work` raised."""
        await asyncio.to_thread(self._release, self._config)
        telemetry.KCL_STARTS.labels(self._config.service).inc()
        daemon = await Daemon.start(java, jars, folder, emulated=self._config.endpoint_url is not None)
        try:
            await self._attend(daemon, gateway)
        finally:
            await daemon.kill()
            await gateway.reset()
        if gateway.failed.done():
            gateway.failed.result()

    async def _attend(self, daemon: Daemon, gateway: Gateway) -> None:
        """Return when this daemon is done for: stopped in order, dead, or missing a child."""
        ended = asyncio.ensure_future(daemon.ended())
        stopped, lost = asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(gateway.lost.wait())
        try:
            await _first([ended, stopped, lost, gateway.failed])
            if ended.done():
                _log.warning("the KCL daemon ended with code %d", ended.result())
            elif stopped.done() or gateway.failed.done():
                await self._end_in_order(daemon, ended, gateway)
            else:
                gateway.stop_starting()
                await gateway.quiet(self._config.limits.hold_seconds)
        finally:
            for wait in (ended, stopped, lost):
                wait.cancel()

    async def _end_in_order(self, daemon: Daemon, ended: "asyncio.Future[int]", gateway: Gateway) -> None:
        gateway.stop_starting()
        daemon.terminate()
        # By its last bye the daemon has given up its leadership too; what it then waits for is nothing.
        last_bye: asyncio.Future[None] = asyncio.ensure_future(gateway.emptied())
        patience = self._config.limits.drain_seconds + _SHUTDOWN_GRACE
        await _first([ended, last_bye] if gateway.sessions else [ended], patience)
        last_bye.cancel()

    async def _pause(self, failures: int) -> None:
        """Wait before one more try, unless it is the first, or `stop` comes."""
        if failures > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), min(_LONGEST_PAUSE, 0.5 * 2.0 ** min(failures, 10)))

    def _watch(self) -> Watch:
        service, lag = self._config.service, Lag(self._config.service, self._config.stream_name)
        return Watch(checkpointed=telemetry.CHECKPOINTS.labels(service).inc, lag=lag, passed=self._set_passed)

    def _in_part(self, work: Work) -> Work:
        """Leave alone what arrived after the end."""
        end = self._config.end
        if end is None:
            return work

        async def worked(record: Record) -> None:
            if record.arrived_at <= end:
                await work(record)

        return worked

    def _set_passed(self, shard_id: str, at: float) -> None:
        """Stop once no shard is left that may hold something from before the end."""
        if self._config.end is not None and at > self._config.end:
            self._to_pass.discard(shard_id)
            if not self._to_pass:
                self.stop()


async def _first(futures: "Iterable[asyncio.Future[Any]]", timeout: float | None = None) -> None:
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something beside the block, and no longer."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _listening(gateway: Gateway, config: KclConfig) -> AsyncIterator[Path]:
    with private_folder() as folder:
        write_files(folder, config)
        server = await gateway.listen(folder / "link")
        try:
            yield folder
        finally:
            server.close()
