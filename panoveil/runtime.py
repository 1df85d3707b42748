"""What every service runs on: connections from settings, the consumer loop, signals, metrics, exit codes."""

import asyncio
import base64
import contextlib
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from panoveil import telemetry
from panoveil.blobs import Blobs, S3Blobs, provision_buckets
from panoveil.contracts.errors import PanoveilError, Rejected
from panoveil.contracts.keys import CaptureId, Stream, quarantine_key
from panoveil.ledger import DynamoLedger, Ledger, State, provision_table
from panoveil.settings import Settings
from panoveil.streams import (
    Consumer,
    Handler,
    KclConfig,
    KclSource,
    Limits,
    Record,
    RecordSink,
    kinesis_sink,
    provision_application,
    provision_streams,
)

_LOG = logging.getLogger(__name__)
_SHARDS = 2

CONSUMES = {"ingest": Stream.UPLOADS, "stitcher": Stream.CAPTURES, "anonymizer": Stream.PANORAMAS}
"""The stream each service works off."""

_BEFORE = {
    "ingest": frozenset({State.RECEIVING, State.QUARANTINED}),
    "stitcher": frozenset({State.RECEIVING, State.READY, State.QUARANTINED}),
    "anonymizer": frozenset({State.RECEIVING, State.READY, State.STITCHED, State.QUARANTINED}),
}
"""States of captures that have not left the service behind: a bad record of an earlier time cannot take others back."""


@dataclass(frozen=True)
class Connections:
    """The world, connected."""

    blobs: Blobs
    ledger: Ledger
    sink: RecordSink


@contextlib.asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Connections]:
    """Open S3, the ledger and Kinesis for as long as the block runs."""
    async with (
        S3Blobs(settings.buckets, settings.region, settings.endpoint_url) as blobs,
        DynamoLedger(settings.table, settings.region, settings.endpoint_url) as ledger,
        kinesis_sink(settings.streams, settings.region, settings.endpoint_url) as sink,
    ):
        yield Connections(blobs, ledger, sink)


def provision(settings: Settings) -> None:
    """Create the buckets, the table, the streams and the consumers' lease tables that do not exist yet."""
    provision_buckets(settings.buckets, settings.region, settings.endpoint_url)
    provision_table(settings.table, settings.region, settings.endpoint_url)
    provision_streams(dict.fromkeys(settings.streams.values(), _SHARDS), settings.region, settings.endpoint_url)
    for service, stream in CONSUMES.items():
        provision_application(settings.application(service), settings.stream(stream), settings.region, settings.endpoint_url)


@dataclass(frozen=True)
class Quarantine:
    """Keeps records that could not be processed beside their reason, and says so in the ledger."""

    service: str
    connections: Connections

    async def put(self, record: Record, reason: str, detail: str, traceback: str, attempts: int) -> None:
        """Write the entry under a key that a redelivery writes again, then move its capture."""
        entry = {
            "service": self.service,
            "reason": reason,
            "detail": detail,
            "traceback": traceback,
            "attempts": attempts,
            "partition_key": record.partition_key,
            "arrived_at": record.arrived_at,
            "data": base64.b64encode(record.data).decode(),
        }
        key = quarantine_key(self.service, f"{record.shard_id}-{record.sequence_number}")
        await self.connections.blobs.put(key, json.dumps(entry).encode(), "application/json")
        await self._move(record.partition_key, reason, detail)
        _LOG.warning("quarantined a record of %s: %s: %s", record.partition_key, reason, detail)

    async def _move(self, partition_key: str, reason: str, detail: str) -> None:
        try:
            capture_id = CaptureId.parse(partition_key)
        except Rejected:
            return
        await self.connections.ledger.move(capture_id, State.QUARANTINED, reason, detail, after=_BEFORE[self.service])


Opened = AbstractAsyncContextManager[Handler]


async def serve(service: str, settings: Settings, opened: Callable[[Connections], Opened]) -> None:
    """Work the service's stream off until SIGTERM or SIGINT; `opened` builds the handler on the connections, and cleans up after it."""
    telemetry.serve(settings.metrics_host, settings.metrics_port)
    async with connect(settings) as connections, opened(connections) as handler:
        consumer = Consumer(service, KclSource(_kcl(service, settings)), handler, Quarantine(service, connections))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, consumer.stop)
        await consumer.run()


def _kcl(service: str, settings: Settings) -> KclConfig:
    return KclConfig(
        application=settings.application(service),
        stream_name=settings.stream(CONSUMES[service]),
        region=settings.region,
        worker_id=settings.worker_id,
        service=service,
        endpoint_url=settings.endpoint_url,
        java=settings.java,
        limits=Limits(max_in_flight=settings.max_in_flight, max_in_flight_per_shard=settings.max_in_flight),
    )


def run(main: Coroutine[Any, Any, None], settings: Settings) -> None:
    """Run a service to its end; an error of ours becomes one logged sentence and its exit code."""
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(main)
    except PanoveilError as error:
        _LOG.critical("%s", error)
        sys.exit(error.exit_code)
