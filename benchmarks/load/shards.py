"""Memory of one task by the number of its shards, after each has delivered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.load.backlog import send
from benchmarks.load.meter import memory
from benchmarks.load.world import emulated, ingesting, until
from benchmarks.options import Tell

_A_SHARD = 200


async def measure(counts: Sequence[int], folder: Path, tell: Tell) -> list[dict[str, Any]]:
    """Return a row a number of shards, megabytes."""
    return [await _row(count, folder / f"shards-{count}", tell) for count in counts]


async def _row(shards: int, folder: Path, tell: Tell) -> dict[str, Any]:
    records = _A_SHARD * shards
    with emulated(folder, shards) as settings:
        await send(records, settings)
        async with ingesting(settings, folder) as service:
            await until(lambda: service.metric("panoveil_records_total", service="ingest") >= records, service.process)
            held = memory(service.process)
    tell(f"shards: {shards}: {held.total:.0f} MB")
    return {
        "shards": shards,
        "service_mb": round(held.service, 1),
        "jvm_mb": round(held.jvm, 1),
        "children_mb": round(held.children, 1),
        "total_mb": round(held.total, 1),
    }
