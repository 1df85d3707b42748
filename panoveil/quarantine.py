"""What cannot be worked on: put away with its reason, listed, sent again or dropped.

The record and its traceback lie in the quarantine bucket, `entries/<survey>/<drive>/<capture>/<entry>.json`; what is asked for often,
and what was done about it, is the ledger's `QuarantineEntry`. Written in this order: object, entry, the capture's state. So whatever is
quarantined in the ledger can be listed, and a crash in between only puts the same away again.
"""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from panoveil.blobs import Blobs
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, quarantine_key
from panoveil.contracts.reasons import Reason
from panoveil.ledger import NO_DRIVE, Fate, Ledger, QuarantineEntry, State
from panoveil.streams import Outgoing, Record, RecordSink

CONSUMES = {
    "ingest": Stream.UPLOADS,
    "stitcher": Stream.CAPTURES,
    "anonymizer": Stream.PANORAMAS,
    "archivist": Stream.PUBLICATIONS,
}
"""The stream each service works off, so where its records are sent again."""

BEFORE = {
    "ingest": frozenset({State.RECEIVING, State.QUARANTINED}),
    "stitcher": frozenset({State.RECEIVING, State.READY, State.QUARANTINED}),
    "anonymizer": frozenset({State.RECEIVING, State.READY, State.STITCHED, State.QUARANTINED}),
    "archivist": frozenset(),
}
"""States of captures that have not left the service behind: a bad record of an earlier time cannot take others back."""

Change = Callable[[QuarantineEntry], QuarantineEntry]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something was put away; `attempts` the handler made, `at` in epoch seconds."""

    reason: str
    detail: str
    traceback: str
    attempts: int
    at: float


async def put_record(service: str, record: Record, failure: Failure, blobs: Blobs, ledger: Ledger) -> None:
    """Put a record away, and its capture with it. The same record again is the same entry, put away once more."""
    await _put_entry(await _written(service, record, failure, blobs), ledger)


async def adopt_record(service: str, record: Record, failure: Failure, blobs: Blobs, ledger: Ledger) -> None:
    """List a record that was put away before there was a list; where it is listed already, nothing changes."""
    await change(ledger, await _written(service, record, failure, blobs), lambda there: there)


async def _written(service: str, record: Record, failure: Failure, blobs: Blobs) -> QuarantineEntry:
    """Write the record's object; return its entry, as if it were new."""
    new = _new(_entry_id(service, record.partition_key, record.data), service, record.partition_key, failure)
    ref = quarantine_key(new.drive_id, new.name)
    await blobs.put(ref, json.dumps(_document(service, record, failure)).encode(), "application/json")
    return dataclasses.replace(new, record=ref.key)


async def put_capture(service: str, capture_id: CaptureId, failure: Failure, ledger: Ledger) -> None:
    """Put a capture away of which there is no record to blame: it is announced from what the ledger saw when it is sent again."""
    await _put_entry(_new(_entry_id(service, str(capture_id), b""), service, str(capture_id), failure), ledger)


async def _put_entry(new: QuarantineEntry, ledger: Ledger) -> None:
    await change(ledger, new, lambda old: _put_away_again(old, new))
    if new.capture_id is not None:
        await ledger.move(new.capture_id, State.QUARANTINED, new.reason, new.detail, after=BEFORE[new.service])


def _put_away_again(old: QuarantineEntry, new: QuarantineEntry) -> QuarantineEntry:
    """Keep the entry's history. What a person dropped stays dropped: it was decided about just this record."""
    return dataclasses.replace(
        old,
        reason=new.reason,
        detail=new.detail,
        since=new.since,
        attempts=new.attempts,
        record=new.record,
        times=old.times + 1,
        fate=Fate.DROPPED if old.fate is Fate.DROPPED else Fate.WAITING,
    )


