"""What only real servers show: provisioning, and that nothing outlives a service."""

import dataclasses
import os
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
from panoveil.streams._kcl.preflight import check
from panoveil.streams._kcl.watchdog import Watchdog, release
from tests.streams.running import PATIENCE, Running, nothing
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


@pytest.mark.parametrize("suffix", ["", "-CoordinatorState", "-WorkerMetricStats"])
async def test_a_missing_table_is_said(emulator: str, suffix: str) -> None:
    world = KclWorld(emulator)
    plain_client("dynamodb", REGION, emulator).delete_table(TableName=world.name + suffix)
    with pytest.raises(Misconfigured, match=f"table {world.name}{suffix}: the table or stream does not exist: provision it"):
        await world.source().run(nothing)


def test_looking_for_what_is_missing_changes_nothing(emulator: str) -> None:
    world = KclWorld(emulator)
    dynamodb = plain_client("dynamodb", REGION, emulator)
    tables = [world.name + suffix for suffix in ("", "-CoordinatorState", "-WorkerMetricStats")]
    before = [dynamodb.scan(TableName=table)["Items"] for table in tables]
    check(world.config)
    assert [dynamodb.scan(TableName=table)["Items"] for table in tables] == before


def test_a_service_without_its_stream_says_one_sentence_and_exits_78(emulator: str) -> None:
    settings = {"PANOVEIL_ENDPOINT_URL": emulator, "PANOVEIL_NAMESPACE": "unprovisioned"}
    service = subprocess.run(
        [sys.executable, "-m", "services.ingest"], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    [line] = service.stderr.splitlines()
    assert "stream unprovisioned-uploads: the table or stream does not exist: provision it" in line
    assert (service.stdout, service.returncode) == ("", Misconfigured.exit_code)


async def test_a_kinesis_that_is_not_there_is_unavailable(credentials: None) -> None:
    async with kinesis_sink({Stream.UPLOADS: "any"}, REGION, "http://127.0.0.1:9") as sink:
        with pytest.raises(Unavailable):
            await sink.send(Stream.UPLOADS, [Outgoing("key", b"")])


def left_behind(world: KclWorld, lease_seconds: float) -> None:
    """A leader that died: its lock, which nobody renews."""
    words = {"key": "Leader", "ownerName": "the dead", "leaseDuration": f"{lease_seconds * 1000:.0f}", "recordVersionNumber": "7"}
    item = {name: {"S": word} for name, word in words.items()}
    plain_client("dynamodb", REGION, world.url).put_item(TableName=f"{world.name}-CoordinatorState", Item=item)


def leader(world: KclWorld) -> str | None:
    state = plain_client("dynamodb", REGION, world.url)
    found = state.get_item(TableName=f"{world.name}-CoordinatorState", Key={"key": {"S": "Leader"}}, ConsistentRead=True)
    return str(found["Item"]["ownerName"]["S"]) if "Item" in found else None


def test_the_lock_of_a_dead_leader_is_removed_when_its_time_is_up_and_not_before(emulator: str) -> None:
    world = KclWorld(emulator)
    left_behind(world, lease_seconds=120)
    now = 0.0
    watchdog = Watchdog(world.config, clock=lambda: now)
    while now < 120:
        now += 6
        assert not watchdog.look()
    assert leader(world) == "the dead"
    now += 12
    assert watchdog.look()
    assert leader(world) is None


@pytest.mark.parametrize("worker", ["the dead", "somebody else"])
def test_a_worker_takes_back_the_lock_of_its_own_dead_daemon_at_once_and_no_other(emulator: str, worker: str) -> None:
    world = KclWorld(emulator)
    left_behind(world, lease_seconds=120)
    release(dataclasses.replace(world.config, worker_id=worker))
    assert leader(world) == (None if worker == "the dead" else "the dead")


async def test_records_are_pushed_where_that_is_asked_for(emulator: str) -> None:
    world = KclWorld(emulator, retrieval="fanout")
    async with Running(world) as running:
        names = await running.send(20)
        await running.finished(names)
        await running.checkpointed(names)
    kinesis = plain_client("kinesis", REGION, emulator)
    arn = kinesis.describe_stream_summary(StreamName=world.name)["StreamDescriptionSummary"]["StreamARN"]
    assert [one["ConsumerName"] for one in kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]] == [world.name]


async def test_an_application_whose_leader_died_goes_on(emulator: str) -> None:
    world = KclWorld(emulator)
    left_behind(world, lease_seconds=3)
    async with Running(world) as running:
        await running.finished(await running.send(10))
        assert leader(world) == world.config.worker_id


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
