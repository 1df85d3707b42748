"""A backlog of records worked off by ingest: how fast, and whether memory grows with what has been done or what is left."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.load.meter import Memory, memory
from benchmarks.load.world import Service, emulated, ingesting, until
from benchmarks.options import Tell
from panoveil.contracts.keys import Stream
from panoveil.settings import Settings
from panoveil.streams import Outgoing, kinesis_sink
from services.agent.notification import object_created

_FRAMES = 5
_A_DRIVE = 20
"""Captures: few, for the emulator's time for a write grows with what lies under one partition key."""
_AT_ONCE = 2000
_SETTLED = 0.1
"""Share of the backlog after which the service has its working set."""


async def measure(records: int, shards: int, folder: Path, tell: Tell) -> dict[str, Any]:
    """Return records a second and megabytes. The records announce frames of captures whose manifests are still to come."""
    with emulated(folder, shards) as settings:
        tell(f"backlog: sending {records:,} records to {shards} shards")
        await send(records, settings)
        async with ingesting(settings, folder, PANOVEIL_MAX_IN_FLIGHT="32") as service:
            return await _worked_off(records, service, tell) | {"shards": shards}


async def send(records: int, settings: Settings) -> None:
    """Send so many records: each announces a frame of a capture whose manifest is still to come."""
    async with kinesis_sink({Stream.UPLOADS: settings.stream(Stream.UPLOADS)}, settings.region, settings.endpoint_url) as sink:
        for start in range(0, records, _AT_ONCE):
            await sink.send(Stream.UPLOADS, [_record(number) for number in range(start, min(start + _AT_ONCE, records))])


def _record(number: int) -> Outgoing:
    capture = f"load/drive-{number // (_FRAMES * _A_DRIVE):05d}/{number // _FRAMES:06d}"
    event = object_created("raw", f"{capture}/lens{number % _FRAMES}.jpg", 1_000_000, "0" * 32, datetime.now(UTC))
    return Outgoing(capture, event)


@dataclass(frozen=True)
class _Look:
    """Ingest at one moment: records done, CPU-seconds spent, memory held; `at` in seconds of a clock that only runs forward."""

    at: float
    done: float
    cpu: float
    held: Memory


async def _worked_off(records: int, service: Service, tell: Tell) -> dict[str, Any]:
    looks: list[_Look] = []

    def look() -> bool:
        done = service.metric("panoveil_records_total", service="ingest")
        if done:
            looks.append(_Look(time.monotonic(), done, service.process.cpu_seconds(), memory(service.process)))
            tell(f"backlog: {done:,.0f} of {records:,}")
        return done >= records

    await until(look, service.process, every=max(0.2, records / 50_000))
    return _figures(records, looks)


def _figures(records: int, looks: list[_Look]) -> dict[str, Any]:
    first, last = looks[0], looks[-1]
    done = last.done - first.done
    settled = [look.held for look in looks if look.done > _SETTLED * records]
    return {
        "records": records,
        "records_per_s": round(done / (last.at - first.at), 1),
        "cpu_ms_per_record": round(1000 * (last.cpu - first.cpu) / done, 2),
        "service_mb_first": round(settled[0].service, 1),
        "service_mb_last": round(settled[-1].service, 1),
        "service_mb_most": round(max(held.service for held in settled), 1),
        "jvm_mb_first": round(settled[0].jvm, 1),
        "jvm_mb_last": round(settled[-1].jvm, 1),
        "memory_growth": round(settled[-1].total / settled[0].total, 3),
    }
