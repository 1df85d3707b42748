"""What only real servers show: provisioning, and that nothing outlives a service."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from panoveil.aws import plain_client
from panoveil.contracts.errors import Misconfigured, Unavailable
from panoveil.contracts.keys import Stream
from panoveil.streams import KclConfig, KclSource, Outgoing, kinesis_sink, provision_application, provision_streams
from tests.streams.running import PATIENCE, nothing
from tests.streams.worlds import REGION, SHARDS, KclWorld, descendants

pytestmark = pytest.mark.servers

SERVICE = """
import asyncio
from panoveil.streams import KclSource
from tests.streams.running import nothing
from tests.streams.worlds import KclWorld

class Found(KclWorld):
    def __post_init__(self): pass

asyncio.run(KclSource(Found(*{arguments!r}).config).run(nothing))
"""


def test_provisioning_again_changes_nothing(emulator: str) -> None:
    world = KclWorld(emulator)
    provision_streams({world.name: SHARDS + 1}, REGION, emulator)
    assert provision_application(world.name, world.name, REGION, emulator) == 0
    shards = plain_client("kinesis", REGION, emulator).list_shards(StreamName=world.name)["Shards"]
    assert len(shards) == SHARDS


def retention(stream: str, url: str) -> int:
    summary = plain_client("kinesis", REGION, url).describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return int(summary["RetentionPeriodHours"])


def test_a_stream_keeps_its_records_for_a_week_and_is_never_made_to_keep_them_shorter(emulator: str) -> None:
    world = KclWorld(emulator)
    assert retention(world.name, emulator) == 168
    for hours, kept in ((200, 200), (168, 200), (200, 200)):
        provision_streams({world.name: SHARDS}, REGION, emulator, retention_hours=hours)
        assert retention(world.name, emulator) == kept


def test_a_stream_that_keeps_them_for_a_day_is_made_to_keep_them_for_a_week(emulator: str) -> None:
    kinesis = plain_client("kinesis", REGION, emulator)
    kinesis.create_stream(StreamName="of-a-day", ShardCount=1)
    provision_streams({"of-a-day": 1}, REGION, emulator)
    assert retention("of-a-day", emulator) == 168


def test_a_lease_that_is_missing_is_made_only_while_no_worker_has_touched_any(emulator: str) -> None:
    world = KclWorld(emulator)
    dynamodb = plain_client("dynamodb", REGION, emulator)
    key = {"leaseKey": {"S": "shardId-000000000001"}}
    dynamodb.delete_item(TableName=world.name, Key=key)
    assert provision_application(world.name, world.name, REGION, emulator) == 1
    # Now a worker takes a lease, and the other shard's has been worked off and cleaned up.
    dynamodb.delete_item(TableName=world.name, Key=key)
    dynamodb.update_item(
        TableName=world.name,
        Key={"leaseKey": {"S": "shardId-000000000000"}},
        UpdateExpression="SET leaseOwner = :me",
        ExpressionAttributeValues={":me": {"S": "me"}},
    )
    assert provision_application(world.name, world.name, REGION, emulator) == 0


async def test_a_missing_stream_is_said(emulator: str) -> None:
    with pytest.raises(Misconfigured, match="nowhere"):
        await KclSource(KclConfig("app", "nowhere", REGION, "me", "test", emulator)).run(nothing)
    async with kinesis_sink({Stream.UPLOADS: "nowhere"}, REGION, emulator) as sink:
        with pytest.raises(Misconfigured, match="nowhere"):
            await sink.send(Stream.UPLOADS, [Outgoing("key", b"")])


async def test_a_kinesis_that_is_not_there_is_unavailable(credentials: None) -> None:
    async with kinesis_sink({Stream.UPLOADS: "any"}, REGION, "http://127.0.0.1:9") as sink:
        with pytest.raises(Unavailable):
            await sink.send(Stream.UPLOADS, [Outgoing("key", b"")])


def test_nothing_outlives_a_service_that_is_killed(emulator: str) -> None:
    world = KclWorld(emulator)
    code = SERVICE.format(arguments=(world.url, world.name))
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) as service:
        try:
            wait_until(lambda: any("child.py" in command for command in descendants(service.pid).values()))
            family = descendants(service.pid)
        finally:
            service.kill()
    wait_until(lambda: all(map(is_gone, family)))
    assert [command for command in family.values() if "MultiLangDaemon" in command]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
