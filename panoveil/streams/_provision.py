"""Creates streams, and the tables of the consumer applications with one lease a shard. Idempotent; run by operators, not services."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any

from panoveil.aws import Expecting, Refused, plain_client, translated
from panoveil.contracts.errors import Unavailable

_THERE = frozenset({"ResourceInUseException"})
_WAIT = {"Delay": 1, "MaxAttempts": 120}
_OWNER_INDEX = "LeaseOwnerToLeaseKeyIndex"
_FRESH, _FROM_TIME = "TRIM_HORIZON", "AT_TIMESTAMP"
_TABLES = ("", "-CoordinatorState", "-WorkerMetricStats")


def provision_streams(
    streams: Mapping[str, int], region: str, endpoint_url: str | None = None, *, retention_hours: int = 168
) -> None:
    """Create the streams that are not there, with so many shards each, and return when all are active.

    A stream that is there keeps its shards. Each keeps its records for `retention_hours` (24 to 8760), or longer where it does
    already: what a consumer has not read by then is lost. Raises `Unavailable` or `Misconfigured`.
    """
    kinesis = plain_client("kinesis", region, endpoint_url)
    for name, shards in streams.items():
        with Expecting(_THERE), translated("kinesis", f"stream {name}"):
            kinesis.create_stream(StreamName=name, ShardCount=shards)
    for name in streams:
        _wait_until_active(kinesis, name)
        _keep_for(kinesis, name, retention_hours)


def provision_application(
    application: str, stream_name: str, region: str, endpoint_url: str | None = None, *, from_time: bool = False
) -> int:
    """Create the application's tables and a lease for each root shard; return the number of leases created.

    A first start is then ready in seconds: the KCL would find the same leases itself, one slow scan after another.
    Safe at any time: once a worker has touched a lease of the application, none is created any more, because a shard without one
    may have been finished. With `from_time` it begins where `KclConfig.start` says. Raises `Unavailable` or `Misconfigured`.
    """
    begin = _FROM_TIME if from_time else _FRESH
    dynamodb = plain_client("dynamodb", region, endpoint_url)
    with translated("dynamodb", f"the tables of {application}"):
        _create_tables(dynamodb, application)
        if not _untouched(dynamodb, application, begin):
            return 0
    with translated("kinesis", f"stream {stream_name}"):
        shards = root_shards(_shards(plain_client("kinesis", region, endpoint_url), stream_name))
    return sum(_create_lease(dynamodb, application, shard, begin) for shard in shards)


def retire_application(application: str, region: str, endpoint_url: str | None = None) -> None:
    """Delete the tables of an application that nobody runs any more; those that are not there are no error."""
    dynamodb = plain_client("dynamodb", region, endpoint_url)
    for suffix in _TABLES:
        with (
            translated("dynamodb", f"the tables of {application}"),
            contextlib.suppress(dynamodb.exceptions.ResourceNotFoundException),
        ):
            dynamodb.delete_table(TableName=application + suffix)


def kept_since(stream_name: str, region: str, endpoint_url: str | None = None) -> float:
    """Return since when a stream keeps its records, epoch seconds. Raises `Unavailable` or `Misconfigured`."""
    kinesis = plain_client("kinesis", region, endpoint_url)
    with translated("kinesis", f"stream {stream_name}"):
        summary = kinesis.describe_stream_summary(StreamName=stream_name)["StreamDescriptionSummary"]
    return time.time() - 3600.0 * float(summary["RetentionPeriodHours"])


def shard_ids(stream_name: str, region: str, endpoint_url: str | None = None) -> frozenset[str]:
    """Return every shard that a stream still has. Raises `Unavailable` or `Misconfigured`."""
    with translated("kinesis", f"stream {stream_name}"):
        return frozenset(shard["ShardId"] for shard in _shards(plain_client("kinesis", region, endpoint_url), stream_name))


def root_shards(shards: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those whose parents the stream no longer has; the KCL makes the leases of the others when their parents end."""
    known = {shard["ShardId"]: shard for shard in shards}
    return [s for s in known.values() if not {s.get("ParentShardId"), s.get("AdjacentParentShardId")} & known.keys()]


def _wait_until_active(kinesis: Any, name: str) -> None:
    with translated("kinesis", f"stream {name}"):
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=_WAIT)


def _keep_for(kinesis: Any, name: str, hours: int) -> None:
    try:
        with translated("kinesis", f"stream {name}"):
            if kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["RetentionPeriodHours"] >= hours:
                return
            kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=hours)
    except Refused as refused:
        if refused.code not in _THERE:
            raise
        raise Unavailable("kinesis", f"stream {name} is being changed by someone else: {refused.detail}") from refused
    _wait_until_active(kinesis, name)


def _shards(kinesis: Any, stream_name: str) -> list[Mapping[str, Any]]:
    pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream_name)
    return [shard for page in pages for shard in page["Shards"]]


def _create_tables(dynamodb: Any, application: str) -> None:
    _create_table(dynamodb, f"{application}-CoordinatorState", "key")
    _create_table(dynamodb, f"{application}-WorkerMetricStats", "wid")
    index = {
        "IndexName": _OWNER_INDEX,
        "KeySchema": [*_hash_key("leaseOwner"), {"AttributeName": "leaseKey", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    _create_table(dynamodb, application, "leaseKey", "leaseOwner", GlobalSecondaryIndexes=[index])
    for suffix in _TABLES:
        dynamodb.get_waiter("table_exists").wait(TableName=application + suffix, WaiterConfig=_WAIT)


def _create_table(dynamodb: Any, name: str, key: str, *other_keys: str, **more: Any) -> None:
    with Expecting(_THERE), translated("dynamodb", f"table {name}"):
        dynamodb.create_table(
            TableName=name,
            KeySchema=_hash_key(key),
            AttributeDefinitions=[{"AttributeName": field, "AttributeType": "S"} for field in (key, *other_keys)],
            BillingMode="PAY_PER_REQUEST",
            **more,
        )


def _hash_key(name: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": "HASH"}]


def _untouched(dynamodb: Any, application: str, begin: str) -> bool:
    pages = dynamodb.get_paginator("scan").paginate(TableName=application, ConsistentRead=True)
    return all(_is_fresh(lease, begin) for page in pages for lease in page["Items"])


def _is_fresh(lease: Mapping[str, Any], begin: str = _FRESH) -> bool:
    return "leaseOwner" not in lease and lease.get("checkpoint", {}).get("S") == begin


def _create_lease(dynamodb: Any, application: str, shard: Mapping[str, Any], begin: str) -> bool:
    """Return whether it was created; one that is there is left as it is."""
    lease = {
        "leaseKey": {"S": shard["ShardId"]},
        "leaseCounter": {"N": "0"},
        "ownerSwitchesSinceCheckpoint": {"N": "0"},
        "checkpoint": {"S": begin},
        "checkpointSubSequenceNumber": {"N": "0"},
        "startingHashKey": {"S": shard["HashKeyRange"]["StartingHashKey"]},
        "endingHashKey": {"S": shard["HashKeyRange"]["EndingHashKey"]},
    }
    try:
        with translated("dynamodb", f"a lease of {application}"):
            dynamodb.put_item(TableName=application, Item=lease, ConditionExpression="attribute_not_exists(leaseKey)")
    except Refused as refused:
        if refused.code != "ConditionalCheckFailedException":
            raise
        return False
    return True
