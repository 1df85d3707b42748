"""Wires the anonymizer: panoramas stream → handler, with Triton behind it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import cv2

from panoveil import telemetry
from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import PanoramaStitched, PanoramaStitchedV1, PanoramaStitchedV2, decode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import TritonDetector
from panoveil.runtime import Connections, serve
from panoveil.streams import Handler, Record
from services.anonymizer.handler import STAGE, Ports, handle
from services.anonymizer.settings import AnonymizerSettings


async def main(settings: AnonymizerSettings) -> None:
    """Consume panoramas until told to stop."""
    cv2.setNumThreads(1)  # panoramas run side by side: threads within one only take each other's cores

    @contextlib.asynccontextmanager
    async def opened(connections: Connections) -> AsyncIterator[Handler]:
        telemetry.prepare_anonymizer([settings.face_model, settings.plate_model])
        async with TritonDetector.of(settings) as detector:
            recipe = recipe_of(settings, detector)
            ports = Ports(connections.blobs, connections.ledger, connections.sink, detector, recipe)

            async def on_record(record: Record) -> None:
                await handle(_stitched(record), ports)

            yield on_record

    await serve(STAGE, settings, opened)


def recipe_of(settings: AnonymizerSettings, detector: TritonDetector) -> Callable[[], Awaitable[AnonymizeRecipe]]:
    """Return what asks Triton for its models and makes the recipe of them; `Unavailable` until both see the golden picture right."""

    async def recipe() -> AnonymizeRecipe:
        facts = await detector.facts()
        return settings.recipe(facts["face"].as_model(), facts["plate"].as_model())

    return recipe


def _stitched(record: Record) -> PanoramaStitched:
    return stitched(record.data)


def stitched(data: bytes) -> PanoramaStitched:
    """Read a message of any version as today's, or raise `Rejected(UNKNOWN_MESSAGE)`."""
    message = decode(data)
    if isinstance(message, PanoramaStitchedV1 | PanoramaStitchedV2):
        return message.upgraded()
    if not isinstance(message, PanoramaStitched):
        raise Rejected(Reason.UNKNOWN_MESSAGE, f"the anonymizer works on panorama.stitched, not on {message.type}")
    return message
