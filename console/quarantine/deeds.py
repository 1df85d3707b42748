"""What a person does about entries: sent again, dropped, taken over from an earlier version."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from console import side_by_side
from panoveil import quarantine
from panoveil.contracts.audit import QuarantineDecision
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, raw_key
from panoveil.contracts.reasons import Reason
from panoveil.ledger import QuarantineEntry, SeenObject, State, note
from panoveil.runtime import Connections
from panoveil.streams import Outgoing, Record
from services.agent.notification import object_created


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts: a role or a number, never a person's name; `now` tells the time."""

    by: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an entry: as it is now, or why nothing could be done."""

    entry: QuarantineEntry
    problem: str = ""


Deed = Callable[[QuarantineEntry], Awaitable[QuarantineEntry]]


async def each(entries: Iterable[QuarantineEntry], deed: Deed) -> list[Outcome]:
    """Do it for every entry, several at a time; an entry for which it cannot be done keeps nobody from the others."""

    async def one(entry: QuarantineEntry) -> Outcome:
        try:
            return Outcome(await deed(entry))
        except Rejected as error:
            return Outcome(entry, str(error))

    return await side_by_side.each(entries, one)


def redrive(world: Connections, raw_bucket: str, operator: Operator) -> Deed:
    """Return what sends an entry again: its record, or where there is none what the ledger saw of its capture. Twice does no harm."""

    async def redriven(entry: QuarantineEntry) -> QuarantineEntry:
        if entry.capture_id is not None and await world.ledger.erased(entry.capture_id):
            raise Rejected(Reason.ERASED, f"{entry.capture_id} was erased: nothing of it is worked on any more")
        if not await quarantine.redrive_record(entry, world.blobs, world.sink):
            await _announce_again(CaptureId.parse(entry.partition_key), world, raw_bucket, operator.now())
        return await quarantine.change(world.ledger, entry, quarantine.redriven(operator.by, operator.now().timestamp()))

    return redriven


async def _announce_again(capture_id: CaptureId, world: Connections, raw_bucket: str, at: datetime) -> None:
    """Let the capture be receiving again, with all its time, and send the events of what the ledger saw of it."""
    seen = await world.ledger.seen(capture_id)
    await world.ledger.receive_again(capture_id)
    events = [_event(capture_id, thing, raw_bucket, at) for thing in seen.values()]
    await world.sink.send(Stream.UPLOADS, [Outgoing(str(capture_id), event) for event in events])


def _event(capture_id: CaptureId, seen: SeenObject, bucket: str, at: datetime) -> bytes:
    return object_created(bucket, raw_key(capture_id, seen.name).key, seen.size, seen.etag, at)


def drop(world: Connections, operator: Operator, because: str) -> Deed:
    """Return what decides that an entry stays as it is: audited first, then noted on the capture and the entry."""

    async def dropped(entry: QuarantineEntry) -> QuarantineEntry:
        at = operator.now()
        if entry.capture_id is not None:
            await note(world.ledger, _decision(entry, operator.by, because, at))
            detail = f"{entry.detail} Dropped: {because}".strip()
            only = frozenset({State.QUARANTINED})
            await world.ledger.move(entry.capture_id, State.QUARANTINED, entry.reason, detail, after=only)
        return await quarantine.change(world.ledger, entry, quarantine.dropped(operator.by, at.timestamp(), because))

    return dropped


def _decision(entry: QuarantineEntry, by: str, because: str, at: datetime) -> QuarantineDecision:
    return QuarantineDecision(
        at=at,
        drive_id=entry.drive_id,
        by=by,
        because=because,
        capture_id=entry.partition_key,
        entry_id=entry.entry_id,
        service=entry.service,
        reason=entry.reason,
        times=entry.times,
    )


async def of_before(world: Connections) -> AsyncIterator[BlobRef]:
    """Yield the entries that an earlier version wrote, as `<service>/<shard>-<number>.json` without an entry in the ledger."""
    for service in quarantine.CONSUMES:
        async for blob in world.blobs.list(Bucket.QUARANTINE, f"{service}/"):
            yield blob.ref


async def adopt(world: Connections) -> int:
    """Make entries that an earlier version wrote listable, under today's keys; states of captures stay. Return how many."""
    refs = [ref async for ref in of_before(world)]
    for ref in refs:
        await _adopt(ref, world)
    return len(refs)


async def _adopt(ref: BlobRef, world: Connections) -> None:
    document = json.loads(await world.blobs.get(ref))
    shard, _, number = ref.key.split("/", 1)[1].removesuffix(".json").rpartition("-")
    data = base64.b64decode(document["data"])
    record = Record(shard, number, document["partition_key"], data, document["arrived_at"])
    facts = {name: document[name] for name in ("reason", "detail", "traceback", "attempts")}
    failure = quarantine.Failure(**facts, at=record.arrived_at)
    await quarantine.adopt_record(document["service"], record, failure, world.blobs, world.ledger)
    await world.blobs.delete(ref)
