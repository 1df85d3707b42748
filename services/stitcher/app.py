"""Wires the stitcher: captures stream → handler, on one pool of threads."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import CaptureReady, decode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.detection import TritonDetector
from panoveil.pixels.process import prepare
from panoveil.runtime import Connections, serve
from panoveil.streams import Handler, Record
from services.stitcher.handler import STAGE, Ports, Rigs, handle
from services.stitcher.settings import StitcherSettings


async def main(settings: StitcherSettings) -> None:
    """Consume captures until told to stop."""
    prepare()

    @contextlib.asynccontextmanager
    async def opened(connections: Connections) -> AsyncIterator[Handler]:
        async with contextlib.AsyncExitStack() as closing:
            workers = closing.enter_context(ThreadPoolExecutor(settings.threads, "strip"))
            looks = settings.looks_at_frames
            detector = await closing.enter_async_context(TritonDetector.of(settings)) if looks else None
            rigs = Rigs(connections.blobs, settings.stitch, settings.tables)
            recipe = recipe_of(settings, detector)
            ports = Ports(connections.blobs, connections.ledger, connections.sink, recipe, rigs, workers, detector)

            async def on_record(record: Record) -> None:
                await handle(_ready(record), ports)

            yield on_record

    await serve(STAGE, settings, opened)


def recipe_of(settings: StitcherSettings, detector: TritonDetector | None) -> Callable[[], Awaitable[StitchRecipe]]:
    """Return what makes the recipe, of Triton's models where there is a detector; `Unavailable` until both see the golden picture right."""

    async def recipe() -> StitchRecipe:
        if detector is None:
            return settings.stitch
        facts = await detector.facts()
        return settings.recipe(facts["face"].as_model(), facts["plate"].as_model())

    return recipe


def _ready(record: Record) -> CaptureReady:
    message = decode(record.data)
    if not isinstance(message, CaptureReady):
        raise Rejected(Reason.UNKNOWN_MESSAGE, f"the stitcher works on capture.ready, not on {message.type}")
    return message
