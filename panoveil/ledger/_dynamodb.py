"""The ledger in one DynamoDB table, over one client that stays open.

pk               sk                                   attributes
survey/drive     seen/<capture>                       object:<name> of each object: etag, size
survey/drive     state/<capture>                      state, reason, detail, since, alarm, score (where there is one)
survey/drive     stage/<capture>/<stage>/<recipe>     message
survey/drive     current/<capture>                    recipe, since, version, previous (where there is one)
survey/drive     quarantine/<capture>/<entry>         entry, version
survey/drive     audit/<sequence, 12 digits>          body, previous, hash
survey/drive     audited/<once>                       sequence
survey/drive     audit-head                           sequence, hash
survey/drive     erased                               since
drives           survey/drive                         -

The index `queues` is sparse: it holds only what waits for somebody, oldest first. Items are in it while they have both its keys.

queue                     due                    items
<state>/<0 to 7>          <since>/<capture>      captures that are not finished, by state; spread, for they come and go quickly
quarantine                <since>/<entry>        quarantine entries that are listed
"""

import asyncio
import json
import random
import re
import time
import uuid
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from panoveil.aws import PATIENT, Expecting, Patience, open_client, plain_client, translated
from panoveil.contracts.errors import Unavailable
from panoveil.contracts.keys import CaptureId
from panoveil.ledger._chain import AuditEntry, AuditHead, canonical, link
from panoveil.ledger._port import (
    ANYWHERE,
    FAR_FUTURE,
    MAY_FOLLOW,
    UNFINISHED,
    UNGRADED,
    CaptureState,
    Finished,
    Grade,
    Pointer,
    SeenObject,
    State,
)
from panoveil.ledger._quarantined import Fate, QuarantineEntry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient as PlainClient
    from types_aiobotocore_dynamodb import DynamoDBClient

_CONDITION_FAILED = frozenset({"ConditionalCheckFailedException"})
_CANCELLED = frozenset({"TransactionCanceledException"})
_EXISTS = frozenset({"ResourceInUseException"})
_ABSENT = "attribute_not_exists(pk)"
_SEQUENCE = re.compile(r"audit/([0-9]{12})")
_AUDIT_ATTEMPTS = 200
_INDEX = "queues"
_QUARANTINE = "quarantine"
_STAGE = "stage"
_OBJECT = "object:"
_CURRENT = "current"
_LANES = 8
_REMEMBERED = 10_000

Item = dict[str, Any]


