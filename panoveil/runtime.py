"""What every service runs on: connections from settings, the consumer loop, signals, metrics, exit codes."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from panoveil import logs, telemetry
from panoveil.blobs import Blobs, S3Blobs, provision_buckets
from panoveil.contracts.errors import PanoveilError, Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.keys import provision_wrapping_key
from panoveil.ledger import DynamoLedger, Ledger, provision_table
from panoveil.quarantine import CONSUMES, Failure, put_record
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
    """Create the buckets, the wrapping key, the table, the streams and the consumers' lease tables that do not exist yet."""
    provision_buckets(settings.buckets, settings.region, settings.endpoint_url)
    provision_wrapping_key(settings.wrapping_alias, settings.region, settings.endpoint_url)
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
        """Put the record and its capture away; a redelivery puts the same entry away again."""
        failure = Failure(reason, detail, traceback, attempts, time.time())
        await put_record(self.service, record, failure, self.connections.blobs, self.connections.ledger)
        _LOG.warning("quarantined a record of %s: %s: %s", record.partition_key, reason, detail)


Opened = AbstractAsyncContextManager[Handler]


async def serve(service: str, settings: Settings, opened: Callable[[Connections], Opened]) -> None:
    """Work the service's stream off until SIGTERM or SIGINT; `opened` builds the handler on the connections, and cleans up after it."""
    telemetry.prepare(service)
    telemetry.serve(settings.metrics_host, settings.metrics_port)
    async with connect(settings) as connections, opened(connections) as handler:
        living = unless_erased(handler, connections.ledger)
        consumer = Consumer(service, KclSource(_kcl(service, settings)), living, Quarantine(service, connections))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, consumer.stop)
        await consumer.run()


def unless_erased(handler: Handler, ledger: Ledger) -> Handler:
    """Return the handler, but records of captures that were erased pass it by, and are not put away either."""

    async def living(record: Record) -> None:
        try:
            capture_id = CaptureId.parse(record.partition_key)
        except Rejected:
            await handler(record)
            return
        if await ledger.erased(capture_id):
            return
        try:
            await handler(record)
        except Rejected:  # it may have been erased meanwhile, and what it needs with it
            if not await ledger.erased(capture_id):
                raise

    return living


def _kcl(service: str, settings: Settings) -> KclConfig:
    return KclConfig(
        application=settings.application(service),
        stream_name=settings.stream(CONSUMES[service]),
        region=settings.region,
        worker_id=settings.worker_id,
        service=service,
        endpoint_url=settings.endpoint_url,
        java=settings.java,
        retrieval=settings.retrieval,
        limits=Limits(max_in_flight=settings.max_in_flight, max_in_flight_per_shard=settings.max_in_flight),
    )


def run(main: Coroutine[Any, Any, None], settings: Settings) -> None:
    """Run a service to its end; an error of ours becomes one logged sentence and its exit code."""
    logs.begin(settings.log_level)
    try:
        asyncio.run(main)
    except PanoveilError as error:
        _LOG.critical("%s", error)
        sys.exit(error.exit_code)
