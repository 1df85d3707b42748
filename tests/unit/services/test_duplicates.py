"""What a record costs that was worked off before: one read of the ledger, and the message again."""

from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from panoveil.blobs import Blobs
from panoveil.detection import RectangleDetector
from panoveil.ledger import Ledger
from panoveil.streams import RecordSink
from services.anonymizer import handler as anonymizer
from services.ingest import handler as ingest
from services.stitcher import handler as stitcher
from tests.unit.services.anonymizer import test_handler as anonymizers
from tests.unit.services.counting import Counting
from tests.unit.services.ingest import conftest as ingests
from tests.unit.services.stitcher import test_handler as stitchers


@dataclass
class Counted:
    """A handler's ports, counting."""

    blobs: Counting
    ledger: Counting
    sink: Counting

    @classmethod
    def of(cls, ports: Any) -> "Counted":
        return cls(Counting(ports.blobs), Counting(ports.ledger), Counting(ports.sink))

    def into(self, ports: Any) -> Any:
        return replace(
            ports, blobs=cast("Blobs", self.blobs), ledger=cast("Ledger", self.ledger), sink=cast("RecordSink", self.sink)
        )

    @property
    def calls(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        return self.blobs.calls, self.ledger.calls, self.sink.calls


Handle = Callable[[Any], Awaitable[None]]


async def assert_cheap(ports: Any, first: Handle, again: Handle) -> None:
    """The first delivery works and sends; the second asks one thing and sends the very same."""
    await first(ports)
    counted = Counted.of(ports)
    await again(counted.into(ports))
    assert counted.calls == (Counter(), Counter({"finished": 1}), Counter({"send": 1}))


@pytest.mark.parametrize("again", ["front.jpg", "back.jpg", "capture.json"])
async def test_ingest(again: str) -> None:
    world = ingests.whole_capture()

    async def everything(ports: Any) -> None:
        for name in world.files:
            await ingest.handle(world.event(name), ports)

    await assert_cheap(world.ports, everything, lambda ports: ingest.handle(world.event(again), ports))
    first, second = world.announced()
    assert first == second


async def test_stitcher(tmp_path: Path) -> None:
    blobs = stitchers.uploaded()
    with ThreadPoolExecutor(1) as workers:
        ports = stitchers.ports_to(blobs, tmp_path, workers)
        await assert_cheap(ports, *[lambda ports: stitcher.handle(stitchers.READY, ports)] * 2)
    first, second = stitchers._sent(ports)
    assert first == second


async def test_anonymizer() -> None:
    world, data = anonymizers.World(), anonymizers.panorama()
    await world.put(data)
    message = anonymizers.stitched(data)
    await assert_cheap(world.ports(RectangleDetector()), *[lambda ports: anonymizer.handle(message, ports)] * 2)
    first, second = world.sent()
    assert first == second
