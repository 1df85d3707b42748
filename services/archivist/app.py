"""Wires the archivist: publications stream → handler, with KMS behind it."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from panoveil import telemetry
from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable
from panoveil.contracts.messages import PanoramaPublished, outcome
from panoveil.contracts.reasons import Reason
from panoveil.keys import KmsDriveKeys
from panoveil.runtime import Connections, serve
from panoveil.streams import Handler, Record
from services.archivist.handler import STAGE, Ports, handle
from services.archivist.settings import ArchivistSettings


async def main(settings: ArchivistSettings) -> None:
    """Consume publications until told to stop."""

    @contextlib.asynccontextmanager
    async def opened(connections: Connections) -> AsyncIterator[Handler]:
        telemetry.prepare_archivist()
        async with KmsDriveKeys(connections.blobs, settings.wrapping_alias, settings.region, settings.endpoint_url) as keys:
            ports = Ports(connections.blobs, connections.ledger, keys, lambda: datetime.now(UTC), settings.archive_class)

            async def on_record(record: Record) -> None:
                message = _publication(record.data)
                if message is not None:
                    await counted(message, ports)

            yield on_record

    await serve(STAGE, settings, opened)


def _publication(data: bytes) -> PanoramaPublished | None:
    """Read a message, None of a panorama that is held: its originals wait for a person; or raise `Rejected(UNKNOWN_MESSAGE)`."""
    message = outcome(data)
    if message is None:
        raise Rejected(Reason.UNKNOWN_MESSAGE, "the archivist works on panorama.published, not on other messages")
    return message if isinstance(message, PanoramaPublished) else None


async def counted(message: PanoramaPublished, ports: Ports) -> None:
    """Handle a message, and count it where that fails, by cause."""
    try:
        await handle(message, ports)
    except Rejected as error:
        telemetry.ARCHIVE_FAILURES.labels(error.reason).inc()
        raise
    except Unavailable as error:
        telemetry.ARCHIVE_FAILURES.labels(error.dependency).inc()
        raise
    except Misconfigured:
        telemetry.ARCHIVE_FAILURES.labels("misconfigured").inc()
        raise