class DynamoLedger:
    """Open it as an async context manager; one serves a whole process."""

    def __init__(
        self,
        table: str,
        region: str,
        endpoint_url: str | None = None,
        patience: Patience = PATIENT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Connect only when entered; `clock` gives epoch seconds."""
        self._table = table
        self._opening = open_client("dynamodb", region, endpoint_url, patience)
        self._clock = clock
        self._noted = _Recent(_REMEMBERED)
        self._stack = AsyncExitStack()
        self._client: DynamoDBClient

    async def __aenter__(self) -> Self:
        """Open the client."""
        self._client = await self._stack.enter_async_context(self._opening)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the client."""
        await self._stack.aclose()

    async def saw(self, capture_id: CaptureId, seen: SeenObject) -> dict[str, SeenObject]:
        """See `Ledger`. One write that answers with all there is after it: of two at the same time, the later one sees both."""
        with translated("dynamodb", self._table):
            answer = await self._client.update_item(
                TableName=self._table,
                Key=_key(capture_id, "seen"),
                UpdateExpression="SET #object = :object",
                ExpressionAttributeNames={"#object": f"{_OBJECT}{seen.name}"},
                ExpressionAttributeValues={":object": {"M": {"etag": {"S": seen.etag}, "size": {"N": str(seen.size)}}}},
                ReturnValues="ALL_NEW",
            )
        if capture_id not in self._noted:
            await self.move(capture_id, State.RECEIVING)
            self._noted.add(capture_id)
        return _seen_objects(answer["Attributes"])

    async def move(
        self,
        capture_id: CaptureId,
        state: State,
        reason: str = "",
        detail: str = "",
        *,
        after: frozenset[State] = ANYWHERE,
        grade: Grade = UNGRADED,
    ) -> None:
        """See `Ledger`."""
        await self._note_drive(capture_id.drive_id)
        await self._write_state(CaptureState(capture_id, state, reason, detail, self._clock(), grade), MAY_FOLLOW[state] & after)

    async def _write_state(self, to: CaptureState, before: frozenset[State], absent: str = f"{_ABSENT} OR ") -> None:
        """Write the state where one of those before it is there, or (with `absent`) none."""
        values = {f":from{number}": {"S": one.value} for number, one in enumerate(sorted(before))}
        allowed = f"{absent}#state IN ({', '.join(values)})" if values else _ABSENT
        names = {"ExpressionAttributeNames": {"#state": "state"}, "ExpressionAttributeValues": values} if values else {}
        with Expecting(_CONDITION_FAILED):
            await self._put(_state_item(to), ConditionExpression=allowed, **names)

    async def state(self, capture_id: CaptureId) -> CaptureState | None:
        """See `Ledger`."""
        item = await self._get(_key(capture_id, "state"))
        return _capture_state(item) if item else None

    async def end_drive(self, drive_id: str) -> None:
        """See `Ledger`."""
        await self._note_drive(drive_id)
        await self._put({"pk": {"S": drive_id}, **_ERASED, "since": {"N": repr(self._clock())}})

    async def drive_erased(self, drive_id: str) -> bool:
        """See `Ledger`."""
        return await self._get({"pk": {"S": drive_id}, **_ERASED}) is not None

    async def erased(self, capture_id: CaptureId) -> bool:
        """See `Ledger`."""
        drive, state = await asyncio.gather(self.drive_erased(capture_id.drive_id), self._get(_key(capture_id, "state")))
        return drive or (state is not None and state["state"]["S"] == State.ERASED)

    async def finished(self, capture_id: CaptureId, stage: str, recipe_id: str) -> bytes | None:
        """See `Ledger`."""
        item = await self._get(_key(capture_id, "stage", stage, recipe_id))
        return bytes(item["message"]["B"]) if item else None

    async def finish(self, capture_id: CaptureId, stage: str, recipe_id: str, message: bytes) -> bytes:
        """See `Ledger`."""
        key = _key(capture_id, "stage", stage, recipe_id)
        with Expecting(_CONDITION_FAILED):
            await self._put({**key, "message": {"B": message}}, ConditionExpression=_ABSENT)
            return message
        winner = await self.finished(capture_id, stage, recipe_id)
        return message if winner is None else winner

    async def messages(self, drive_id: str, stage: str, capture: str | None = None) -> AsyncIterator[Finished]:
        """See `Ledger`."""
        async for item in self._query(drive_id, f"{_STAGE}/" if capture is None else f"{_STAGE}/{capture}/{stage}/"):
            found = _finished(item)
            if found.stage == stage:
                yield found

    async def current(self, capture_id: CaptureId) -> Pointer | None:
        """See `Ledger`."""
        item = await self._get(_key(capture_id, _CURRENT))
        return _pointer(item) if item else None

    async def point(self, capture_id: CaptureId, recipe_id: str, *, expected: Pointer | None, back: bool = False) -> bool:
        """See `Ledger`."""
        previous = None if expected is None or back else expected.recipe_id
        to = Pointer(capture_id, recipe_id, previous, self._clock(), expected.version + 1 if expected else 1)
        condition: dict[str, Any] = {"ConditionExpression": _ABSENT}
        if expected is not None:
            condition = {
                "ConditionExpression": "#version = :before",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":before": {"N": str(expected.version)}},
            }
        with Expecting(_CONDITION_FAILED):
            await self._put(_pointer_item(to), **condition)
            return True
        return False

    async def pointers(self, drive_id: str) -> AsyncIterator[Pointer]:
        """See `Ledger`."""
        async for item in self._query(drive_id, f"{_CURRENT}/"):
            yield _pointer(item)

    async def drives(self) -> AsyncIterator[str]:
        """See `Ledger`."""
        async for item in self._query("drives", ""):
            yield item["sk"]["S"]

    async def captures(self, drive_id: str) -> AsyncIterator[CaptureState]:
        """See `Ledger`."""
        async for item in self._query(drive_id, "state/"):
            yield _capture_state(item)

    async def seen(self, capture_id: CaptureId) -> dict[str, SeenObject]:
        """See `Ledger`."""
        return _seen_objects(await self._get(_key(capture_id, "seen")) or {})

    async def receiving(self, before: float) -> AsyncIterator[CaptureState]:
        """See `Ledger`."""
        async for found in self._standing(State.RECEIVING, before):
            yield found

    async def unfinished(self, state: State) -> AsyncIterator[CaptureState]:
        """See `Ledger`."""
        async for found in self._standing(state, FAR_FUTURE):
            yield found

    async def _standing(self, state: State, before: float) -> AsyncIterator[CaptureState]:
        for lane in range(_LANES):
            async for item in self._queued(f"{state}/{lane}", "0", _due(before)):
                yield _capture_state(item)

    async def receive_again(self, capture_id: CaptureId) -> None:
        """See `Ledger`."""
        to = CaptureState(capture_id, State.RECEIVING, since=self._clock())
        await self._write_state(to, frozenset({State.QUARANTINED}), absent="")

    async def keep(self, entry: QuarantineEntry) -> bool:
        """See `Ledger`."""
        before = {":before": {"N": str(entry.version - 1)}}
        names = {"ExpressionAttributeNames": {"#version": "version"}, "ExpressionAttributeValues": before}
        condition: dict[str, Any] = {"ConditionExpression": _ABSENT}
        if entry.version > 1:
            condition = {"ConditionExpression": "#version = :before", **names}
        with Expecting(_CONDITION_FAILED):
            await self._put(_entry_item(entry), **condition)
            return True
        return False

    async def kept(self, drive_id: str, name: str) -> QuarantineEntry | None:
        """See `Ledger`."""
        item = await self._get({"pk": {"S": drive_id}, "sk": {"S": f"{_QUARANTINE}/{name}"}})
        return _quarantine_entry(item) if item else None

    async def quarantined(self, since: float = 0.0, until: float = FAR_FUTURE) -> AsyncIterator[QuarantineEntry]:
        """See `Ledger`."""
        async for item in self._queued(_QUARANTINE, _due(since), _due(until) + "~"):
            yield _quarantine_entry(item)

    async def quarantined_of(self, drive_id: str) -> AsyncIterator[QuarantineEntry]:
        """See `Ledger`."""
        async for item in self._query(drive_id, f"{_QUARANTINE}/"):
            yield _quarantine_entry(item)

    async def audit(self, drive_id: str, body: Mapping[str, object], once: str = "") -> AuditEntry:
        """See `Ledger`. Appends to the head it read; where another was quicker, it reads the new head and tries again."""
        name = once or uuid.uuid4().hex
        for attempt in range(_AUDIT_ATTEMPTS):
            entry = link(await self.audit_head(drive_id), body)
            if await self._append(drive_id, entry, name):
                return entry
            there = await self._audited(drive_id, name)
            if there is not None:
                return there
            await asyncio.sleep(random.uniform(0, 0.01 * min(attempt + 1, 20)))  # noqa: S311 - only spreads the racers
        raise Unavailable(
            "dynamodb", f"the audit chain of {drive_id} is written to by too many at once, or its end is not its head"
        )

    async def audit_head(self, drive_id: str) -> AuditHead | None:
        """See `Ledger`."""
        item = await self._get(_HEAD | {"pk": {"S": drive_id}})
        return AuditHead(int(item["sequence"]["N"]), item["hash"]["S"]) if item else None

    async def audit_chain(self, drive_id: str) -> AsyncIterator[AuditEntry]:
        """See `Ledger`."""
        async for item in self._query(drive_id, "audit/", consistent=True):
            yield _audit_entry(item)

    async def _append(self, drive_id: str, entry: AuditEntry, once: str) -> bool:
        """Write the entry, what it is the only one of, and the new head, all or nothing; say whether that was possible."""
        puts: list[Any] = [{"Put": {"TableName": self._table, **put}} for put in _audit_puts(drive_id, entry, once)]
        with Expecting(_CANCELLED), translated("dynamodb", self._table):
            await self._client.transact_write_items(TransactItems=puts)
            return True
        return False

    async def _audited(self, drive_id: str, once: str) -> AuditEntry | None:
        """Return the entry that was appended under this name, also where only the answer to our own write was lost."""
        noted = await self._get({"pk": {"S": drive_id}, "sk": {"S": f"audited/{once}"}})
        if noted is None:
            return None
        item = await self._get({"pk": {"S": drive_id}, "sk": {"S": _audit_sk(int(noted["sequence"]["N"]))}})
        return _audit_entry(item) if item else None

    async def _note_drive(self, drive_id: str) -> None:
        if drive_id not in self._noted:
            await self._put({"pk": {"S": "drives"}, "sk": {"S": drive_id}})
            self._noted.add(drive_id)

    async def _put(self, item: Item, **condition: Any) -> None:
        with translated("dynamodb", self._table):
            await self._client.put_item(TableName=self._table, Item=item, **condition)

    async def _get(self, key: Item) -> Item | None:
        with translated("dynamodb", self._table):
            answer = await self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return answer.get("Item")

    async def _queued(self, queue: str, first: str, last: str) -> AsyncIterator[Item]:
        """Yield the items of a queue that are due from `first` to `last`, ordered."""
        values = {":queue": {"S": queue}, ":first": {"S": first}, ":last": {"S": last}}
        more: dict[str, Any] = {}
        while True:
            with translated("dynamodb", self._table):
                page = await self._client.query(
                    TableName=self._table,
                    IndexName=_INDEX,
                    KeyConditionExpression="queue = :queue AND due BETWEEN :first AND :last",
                    ExpressionAttributeValues=values,
                    **more,
                )
            for item in page["Items"]:
                yield item
            if "LastEvaluatedKey" not in page:
                return
            more["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def _query(
        self,
        pk: str,
        prefix: str,
        *,
        consistent: bool = False,
        **more: Any,
    ) -> AsyncIterator[Item]:
        """Yield the items under `pk` whose sk begins with `prefix`, ordered by sk."""
        condition = "pk = :pk AND begins_with(sk, :prefix)" if prefix else "pk = :pk"
        values = {":pk": {"S": pk}, **({":prefix": {"S": prefix}} if prefix else {})}
        while True:
            with translated("dynamodb", self._table):
                page = await self._client.query(
                    TableName=self._table,
                    KeyConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ConsistentRead=consistent,
                    **more,
                )
            for item in page["Items"]:
                yield item
            if "LastEvaluatedKey" not in page:
                return
            more["ExclusiveStartKey"] = page["LastEvaluatedKey"]


