"""What a role may not do is said by the call that it may not make; tests/streams has the emulator."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.streams import KclConfig
from panoveil.streams._kcl import preflight

CONFIG = KclConfig("app", "cars", "eu-north-1", "me", "test")
KINESIS = ["describe_stream_summary", "list_shards", "get_shard_iterator", "get_records"]
DYNAMODB = ["describe_table", "scan", "get_item", "put_item", "update_item", "delete_item"]
ANSWERS: dict[str, Any] = {
    "list_shards": {"Shards": [{"ShardId": "shardId-0"}]},
    "get_shard_iterator": {"ShardIterator": "here"},
    "describe_table": {"Table": {"TableStatus": "ACTIVE"}},
}
CONDITIONAL = {"put_item", "update_item", "delete_item"}


class Aws:
    """Both services; `refused` answers with `code`, and writes meet an unmet condition as the real ones do."""

    def __init__(self, refused: str, code: str) -> None:
        self.refused, self.code = refused, code
        self.asked: set[str] = set()
        self.begins: list[str] = []

    def __getattr__(self, call: str) -> Any:
        def answer(**arguments: Any) -> Any:
            self.asked.add(call)
            self.begins.append(arguments.get("ShardIteratorType", ""))
            if call == self.refused:
                raise ClientError({"Error": {"Code": self.code, "Message": f"not authorized to perform: {call}"}}, call)
            if call in CONDITIONAL:
                assert arguments["ConditionExpression"] == "attribute_exists(#key)"
                raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, call)
            return ANSWERS.get(call, {})

        return answer


def aws(monkeypatch: pytest.MonkeyPatch, refused: str = "nothing", code: str = "AccessDeniedException") -> Aws:
    fake = Aws(refused, code)
    monkeypatch.setattr(preflight, "plain_client", lambda *_: fake)
    return fake


def test_everything_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = aws(monkeypatch)
    preflight.check(CONFIG)
    assert fake.asked == {*KINESIS, *DYNAMODB}


def test_asking_makes_no_stream_look_old(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = aws(monkeypatch)
    preflight.check(CONFIG)
    assert [begin for begin in fake.begins if begin] == ["LATEST"]


@pytest.mark.parametrize("call", KINESIS)
def test_what_may_not_be_done_with_the_stream_is_named(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    aws(monkeypatch, call)
    with pytest.raises(Misconfigured, match=f"kinesis, {call} on stream cars: access is denied: grant this role the action"):
        preflight.check(CONFIG)


@pytest.mark.parametrize("call", DYNAMODB)
def test_what_may_not_be_done_with_a_table_is_named(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    aws(monkeypatch, call)
    with pytest.raises(Misconfigured, match=f"dynamodb, {call} on table app: access is denied: grant this role the action"):
        preflight.check(CONFIG)


def test_one_that_is_busy_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    aws(monkeypatch, "get_records", "ProvisionedThroughputExceededException")
    with pytest.raises(Unavailable):
        preflight.check(CONFIG)


def test_a_table_on_its_way_out_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    aws(monkeypatch)
    monkeypatch.setitem(ANSWERS, "describe_table", {"Table": {"TableStatus": "DELETING"}})
    with pytest.raises(Misconfigured, match="it is DELETING"):
        preflight.check(CONFIG)
