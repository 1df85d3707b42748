"""Wires ingest: uploads stream → handler, with the sweep beside it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.runtime import Connections, serve
from panoveil.streams import Handler, Record
from services.ingest.events import Uploaded, parse_uploads
from services.ingest.handler import STAGE, Ports, handle
from services.ingest.settings import IngestSettings
from services.ingest.sweep import sweep

_LOG = logging.getLogger(__name__)


async def main(settings: IngestSettings) -> None:
    """Consume uploads until told to stop."""

    @contextlib.asynccontextmanager
    async def opened(connections: Connections) -> AsyncIterator[Handler]:
        ports = Ports(connections.blobs, connections.ledger, connections.sink, lambda: datetime.now(UTC))

        async def on_record(record: Record) -> None:
            await handle_all(parse_uploads(record.data), ports)

        sweeper = asyncio.create_task(_sweep_for_ever(ports, settings))
        try:
            yield on_record
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)

    await serve(STAGE, settings, opened)


async def handle_all(uploads: list[Uploaded], ports: Ports) -> None:
    """Handle every object of a record; a bad one is raised only after the others have had their turn."""
    rejected: Rejected | None = None
    for uploaded in uploads:
        try:
            await handle(uploaded, ports)
        except Rejected as error:
            rejected = rejected or error
    if rejected:
        raise rejected


async def _sweep_for_ever(ports: Ports, settings: IngestSettings) -> None:
    while True:
        await asyncio.sleep(settings.sweep_every)
        try:
            counts = await sweep(ports, time.time() - settings.incomplete_after, settings.allow_missing_lenses)
        except Unavailable as error:
            _LOG.warning("the sweep waits: %s", error)
        else:
            for outcome, count in counts.items():
                _LOG.warning("%d captures did not become whole in time: %s", count, outcome)