class _Recent:
    """The last few things this process wrote down, so that it does not write them for every object again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[object, None] = OrderedDict()

    def __contains__(self, thing: object) -> bool:
        return thing in self._known

    def add(self, thing: object) -> None:
        self._known[thing] = None
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


def provision_table(table: str, region: str, endpoint_url: str | None = None) -> None:
    """Create the table where it is not there and wait until it serves; give one of before there was an index its index.

    Repeating it changes nothing.
    """
    client: PlainClient = plain_client("dynamodb", region, endpoint_url)
    with Expecting(_EXISTS), translated("dynamodb", table):
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=_attributes("pk", "sk", "queue", "due"),
            GlobalSecondaryIndexes=[_QUEUES],
            BillingMode="PAY_PER_REQUEST",
        )
    with translated("dynamodb", table):
        client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        if not client.describe_table(TableName=table)["Table"].get("GlobalSecondaryIndexes"):
            _add_index(client, table)


def _add_index(client: "PlainClient", table: str) -> None:
    """Add the index, and put into it what was unfinished before: DynamoDB fills it while the table goes on serving."""
    client.update_table(
        TableName=table,
        AttributeDefinitions=_attributes("queue", "due"),
        GlobalSecondaryIndexUpdates=[{"Create": _QUEUES}],
    )
    while not all(index.get("IndexStatus", "ACTIVE") == "ACTIVE" for index in _indexes(client, table)):
        time.sleep(1)
    states: Any = {f":state{number}": {"S": state} for number, state in enumerate(UNFINISHED)}
    pages = client.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression=f"begins_with(sk, :states) AND #state IN ({', '.join(states)})",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":states": {"S": "state/"}, **states},
    )
    for page in pages:
        for item in page["Items"]:
            _queue_again(client, table, _capture_state(item))


def _queue_again(client: "PlainClient", table: str, state: CaptureState) -> None:
    item = _state_item(state)
    with Expecting(_CONDITION_FAILED), translated("dynamodb", table):  # it moved on meanwhile
        client.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="#state = :then",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":then": {"S": state.state}},
        )


def _indexes(client: "PlainClient", table: str) -> list[Any]:
    return list(client.describe_table(TableName=table)["Table"].get("GlobalSecondaryIndexes", []))


def _attributes(*names: str) -> list[Any]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


_QUEUES: Any = {
    "IndexName": _INDEX,
    "KeySchema": [{"AttributeName": "queue", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "ALL"},
}


def _key(capture_id: CaptureId, kind: str, *parts: str) -> Item:
    return {"pk": {"S": capture_id.drive_id}, "sk": {"S": "/".join((kind, capture_id.capture, *parts))}}


def _capture_of(item: Item) -> CaptureId:
    return CaptureId.parse(f"{item['pk']['S']}/{item['sk']['S'].split('/')[1]}")


def _finished(item: Item) -> Finished:
    stage, recipe_id = item["sk"]["S"].split("/")[2:]
    return Finished(_capture_of(item), stage, recipe_id, bytes(item["message"]["B"]))


def _pointer(item: Item) -> Pointer:
    previous = item["previous"]["S"] if "previous" in item else None
    return Pointer(_capture_of(item), item["recipe"]["S"], previous, float(item["since"]["N"]), int(item["version"]["N"]))


def _pointer_item(to: Pointer) -> Item:
    return {
        **_key(to.capture_id, _CURRENT),
        "recipe": {"S": to.recipe_id},
        "since": {"N": repr(to.at)},
        "version": {"N": str(to.version)},
        **({} if to.previous is None else {"previous": {"S": to.previous}}),
    }


def _seen_objects(item: Item) -> dict[str, SeenObject]:
    found = {name.removeprefix(_OBJECT): value["M"] for name, value in item.items() if name.startswith(_OBJECT)}
    return {name: SeenObject(name, found[name]["etag"]["S"], int(found[name]["size"]["N"])) for name in sorted(found)}


def _due(at: float) -> str:
    """Write epoch seconds so that text order is time's."""
    return f"{at:017.6f}"


