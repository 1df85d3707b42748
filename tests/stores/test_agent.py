"""The agent against real servers, switched off for real."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panoveil.aws import plain_client
from panoveil.blobs import S3Blobs, provision_buckets
from panoveil.contracts.keys import BlobRef, Bucket, Stream
from panoveil.settings import Settings
from panoveil.streams import provision_streams
from tests.stores.conftest import REGION
from tests.unit.services.agent.conftest import add_capture, rewrite

pytestmark = pytest.mark.servers
CAPTURES = 12
FILES = ("front.jpg", "left.jpg", "right.jpg", "capture.json")
# It kills itself: a watcher outside may be late, and the agent done.
SWITCHED_OFF = """
import itertools, os, signal, sys
from services.agent import __main__ as agent
from services.agent.events import FrameUploaded

uploads = itertools.count(1)
last = int(sys.argv.pop(1))

def listen(event):
    if isinstance(event, FrameUploaded) and next(uploads) == last:
        os.kill(os.getpid(), signal.SIGKILL)

agent.log_lines = listen
sys.exit(agent.main())
"""


@pytest.fixture
def settings(emulator: str) -> Settings:
    """Buckets and streams of this test alone."""
    made = Settings(endpoint_url=emulator, region=REGION, namespace=f"t{uuid.uuid4().hex[:12]}")
    provision_buckets(made.buckets, REGION, emulator)
    provision_streams({made.stream(Stream.UPLOADS): 2}, REGION, emulator)
    return made


def _environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "PANOVEIL_ENDPOINT_URL": str(settings.endpoint_url),
        "PANOVEIL_REGION": settings.region,
        "PANOVEIL_NAMESPACE": settings.namespace,
    }


def _agent(drive: Path, settings: Settings) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "services.agent", "--json", str(drive)]
    return subprocess.Popen(command, env=_environment(settings), stdout=subprocess.PIPE, text=True)


def _killed_after(uploads: int, drive: Path, settings: Settings) -> None:
    command = [sys.executable, "-c", SWITCHED_OFF, str(uploads), str(drive)]
    assert subprocess.run(command, env=_environment(settings), check=False).returncode == -9


def _announced(settings: Settings) -> Counter[str]:
    """Count the notifications of each key on the stream."""
    kinesis = plain_client("kinesis", REGION, settings.endpoint_url)
    stream = settings.stream(Stream.UPLOADS)
    records: list[dict[str, Any]] = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        kind = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**kind)["ShardIterator"]
        records += kinesis.get_records(ShardIterator=iterator, Limit=10_000)["Records"]
    return Counter(json.loads(record["Data"])["Records"][0]["s3"]["object"]["key"] for record in records)


async def _stored(settings: Settings) -> set[str]:
    async with S3Blobs(settings.buckets, REGION, settings.endpoint_url) as blobs:
        return {found.ref.key async for found in blobs.list(Bucket.RAW)}


async def test_killed_again_and_again_it_still_delivers_everything(settings: Settings, tmp_path: Path) -> None:
    for number in range(CAPTURES):
        add_capture(tmp_path, f"c{number:02}", minute=number)
    for uploads in (1, 9, 20):
        _killed_after(uploads, tmp_path, settings)
        assert set(_announced(settings)) <= await _stored(settings)
    with _agent(tmp_path, settings) as last:
        out, _ = last.communicate()
    assert last.returncode == 0
    announced, stored = _announced(settings), await _stored(settings)
    assert len(stored) == CAPTURES * 4
    assert set(announced) == stored
    assert json.loads(out.splitlines()[-1])["captures"] == CAPTURES
    # What each kill may repeat: a batch of notifications sent and not journaled yet.
    assert announced.total() - len(stored) <= 3 * 20


def test_watching_takes_up_what_comes_and_ends_on_sigterm_having_sent_nothing_twice(settings: Settings, tmp_path: Path) -> None:
    add_capture(tmp_path, "c1")
    command = [sys.executable, "-m", "services.agent", "--json", "--watch", "--limit", "50MB/s", str(tmp_path)]
    environment = {**_environment(settings), "PANOVEIL_WATCH_EVERY": "0.2"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        events = map(json.loads, agent.stdout)
        _until_uploaded(events, "dk/d1/c1")
        add_capture(tmp_path, "c2", minute=1)
        _until_uploaded(events, "dk/d1/c2")
        agent.terminate()
    assert agent.returncode == 0
    assert _announced(settings) == Counter(f"dk/d1/{name}/{file}" for name in ("c1", "c2") for file in FILES)


def _until_uploaded(events: Iterator[dict[str, Any]], capture_id: str) -> None:
    assert any(event["event"] == "CaptureUploaded" and event["capture_id"] == capture_id for event in events)


async def test_a_large_frame_goes_in_parts_and_arrives_whole(settings: Settings, tmp_path: Path) -> None:
    place = add_capture(tmp_path, "c1")
    picture = os.urandom((11 << 20) + 1)
    rewrite(place, "left", picture)
    environment = {**_environment(settings), "PANOVEIL_MULTIPART_ABOVE": str(5 << 20)}
    agent = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.agent", str(tmp_path), env=environment)
    assert await agent.wait() == 0
    async with S3Blobs(settings.buckets, REGION, settings.endpoint_url) as blobs:
        stored = await blobs.head(BlobRef(Bucket.RAW, "dk/d1/c1/left.jpg"))
        assert stored is not None
        assert await blobs.get(stored.ref) == picture
    assert stored.etag.endswith("-2")


def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path, settings: Settings) -> None:
    add_capture(tmp_path, "c1")
    absent = settings.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    with _agent(tmp_path, absent) as agent:
        assert agent.stdout is not None
        events = (json.loads(line)["event"] for line in agent.stdout)
        assert "Waiting" in events
        agent.terminate()
    assert agent.returncode == 128 + 15
