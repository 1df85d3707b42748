"""Wires the stitcher: captures stream → handler, on one pool of threads."""

import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import cv2

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import CaptureReady, decode
from panoveil.contracts.reasons import Reason
from panoveil.runtime import Connections, serve
from panoveil.streams import Handler, Record
from services.stitcher.handler import STAGE, Ports, Rigs, handle
from services.stitcher.settings import StitcherSettings


async def main(settings: StitcherSettings) -> None:
    """Consume captures until told to stop."""
    cv2.setNumThreads(1)  # our own pool does better: a strip stays in one core's cache

    @contextlib.asynccontextmanager
    async def opened(connections: Connections) -> AsyncIterator[Handler]:
        with ThreadPoolExecutor(settings.threads, "strip") as workers:
            rigs = Rigs(connections.blobs, settings.stitch, settings.tables)
            ports = Ports(connections.blobs, connections.ledger, connections.sink, settings.stitch, rigs, workers)

            async def on_record(record: Record) -> None:
                await handle(_ready(record), ports)

            yield on_record

    await serve(STAGE, settings, opened)


def _ready(record: Record) -> CaptureReady:
    message = decode(record.data)
    if not isinstance(message, CaptureReady):
        raise Rejected(Reason.UNKNOWN_MESSAGE, f"the stitcher works on capture.ready, not on {message.type}")
    return message
