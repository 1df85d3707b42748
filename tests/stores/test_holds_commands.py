"""`panoveil holds …` as a reviewer types it, over the real adapters."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.cli import app
from panoveil.aws import plain_client
from panoveil.blobs import provision_buckets
from panoveil.contracts.keys import BlobRef, Bucket, Stream
from panoveil.contracts.messages import PanoramaStitched, decode, encode
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.ledger import provision_table
from panoveil.runtime import connect
from panoveil.settings import Settings
from panoveil.streams import provision_streams
from services.anonymizer.handler import Ports, handle
from tests.stores.conftest import REGION
from tests.unit.services.anonymizer import scenes
from tests.unit.services.anonymizer.test_anonymize import Forgetful
from tests.unit.services.anonymizer.test_handler import CAPTURE, panorama, stitched
from tests.unit.services.anonymizer.test_reviewed import LATE

pytestmark = pytest.mark.servers


@pytest.fixture(name="pipeline")
def a_pipeline(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A held capture, and the settings by which commands find it."""
    settings = Settings(endpoint_url=emulator, region=REGION, namespace=f"t{uuid.uuid4().hex[:12]}")
    for name in ("endpoint_url", "region", "namespace"):
        monkeypatch.setenv(f"PANOVEIL_{name.upper()}", str(getattr(settings, name)))
    provision_buckets(settings.buckets, REGION, emulator)
    provision_table(settings.table, REGION, emulator)
    provision_streams({settings.stream(stream): 1 for stream in (Stream.PANORAMAS, Stream.PUBLICATIONS)}, REGION, emulator)
    message = stitched(panorama())
    asyncio.run(_stitch(settings, message))
    asyncio.run(_work(settings, encode(message)))
    return settings


async def _stitch(settings: Settings, message: PanoramaStitched) -> None:
    async with connect(settings) as world:
        await world.blobs.put(BlobRef(Bucket.STITCHED, message.key), panorama())
        await world.ledger.finish(CAPTURE, "stitcher", message.recipe_id, encode(message))


async def _work(settings: Settings, data: bytes) -> None:
    """What the anonymizer does with a record, where its detector misses everything at the first look."""

    async def recipe() -> AnonymizeRecipe:
        return scenes.RECIPE.model_copy(update={"verification_rounds": 1})

    message = decode(data)
    assert isinstance(message, PanoramaStitched)
    async with connect(settings) as world:
        await handle(message, Ports(world.blobs, world.ledger, world.sink, Forgetful(skip=LATE), recipe))


def _sent(settings: Settings) -> list[bytes]:
    """Everything on the panoramas stream."""
    name = settings.stream(Stream.PANORAMAS)
    kinesis = plain_client("kinesis", REGION, settings.endpoint_url)
    (shard,) = kinesis.list_shards(StreamName=name)["Shards"]
    start = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    return [record["Data"] for record in kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]]


def _run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    answer = CliRunner().invoke(app, ["holds", *arguments, "--json"])
    return answer.exit_code, [json.loads(line) for line in answer.stdout.splitlines()]


RELEASE = ("release", str(CAPTURE), "--accept", "all", "--by", "reviewer-3", "--because", "a poster", "--yes", "--patience", "0")


def test_a_held_capture_is_looked_at_released_and_published(pipeline: Settings, tmp_path: Path) -> None:
    assert [(row["capture"], row["left"]) for row in _run("list")[1]] == [(str(CAPTURE), 2)]
    assert _run("show", str(CAPTURE), "--picture", str(tmp_path / "look.jpg"))[0] == 0
    assert (tmp_path / "look.jpg").stat().st_mode & 0o777 == 0o600
    assert _run(*RELEASE)[0] == 75
    (sent,) = _sent(pipeline)
    asyncio.run(_work(pipeline, sent))
    code, (told,) = _run(*RELEASE)
    assert (code, told["outcome"]) == (0, "published")
    assert _run("list")[1] == []
    assert len(_sent(pipeline)) == 1
    verified = CliRunner().invoke(app, ["audit", "verify", CAPTURE.drive_id, "--objects", "--json"])
    assert json.loads(verified.stdout)["findings"] == []


def test_what_is_kept_held_stays_so(pipeline: Settings) -> None:
    assert _run("keep", str(CAPTURE), "--by", "reviewer-3", "--because", "a crowd")[0] == 0
    assert _run("list")[1] == []
    assert [(row["decided"], row["because"]) for row in _run("list", "--all")[1]] == [("keep", "a crowd")]
    assert _sent(pipeline) == []