def _state_item(to: CaptureState) -> Item:
    values = {"state": to.state.value, "reason": to.reason, "detail": to.detail, "alarm": to.grade.alarm}
    if to.state in UNFINISHED:
        lane = zlib.crc32(str(to.capture_id).encode()) % _LANES
        values |= {"queue": f"{to.state}/{lane}", "due": f"{_due(to.since)}/{to.capture_id}"}
    return {
        **_key(to.capture_id, "state"),
        **{name: {"S": value} for name, value in values.items()},
        "since": {"N": repr(to.since)},
        **({} if to.grade.score is None else {"score": {"N": repr(round(to.grade.score, 6))}}),
    }


def _entry_item(entry: QuarantineEntry) -> Item:
    values = {"pk": entry.drive_id, "sk": f"{_QUARANTINE}/{entry.name}", "entry": json.dumps(asdict(entry))}
    if entry.listed:
        values |= {"queue": _QUARANTINE, "due": f"{_due(entry.since)}/{entry.drive_id}/{entry.name}"}
    return {**{name: {"S": value} for name, value in values.items()}, "version": {"N": str(entry.version)}}


def _quarantine_entry(item: Item) -> QuarantineEntry:
    fields = json.loads(item["entry"]["S"])
    return QuarantineEntry(**fields | {"fate": Fate(fields["fate"])})


