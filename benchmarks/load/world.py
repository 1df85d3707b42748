"""An emulator with the pipeline's streams on it, with as many shards as wanted, and services started one by one."""

import asyncio
import contextlib
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from console.stack.emulator import CREDENTIALS, start_emulator
from console.stack.processes import Process, free_port
from console.stack.stack import environ
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import Stream
from panoveil.runtime import provision
from panoveil.settings import Settings
from panoveil.streams import provision_streams

_DRAIN_SECONDS = 25.0
_LOOK_EVERY = 0.1
_FOR_EVER = 10.0 * 24 * 3600


@dataclass(frozen=True)
class Service:
    """A running service, and where its metrics are."""

    process: Process
    metrics_port: int

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value, 0 where it has none yet or does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
                families = text_string_to_metric_families(answer.read().decode())
        except OSError:
            return 0.0
        samples = (sample for family in families for sample in family.samples)
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


@contextlib.contextmanager
def emulated(folder: Path, shards: int) -> Iterator[Settings]:
    """Run an emulator with every stream in so many shards; this process's environment leads to it."""
    folder.mkdir(parents=True, exist_ok=True)
    emulator, url = start_emulator(folder)
    ours = {"PANOVEIL_ENDPOINT_URL": url, "PANOVEIL_REGION": CREDENTIALS["AWS_DEFAULT_REGION"]}
    try:
        with environ(CREDENTIALS | ours):
            settings = Settings()
            provision_streams({settings.stream(role): shards for role in Stream}, settings.region, url)
            provision(settings)
            yield settings
    finally:
        emulator.stop(8.0)


@contextlib.asynccontextmanager
async def ingesting(settings: Settings, folder: Path, **extra: str) -> AsyncIterator[Service]:
    """Run ingest while the block does."""
    port = free_port()
    environment = CREDENTIALS | {
        "PANOVEIL_ENDPOINT_URL": str(settings.endpoint_url),
        "PANOVEIL_REGION": settings.region,
        "PANOVEIL_METRICS_PORT": str(port),
        "PANOVEIL_INCOMPLETE_AFTER": str(_FOR_EVER),
        **extra,
    }
    process = Process.start("ingest", [sys.executable, "-m", "services.ingest"], environment, folder)
    try:
        yield Service(process, port)
    finally:
        await asyncio.to_thread(process.stop, _DRAIN_SECONDS)


async def until(reached: Callable[[], bool], process: Process, every: float = _LOOK_EVERY) -> None:
    """Return once something is so, looking every so many seconds; `Unavailable` where the process ended before."""
    while not await asyncio.to_thread(reached):
        if not process.running:
            raise Unavailable(process.name, f"it ended by itself; {process.log} ends:\n{process.tail()}")
        await asyncio.sleep(every)
