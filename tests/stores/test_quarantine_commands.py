"""`panoveil quarantine …` as an operator types it, over the real adapters."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from typer.testing import CliRunner

from console.cli import app
from panoveil import quarantine
from panoveil.blobs import provision_buckets
from panoveil.contracts.keys import Bucket, CaptureId, Stream
from panoveil.ledger import State, provision_table
from panoveil.quarantine import Failure
from panoveil.runtime import connect
from panoveil.settings import Settings
from panoveil.streams import Record, provision_streams
from tests.stores.conftest import REGION

pytestmark = pytest.mark.servers
C1, C2 = CaptureId("dk", "d1", "c1"), CaptureId("dk", "d1", "c2")


@pytest.fixture(name="pipeline")
def a_pipeline(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two captures in quarantine, for different reasons, and the settings by which commands find them."""
    settings = Settings(endpoint_url=emulator, region=REGION, namespace=f"t{uuid.uuid4().hex[:12]}")
    for name in ("endpoint_url", "region", "namespace"):
        monkeypatch.setenv(f"PANOVEIL_{name.upper()}", str(getattr(settings, name)))
    provision_buckets(settings.buckets, REGION, emulator)
    provision_table(settings.table, REGION, emulator)
    provision_streams({settings.stream(Stream.UPLOADS): 1}, REGION, emulator)
    asyncio.run(_put_away(settings))
    return settings


async def _put_away(settings: Settings) -> None:
    async with connect(settings) as world:
        for capture_id, reason in ((C1, "unknown_rig"), (C2, "hash_mismatch")):
            await world.ledger.move(capture_id, State.RECEIVING)
            record = Record("shardId-0", "1", str(capture_id), b'{"Records": []}', 1.7e9)
            await quarantine.put_record("ingest", record, Failure(reason, "why", "", 1, 1.7e9), world.blobs, world.ledger)


def _run(*arguments: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["quarantine", *arguments])
    return answer.exit_code, answer.stdout


def _rows(*arguments: str) -> list[dict[str, Any]]:
    code, text = _run(*arguments, "--json")
    assert code == 0
    return [json.loads(line) for line in text.splitlines()]


def test_a_dry_run_says_what_it_would_do_and_does_nothing(pipeline: Settings) -> None:
    before = [{**row, "age_seconds": 0} for row in _rows("list")]
    assert _rows("redrive", "--reason", "unknown_rig", "--dry-run")[0]["capture"] == str(C1)
    assert _rows("drop", "--all", "--because", "x", "--dry-run")[1]["capture"] == str(C2)
    assert [{**row, "age_seconds": 0} for row in _rows("list")] == before


def test_what_is_chosen_is_sent_again_and_the_rest_stays(pipeline: Settings) -> None:
    (sent,) = _rows("redrive", "--reason", "unknown_rig", "--by", "operator-4")
    assert (sent["capture"], sent["fate"], sent["redrives"], sent["problem"]) == (str(C1), "redriven", 1, "")
    assert {row["capture"]: row["fate"] for row in _rows("list")} == {str(C1): "redriven", str(C2): "waiting"}
    (shown,) = _rows("show", sent["entry"])
    assert (shown["decided_by"], shown["record"]["json"]) == ("operator-4", {"Records": []})


def test_what_is_dropped_is_told_with_all_that_is_decided(pipeline: Settings) -> None:
    assert _run("drop", str(C2), "--because", "the disk was lost")[0] == 0
    assert [row["capture"] for row in _rows("list")] == [str(C1)]
    (dropped,) = _rows("list", "--all", "--reason", "hash_mismatch")
    assert (dropped["fate"], dropped["because"], dropped["state"]) == ("dropped", "the disk was lost", "quarantined")


def test_an_entry_whose_record_is_gone_gives_another_exit_code(pipeline: Settings) -> None:
    async def lose() -> None:
        async with connect(pipeline) as world:
            refs = [blob.ref async for blob in world.blobs.list(Bucket.QUARANTINE)]
            for ref in refs:
                await world.blobs.delete(ref)

    asyncio.run(lose())
    code, text = _run("redrive", str(C1))
    assert code == 65
    assert "object_gone" in text


def test_nobody_redrives_everything_by_accident(pipeline: Settings) -> None:
    assert _run("redrive")[0] == 2
    assert _run("drop", "--all")[0] == 2