def _capture_state(item: Item) -> CaptureState:
    capture_id = CaptureId.parse(f"{item['pk']['S']}/{item['sk']['S'].removeprefix('state/')}")
    reason, detail = item["reason"]["S"], item["detail"]["S"]
    score = float(item["score"]["N"]) if "score" in item else None
    grade = Grade(score, item.get("alarm", {}).get("S", ""))  # items of before there were grades have neither
    return CaptureState(capture_id, State(item["state"]["S"]), reason, detail, float(item["since"]["N"]), grade)


_HEAD: Item = {"sk": {"S": "audit-head"}}
_ERASED: Item = {"sk": {"S": "erased"}}


def _audit_sk(sequence: int) -> str:
    return f"audit/{sequence:012}"


def _audit_puts(drive_id: str, entry: AuditEntry, once: str) -> list[Any]:
    pk, sequence = {"pk": {"S": drive_id}}, {"sequence": {"N": str(entry.sequence)}}
    text = {"body": canonical(dict(entry.body)), "previous": entry.previous, "hash": entry.hash}
    written = {name: {"S": value} for name, value in text.items()}
    return [
        {"Item": {**pk, "sk": {"S": _audit_sk(entry.sequence)}, **written}, "ConditionExpression": _ABSENT},
        {"Item": {**pk, "sk": {"S": f"audited/{once}"}, **sequence}, "ConditionExpression": _ABSENT},
        {
            "Item": {**pk, **_HEAD, **sequence, "hash": {"S": entry.hash}},
            "ConditionExpression": f"{_ABSENT} OR #hash = :previous",
            "ExpressionAttributeNames": {"#hash": "hash"},
            "ExpressionAttributeValues": {":previous": {"S": entry.previous}},
        },
    ]


def _audit_entry(item: Item) -> AuditEntry:
    """Return the entry as the table has it, whatever was done to it: one that was never written so cannot have its hash."""
    number = _SEQUENCE.fullmatch(item["sk"]["S"])
    body, previous, digest = (item.get(name, {}).get("S", "") for name in ("body", "previous", "hash"))
    return AuditEntry(int(number[1]) if number else 0, _body(body), previous, digest)


def _body(text: str) -> Mapping[str, object]:
    try:
        body = json.loads(text)
        if isinstance(body, dict) and canonical(body) == text:
            return body
    except (ValueError, RecursionError):
        pass
    return {"not as it was written": text}
