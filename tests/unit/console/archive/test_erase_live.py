"""A capture is erased while a service works on it: at any moment, nothing of it stays published and the chain is whole."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from console.archive.erase import Wish, erase
from console.archive.scope import Scope
from console.audit import verify
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import Bucket, stitched_key
from panoveil.contracts.reasons import Reason
from panoveil.detection import RectangleDetector
from panoveil.keys import MemoryDriveKeys
from panoveil.ledger import Ledger, State
from panoveil.runtime import Connections
from panoveil.streams import RecordSink
from services.anonymizer.handler import Ports, handle
from tests.unit.services.anonymizer.test_handler import CAPTURE, World, panorama, stitched

SCOPES = {"drive": Scope.of(CAPTURE.drive_id, ()), "capture": Scope.of(None, [str(CAPTURE)])}


class Clockwork:
    """Calls something once, at the n-th step that anybody takes."""

    def __init__(self, step: int, deed: Any) -> None:
        self.left, self._deed = step, deed

    async def tick(self) -> None:
        self.left -= 1
        if self.left == -1:
            await self._deed()


class Watched:
    """Passes calls on to a store; before and after each the clockwork ticks. What yields is passed on as it is."""

    def __init__(self, store: object, clockwork: Clockwork) -> None:
        self._store, self._clockwork = store, clockwork

    def __getattr__(self, name: str) -> Any:
        if name == "list":
            return getattr(self._store, name)

        async def watched(*arguments: Any, **more: Any) -> Any:
            await self._clockwork.tick()
            result = await getattr(self._store, name)(*arguments, **more)
            await self._clockwork.tick()
            return result

        return watched


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
async def test_whenever_it_is_erased_nothing_stays_published_and_the_chain_is_whole(scope: Scope) -> None:
    data, step, erased = panorama(), 0, 0
    while True:
        world = World()
        await world.put(data)
        await world.ledger.move(CAPTURE, State.STITCHED)

        async def deed(world: World = world) -> None:
            wish = Wish("dpo-2", "request R-2026-118", lambda: datetime.now(UTC))
            await erase(scope, wish, Connections(world.blobs, world.ledger, world.streams), MemoryDriveKeys())

        clockwork = Clockwork(step, deed)
        ports = world.ports(RectangleDetector())
        watched = [Watched(store, clockwork) for store in (ports.blobs, ports.ledger, ports.sink)]
        blobs, ledger, sink = cast("Blobs", watched[0]), cast("Ledger", watched[1]), cast("RecordSink", watched[2])
        try:
            await handle(stitched(data), Ports(blobs, ledger, sink, ports.detector, ports.recipe))
        except Rejected as error:
            assert error.reason in {Reason.ERASED, Reason.OBJECT_GONE}  # noqa: PT017 - either may be raised, or nothing
            erased += error.reason == Reason.ERASED
        if clockwork.left >= 0:
            break
        assert [stored.ref.key async for stored in world.blobs.list(Bucket.PUBLISHED)] == [], step
        assert (await verify(world.ledger, world.blobs, CAPTURE.drive_id, None)).findings == (), step
        assert await world.blobs.head(stitched_key(str(CAPTURE), "5f1c0a9be37d2468")) is None
        step += 1
    assert step > 20
    assert erased > 5
