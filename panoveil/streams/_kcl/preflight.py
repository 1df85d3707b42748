"""What must be so before the daemon is worth starting: its own complaints are stack traces, and it never gives up."""

from collections.abc import Mapping
from typing import Any

from panoveil.aws import Refused, plain_client, translated
from panoveil.contracts.errors import Misconfigured
from panoveil.streams._kcl.config import KclConfig
from panoveil.streams._provision import shard_ids

_KEYS = {"": "leaseKey", "-CoordinatorState": "key", "-WorkerMetricStats": "wid"}
"""The KCL's tables, by what follows the application's name, and their keys."""
_KINDS = {"StreamName": "stream", "TableName": "table"}
_NOBODY = {"S": "panoveil-preflight"}


def shards_of(config: KclConfig) -> frozenset[str]:
    """Return the ids of every shard that the stream still has; raise as `check` does."""
    return shard_ids(config.stream_name, config.region, config.endpoint_url)


def check(config: KclConfig) -> None:
    """Raise `Misconfigured` where the stream or a table is not there or may not be used, `Unavailable` where AWS does not answer.

    Nothing is changed: writes are tried on an item that does not exist, under the condition that it does.
    """
    _check_stream(plain_client("kinesis", config.region, config.endpoint_url), config)
    dynamodb = plain_client("dynamodb", config.region, config.tables_url)
    for suffix, key in _KEYS.items():
        _check_table(dynamodb, config.application + suffix, key)


def _check_stream(kinesis: Any, config: KclConfig) -> None:
    name = {"StreamName": config.stream_name}
    _ask(kinesis, "kinesis", "describe_stream_summary", name)
    shards = _ask(kinesis, "kinesis", "list_shards", {**name, "MaxResults": 1})["Shards"]
    # From the stream's end: whatever reads old records makes the stream look as far behind as they are old, and scaling believes it.
    for shard in shards if config.retrieval == "polling" else []:
        start = {**name, "ShardId": shard["ShardId"], "ShardIteratorType": "LATEST"}
        iterator = _ask(kinesis, "kinesis", "get_shard_iterator", start)["ShardIterator"]
        _ask(kinesis, "kinesis", "get_records", {"ShardIterator": iterator, "Limit": 1}, what=f"stream {config.stream_name}")


def _check_table(dynamodb: Any, name: str, key: str) -> None:
    status = _ask(dynamodb, "dynamodb", "describe_table", {"TableName": name})["Table"]["TableStatus"]
    if status not in {"ACTIVE", "UPDATING"}:
        raise Misconfigured(f"dynamodb, table {name}: it is {status}: wait until it is ACTIVE, or provision it again")
    _ask(dynamodb, "dynamodb", "scan", {"TableName": name, "Limit": 1})
    item = {"TableName": name, "Key": {key: _NOBODY}}
    unmet = {"ConditionExpression": "attribute_exists(#key)", "ExpressionAttributeNames": {"#key": key}}
    _ask(dynamodb, "dynamodb", "get_item", item)
    _ask(dynamodb, "dynamodb", "put_item", {"TableName": name, "Item": {key: _NOBODY}, **unmet})
    _ask(dynamodb, "dynamodb", "update_item", item | unmet)
    _ask(dynamodb, "dynamodb", "delete_item", item | unmet)


def _ask(client: Any, dependency: str, call: str, arguments: Mapping[str, Any], what: str = "") -> Any:
    """Return the answer; None for one that only an unmet condition refused."""
    resource = what or " ".join(f"{kind} {arguments[name]}" for name, kind in _KINDS.items() if name in arguments)
    try:
        with translated(dependency, f"{call} on {resource}"):
            return getattr(client, call)(**arguments)
    except Refused as refused:
        if refused.code != "ConditionalCheckFailedException":
            raise
        return None
