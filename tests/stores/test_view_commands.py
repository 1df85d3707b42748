"""`panoveil view` and `panoveil catalogue` as an operator types them, over the real adapters."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator

import pytest

from panoveil.blobs import provision_buckets
from panoveil.contracts.keys import Bucket, CaptureId, catalogue_key
from panoveil.ledger import State, provision_table
from panoveil.runtime import connect
from panoveil.settings import Settings
from tests.stores.conftest import REGION
from tests.unit.console.catalogue.drives import DRIVE, HELD, publish, published

pytestmark = pytest.mark.servers
FOUND = [published(0), published(1)]


@pytest.fixture(name="pipeline")
def a_pipeline(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A drive with two publications and another one whose only capture is held, and the settings by which commands find them."""
    settings = Settings(endpoint_url=emulator, region=REGION, namespace=f"t{uuid.uuid4().hex[:12]}")
    for name in ("endpoint_url", "region", "namespace"):
        monkeypatch.setenv(f"PANOVEIL_{name.upper()}", str(getattr(settings, name)))
    provision_buckets(settings.buckets, REGION, emulator)
    provision_table(settings.table, REGION, emulator)
    asyncio.run(_publish(settings))
    return settings


async def _publish(settings: Settings) -> None:
    async with connect(settings) as world:
        await publish(world.ledger, world.blobs, FOUND)
        await world.ledger.move(CaptureId("dk", "held", "c1"), State.HELD)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "console", *arguments]


@pytest.fixture(name="address")
def an_address(pipeline: Settings) -> Iterator[str]:
    """Where the viewer is served, which ends well when it is told to."""
    with subprocess.Popen(_command("view", DRIVE, "--no-browser"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split(" at ")[1].split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_published_drive_is_served_in_parts(address: str) -> None:
    with urllib.request.urlopen(f"{address}drive.geojson", timeout=60) as answer:  # noqa: S310 - our own server
        (first, _) = json.load(answer)["features"]
    asked = urllib.request.Request(address + first["assets"]["panorama"]["href"], headers={"Range": "bytes=10-19"})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
        assert (answer.status, answer.headers["Content-Range"], answer.read()) == (206, "bytes 10-19/100", HELD[10:20])


@pytest.mark.parametrize("command", ["view", "catalogue"])
@pytest.mark.parametrize(
    ("drive", "said"),
    [
        ("dk/none", "panoveil: No drive 'dk/none' is in the ledger; `panoveil status` lists those that are.\n"),
        ("dk/held", "panoveil: Nothing of drive 'dk/held' is published: 1 held; `panoveil status dk/held` says why.\n"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence_and_an_exit_code(pipeline: Settings, command: str, drive: str, said: str) -> None:
    more = "--no-browser" if command == "view" else "--publish"
    ended = subprocess.run(_command(command, drive, more), capture_output=True, text=True, check=False, env=os.environ)
    assert (ended.returncode, ended.stdout, ended.stderr) == (78, "", said)


def test_a_catalogue_lies_in_the_published_bucket(pipeline: Settings) -> None:
    done = subprocess.run(_command("catalogue", DRIVE, "--publish"), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2 panoramas")

    async def read() -> list[str]:
        async with connect(pipeline) as world:
            return [blob.ref.key async for blob in world.blobs.list(Bucket.PUBLISHED, catalogue_key(DRIVE, "").key)]

    names = ("collection.json", "items.geojson", "items.parquet", "items/000000.json", "items/000001.json")
    assert asyncio.run(read()) == sorted(catalogue_key(DRIVE, name).key for name in names)
