"""`panoveil audit` over the real adapters."""

import uuid
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from console import audit
from panoveil.blobs import provision_buckets
from panoveil.contracts.audit import AuditedObject, OperatorAction
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.ledger import note, provision_table
from panoveil.runtime import connect
from panoveil.settings import Settings
from tests.stores.conftest import REGION

pytestmark = pytest.mark.servers
DRIVE = "dk/d1"
PICTURE = BlobRef(Bucket.PUBLISHED, f"{DRIVE}/c1/r.jpg")


@pytest.fixture(name="pipeline")
async def a_pipeline(emulator: str) -> Settings:
    """A published picture and the chain that says so."""
    settings = Settings(endpoint_url=emulator, region=REGION, namespace=f"t{uuid.uuid4().hex[:12]}")
    provision_buckets(settings.buckets, REGION, emulator)
    provision_table(settings.table, REGION, emulator)
    published = AuditedObject(bucket=Bucket.PUBLISHED, key=PICTURE.key, sha256=sha256(b"picture").hexdigest())
    async with connect(settings) as world:
        await world.blobs.put(PICTURE, b"picture")
        for at in (1, 2):
            when = datetime(2026, 11, at, tzinfo=UTC)
            await note(world.ledger, OperatorAction(at=when, drive_id=DRIVE, action="release", by="dpo-1", outputs=(published,)))
    return settings


async def test_a_drive_is_verified_exported_and_verified_again(pipeline: Settings, tmp_path: Path) -> None:
    verdict = await audit.verify_drive(pipeline, DRIVE, None, objects=True)
    assert (verdict.findings, verdict.entries, verdict.objects) == ((), 2, 1)
    exported = await audit.export(pipeline, DRIVE, tmp_path / "new" / "d1.jsonl")
    assert exported == audit.verify_file(tmp_path / "new" / "d1.jsonl", verdict.head)
    assert (exported.findings, exported.head) == ((), verdict.head)


async def test_a_picture_that_was_replaced_is_told(pipeline: Settings) -> None:
    async with connect(pipeline) as world:
        await world.blobs.put(PICTURE, b"another picture")
    assert (await audit.verify_drive(pipeline, DRIVE, None, objects=False)).findings == ()
    verdict = await audit.verify_drive(pipeline, DRIVE, None, objects=True)
    assert verdict.findings == (f"entry 2: {PICTURE.key} is not what was published",)


async def test_a_drive_that_is_not_there_is_a_sentence(pipeline: Settings) -> None:
    with pytest.raises(Misconfigured, match="Nothing was ever decided"):
        await audit.verify_drive(pipeline, "dk/d9", None, objects=False)