async def change(ledger: Ledger, entry: QuarantineEntry, how: Change) -> QuarantineEntry:
    """Write `how` of the entry as it is now, or the entry itself where it is new; return what was written."""
    while True:
        old = await ledger.kept(entry.drive_id, entry.name)
        wanted = dataclasses.replace(how(old), version=old.version + 1) if old else entry
        if await ledger.keep(wanted):
            return wanted


async def content(entry: QuarantineEntry, blobs: Blobs) -> dict[str, Any] | None:
    """Return what was put away with the entry: record (`data`, bytes), traceback, arrival. None where there never was a record.

    `Rejected(OBJECT_GONE)` where it is no longer in the bucket.
    """
    if not entry.record:
        return None
    document: dict[str, Any] = json.loads(await blobs.get(BlobRef(Bucket.QUARANTINE, entry.record)))
    return document | {"data": base64.b64decode(document["data"])}


def read_back(ref: BlobRef, data: bytes) -> QuarantineEntry:
    """Return the entry of an object in the quarantine bucket, as if it were new; `Rejected(NOT_JSON)` where it is none."""
    try:
        document = json.loads(data)
        facts = (document["reason"], document["detail"], "", document["attempts"], float(document["quarantined_at"]))
        entry_id = ref.key.rsplit("/", 1)[1].removesuffix(".json")
        entry = _new(entry_id, str(document["service"]), str(document["partition_key"]), Failure(*facts))
    except (ValueError, KeyError, TypeError) as error:
        raise Rejected(Reason.NOT_JSON, f"it is no entry of ours ({type(error).__name__})") from error
    return dataclasses.replace(entry, record=ref.key)


async def redrive_record(entry: QuarantineEntry, blobs: Blobs, sink: RecordSink) -> bool:
    """Send the entry's record to the stream it came from; False where it has none. Handlers are idempotent, so twice does no harm."""
    document = await content(entry, blobs)
    if document is None:
        return False
    await sink.send(CONSUMES[entry.service], [Outgoing(entry.partition_key, document["data"])])
    return True


def redriven(by: str, at: float) -> Change:
    """Return what notes that an entry was sent again. Where no capture's end can tell how it went, it leaves the list at once."""

    def noted(entry: QuarantineEntry) -> QuarantineEntry:
        fate = Fate.SETTLED if entry.drive_id == NO_DRIVE else Fate.REDRIVEN
        return dataclasses.replace(entry, fate=fate, redrives=entry.redrives + 1, decided_at=at, decided_by=by)

    return noted


def dropped(by: str, at: float, because: str) -> Change:
    """Return what notes that a person decided to leave an entry as it is."""
    return lambda entry: dataclasses.replace(entry, fate=Fate.DROPPED, decided_at=at, decided_by=by, because=because)


def settled(entry: QuarantineEntry) -> QuarantineEntry:
    """Note that the entry's capture came to a good end."""
    return dataclasses.replace(entry, fate=Fate.SETTLED)


def _new(entry_id: str, service: str, partition_key: str, failure: Failure) -> QuarantineEntry:
    return QuarantineEntry(
        entry_id=entry_id,
        service=service,
        partition_key=partition_key,
        reason=failure.reason,
        detail=failure.detail,
        since=failure.at,
        first=failure.at,
        attempts=failure.attempts,
    )


def _entry_id(service: str, partition_key: str, data: bytes) -> str:
    parts = (service.encode(), partition_key.encode(), data)
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()[:12]


def _document(service: str, record: Record, failure: Failure) -> dict[str, Any]:
    return {
        "service": service,
        "reason": failure.reason,
        "detail": failure.detail,
        "traceback": failure.traceback,
        "attempts": failure.attempts,
        "quarantined_at": failure.at,
        "shard_id": record.shard_id,
        "sequence_number": record.sequence_number,
        "partition_key": record.partition_key,
        "arrived_at": record.arrived_at,
        "data": base64.b64encode(record.data).decode(),
    }
