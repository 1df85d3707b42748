"""`panoveil restore`, `erase` and `retention` as an operator types them, over the real adapters."""

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console.__main__ import main
from console.retention.rules import DEFAULT
from panoveil.aws import plain_client
from panoveil.blobs import provision_buckets
from panoveil.contracts.keys import Bucket, CaptureId, raw_key
from panoveil.keys import KmsDriveKeys, provision_wrapping_key
from panoveil.ledger import State, provision_table
from panoveil.runtime import connect
from panoveil.settings import Settings
from services.archivist.handler import Ports, handle
from tests.stores.conftest import REGION
from tests.unit.services.archivist.worlds import FRAMES, manifest, published

pytestmark = pytest.mark.servers
DRIVE = "dk/d1"
C1, C2 = CaptureId("dk", "d1", "c1"), CaptureId("dk", "d1", "c2")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="settings")
def a_pipeline(emulator: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two published captures in the archive, their originals still hot, and the settings by which commands find them."""
    settings = Settings(endpoint_url=emulator, region=REGION, namespace=f"t{uuid.uuid4().hex[:12]}")
    for name in ("endpoint_url", "region", "namespace"):
        monkeypatch.setenv(f"PANOVEIL_{name.upper()}", str(getattr(settings, name)))
    provision_buckets(settings.buckets, REGION, emulator)
    provision_table(settings.table, REGION, emulator)
    provision_wrapping_key(settings.wrapping_alias, REGION, emulator)
    asyncio.run(_archive(settings))
    return settings


def files_of(capture_id: CaptureId) -> dict[str, bytes]:
    frames = {lens: data + str(capture_id).encode() for lens, data in FRAMES.items()}
    return {f"{lens}.jpg": data for lens, data in frames.items()} | {"capture.json": manifest(capture_id, frames)}


async def _archive(settings: Settings) -> None:
    async with (
        connect(settings) as world,
        KmsDriveKeys(world.blobs, settings.wrapping_alias, REGION, settings.endpoint_url) as keys,
    ):
        for capture_id in (C1, C2):
            for name, data in files_of(capture_id).items():
                await world.blobs.put(raw_key(capture_id, name), data)
            await world.ledger.move(capture_id, State.PUBLISHED)
            await handle(published(capture_id), Ports(world.blobs, world.ledger, keys, lambda: datetime.now(UTC)))


@pytest.fixture(name="run")
def a_terminal(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; returns its exit code and what it wrote to standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["panoveil", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture(name="at_once")
def rules(tmp_path: Path) -> str:
    """Originals end as soon as they are archived."""
    file = tmp_path / "retention.toml"
    file.write_text(DEFAULT.read_text().replace('"raw"\nkeep = "30d"', '"raw"\nkeep = "0d"'))
    return str(file)


def objects(settings: Settings, bucket: Bucket) -> dict[str, str]:
    """Keys in a bucket, and the class that S3 keeps each in."""
    s3 = plain_client("s3", REGION, settings.endpoint_url)
    found = s3.list_objects_v2(Bucket=settings.bucket(bucket)).get("Contents", [])
    return {one["Key"]: one["StorageClass"] for one in found}


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_originals_expire_once_archived_and_come_back_bit_exact(settings: Settings, run: Run, at_once: str) -> None:
    assert set(objects(settings, Bucket.ARCHIVE).values()) == {"DEEP_ARCHIVE"}
    code, out, _ = run("retention", "plan", "--json")
    assert (code, out) == (0, "")
    code, out, _ = run("retention", "plan", "--rules", at_once, "--json")
    assert [(row["class"], row["objects"]) for row in rows(out)] == [("raw", 6)]
    assert len(objects(settings, Bucket.RAW)) == 6
    assert run("retention", "apply", "--rules", at_once)[0] == 0
    assert (objects(settings, Bucket.RAW), len(objects(settings, Bucket.ARCHIVE))) == ({}, 2)
    assert "0 objects removed" in run("retention", "apply", "--rules", at_once)[1]

    code, out, err = run("restore", "--drive", DRIVE, "--tier", "Bulk")
    assert (code, err) == (64, "Nothing was done: add --yes.\n")
    assert "2 in cold storage" in out
    assert "tier Bulk: within 48 hours" in out
    assert "It costs about 0.0" in out
    code, _, err = run("restore", "--drive", DRIVE, "--tier", "Bulk", "--yes", "--by", "operator-4")
    assert code == 75
    assert "2 captures are not restored yet, expected by 20" in err
    assert objects(settings, Bucket.RAW) == {}
    code, out, _ = run("restore", "--drive", DRIVE, "--tier", "Bulk", "--yes", "--wait", "--every", "0.2", "--json")
    assert (code, {row["standing"] for row in rows(out)}) == (0, {"hot"})

    s3 = plain_client("s3", REGION, settings.endpoint_url)
    for capture_id in (C1, C2):
        for name, data in files_of(capture_id).items():
            body = s3.get_object(Bucket=settings.bucket(Bucket.RAW), Key=raw_key(capture_id, name).key)["Body"]
            assert body.read() == data


def test_a_drive_is_erased_and_the_chain_proves_it(settings: Settings, run: Run) -> None:
    code, out, err = run("erase", "--drive", DRIVE, "--reason", "request R-2026-118")
    assert (code, err) == (64, "Nothing was done: add --yes.\n")
    assert "and the drive's key" in out
    assert len(objects(settings, Bucket.RAW)) == 6
    code, out, _ = run("erase", "--drive", DRIVE, "--reason", "request R-2026-118", "--by", "dpo-2", "--yes")
    assert code == 0
    assert "Erased captures: 2. Removed: 6 raw, 2 archive. The drive's key is destroyed" in out
    assert [objects(settings, bucket) for bucket in (Bucket.RAW, Bucket.ARCHIVE)] == [{}, {}]
    assert list(objects(settings, Bucket.KEYS)) == [f"{DRIVE}/destroyed"]
    assert run("audit", "verify", DRIVE, "--objects")[0] == 0
    code, _, err = run("restore", "--drive", DRIVE, "--yes")
    assert (code, err) == (65, f"panoveil: erased: {C1} was erased: nothing of it can be brought back\n")
    code, out, _ = run("status", DRIVE, "--json")
    assert {row["state"] for row in rows(out)} == {"erased"}


def test_one_capture_is_erased_and_the_other_can_be_restored(settings: Settings, run: Run, at_once: str) -> None:
    assert run("erase", "--capture", str(C1), "--reason", "request R-2026-118", "--yes")[0] == 0
    assert run("retention", "apply", "--rules", at_once)[0] == 0
    assert run("restore", "--capture", str(C2), "--yes", "--wait", "--every", "0.2")[0] == 0
    assert {key.split("/")[2] for key in objects(settings, Bucket.RAW)} == {"c2"}


def test_a_tier_that_deep_archive_does_not_know_is_one_sentence(settings: Settings, run: Run, at_once: str) -> None:
    assert run("retention", "apply", "--rules", at_once)[0] == 0
    code, _, err = run("restore", "--drive", DRIVE, "--tier", "Expedited", "--yes")
    assert (code, err) == (78, "panoveil: Nothing is restored from DEEP_ARCHIVE by tier Expedited: choose Standard or Bulk.\n")


def test_a_key_that_is_gone_is_one_sentence(settings: Settings, run: Run) -> None:
    s3 = plain_client("s3", REGION, settings.endpoint_url)
    s3.delete_object(Bucket=settings.bucket(Bucket.KEYS), Key=f"{DRIVE}/data-key")
    code, _, err = run("restore", "--drive", DRIVE)
    assert (code, err) == (
        65,
        f"panoveil: key_gone: there is no key of drive {DRIVE}: it was destroyed, or nothing was ever archived\n",
    )


@pytest.mark.parametrize("command", [("restore",), ("erase", "--reason", "x")])
def test_an_unknown_drive_is_one_sentence(settings: Settings, run: Run, command: tuple[str, ...]) -> None:
    code, _, err = run(*command, "--drive", "dk/d9", "--yes")
    assert (code, err) == (78, "panoveil: No drive 'dk/d9' is in the ledger; `panoveil status` lists those that are.\n")
    code, _, err = run(*command)
    assert (code, err) == (
        78,
        "panoveil: Say which: --drive <survey>/<drive>, or --capture <survey>/<drive>/<capture>.\n",
    )
