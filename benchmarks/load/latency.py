"""What the stream adds: from a record's acknowledgement by Kinesis to its handler's first step, at a steady rate."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.load.world import emulated
from benchmarks.options import Tell
from panoveil.contracts.keys import Stream
from panoveil.settings import Settings
from panoveil.streams import KclConfig, KclSource, Outgoing, Record, kinesis_sink, provision_application

_APPLICATION = "panoveil-latency"


class Arrivals:
    """The work, which only notes when it was first asked for."""

    def __init__(self) -> None:
        """Nothing has arrived."""
        self.at: dict[bytes, float] = {}

    async def note(self, record: Record) -> None:
        """Note a record's first delivery."""
        self.at.setdefault(record.data, time.monotonic())


async def measure(rate: float, seconds: float, folder: Path, tell: Tell) -> dict[str, Any]:
    """Return milliseconds at `rate` records a second."""
    with emulated(folder, shards=2) as settings:
        provision_application(_APPLICATION, settings.stream(Stream.UPLOADS), settings.region, settings.endpoint_url)
        arrivals = Arrivals()
        source = KclSource(_config(settings))
        running = asyncio.create_task(source.run(arrivals.note))
        tell("latency: waiting for the first record")
        start = time.monotonic()
        sent = await _sent(rate, seconds, settings, arrivals)
        source.stop()
        await running
    delays = sorted(1000 * (arrivals.at[data] - at) for data, at in sent.items())
    percent = statistics.quantiles(delays, n=100, method="inclusive")
    return {
        "records": len(delays),
        "records_per_s": rate,
        "p50_ms": round(percent[49], 1),
        "p99_ms": round(percent[98], 1),
        "start_to_first_s": round(min(arrivals.at.values()) - start, 1),
    }


async def _sent(rate: float, seconds: float, settings: Settings, arrivals: Arrivals) -> dict[bytes, float]:
    """Return when each record that counts was acknowledged; all of them have arrived then."""
    streams = {Stream.UPLOADS: settings.stream(Stream.UPLOADS)}
    async with kinesis_sink(streams, settings.region, settings.endpoint_url) as sink:
        await sink.send(Stream.UPLOADS, [Outgoing(str(number), b"first-%d" % number) for number in range(20)])
        await _arrived(arrivals, 20)
        sent: dict[bytes, float] = {}
        began = time.monotonic()
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            data = b"%d" % number
            await sink.send(Stream.UPLOADS, [Outgoing(str(number), data)])
            sent[data] = time.monotonic()
        await _arrived(arrivals, 20 + len(sent))
    return sent


async def _arrived(arrivals: Arrivals, count: int) -> None:
    while len(arrivals.at) < count:  # noqa: ASYNC110 - the handler tells nobody
        await asyncio.sleep(0.05)


def _config(settings: Settings) -> KclConfig:
    stream = settings.stream(Stream.UPLOADS)
    return KclConfig(_APPLICATION, stream, settings.region, "latency", "latency", settings.endpoint_url)
