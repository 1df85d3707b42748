"""Originals into the archive and back: the archivist as a process on its stream, and a published drive that is archived, restored, replayed, erased."""

import asyncio
import json
import signal
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.audit import verify
from console.demo.drives import existing_drive
from console.retention.rules import DEFAULT
from console.stack.processes import Process
from panoveil.contracts.keys import Bucket, CaptureId, Stream, raw_key
from panoveil.contracts.messages import PanoramaHeld, encode
from panoveil.contracts.reasons import Reason
from panoveil.keys import KmsDriveKeys
from panoveil.ledger import State
from panoveil.runtime import connect, provision
from panoveil.settings import Settings
from panoveil.streams import Outgoing
from services.archivist.handler import Ports, archives, handle
from simulator.drive import photograph
from simulator.rigs import demo_rig
from simulator.street import Street
from tests.pipeline.conftest import WIDTH, Pipeline
from tests.pipeline.test_replay import panoveil
from tests.unit.services.archivist.worlds import FRAMES, manifest, published

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]

DRIVE, NAMES = "kept/d1", ("000000", "000001")


async def test_the_archivist_works_its_stream_off_and_ends_when_told(emulator: str, tmp_path: Path) -> None:
    settings = Settings(endpoint_url=emulator, region="eu-north-1", namespace=f"t{uuid.uuid4().hex[:12]}")
    await asyncio.to_thread(provision, settings)
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PANOVEIL_ENDPOINT_URL": emulator,
        "PANOVEIL_REGION": settings.region,
        "PANOVEIL_NAMESPACE": settings.namespace,
        "PANOVEIL_ARCHIVE_CLASS": "GLACIER",
    }
    capture_id, erased = CaptureId.parse("dk/d1/c1"), CaptureId.parse("dk/d1/c2")
    held = PanoramaHeld(capture_id="dk/d1/c3", recipe_id="r", reason=Reason.NOT_VERIFIED, detail="")
    process = Process.start("archivist", [sys.executable, "-m", "services.archivist"], environment, tmp_path)
    try:
        async with connect(settings) as world:
            for one in (erased, capture_id):
                for name, data in {
                    **{f"{lens}.jpg": data for lens, data in FRAMES.items()},
                    "capture.json": manifest(one),
                }.items():
                    await world.blobs.put(raw_key(one, name), data)
            await world.ledger.move(erased, State.ERASED)
            messages = [
                (str(erased), encode(published(erased))),
                (held.capture_id, encode(held)),
                (str(capture_id), encode(published(capture_id))),
            ]
            for key, data in messages:
                await world.sink.send(Stream.PUBLICATIONS, [Outgoing(key, data)])
            deadline = time.monotonic() + 300
            while not (found := await archives(capture_id, world.ledger)):
                assert process.running, process.tail()
                assert time.monotonic() < deadline, process.tail()
                await asyncio.sleep(0.2)
            assert (found[0].storage_class, await archives(erased, world.ledger)) == ("GLACIER", [])
            assert await world.blobs.head(raw_key(capture_id, "front.jpg")) is not None
            assert [stored.ref.key async for stored in world.blobs.list(Bucket.ARCHIVE)] == [found[0].key]
        process.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.popen.wait, 60) == 0
    finally:
        process.stop(5)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_published_drive_is_archived_restored_replayed_and_erased(
    pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    photograph(Street(3, len(NAMES), WIDTH), demo_rig(WIDTH), folder, "kept", "d1", len(NAMES), seed=3)
    await pipeline.upload(existing_drive(folder, WIDTH))
    states = await pipeline.until_ended(DRIVE, NAMES)
    assert {state.state for state in states.values()} == {State.PUBLISHED}
    world, settings = pipeline.world, pipeline.stack.settings
    originals = {stored.ref: await world.blobs.get(stored.ref) async for stored in world.blobs.list(Bucket.RAW, f"{DRIVE}/")}
    async with KmsDriveKeys(world.blobs, settings.wrapping_alias, settings.region, settings.endpoint_url) as keys:
        for name in NAMES:
            capture_id = CaptureId.parse(f"{DRIVE}/{name}")
            await handle(published(capture_id), Ports(world.blobs, world.ledger, keys, lambda: datetime.now(UTC)))

    rules, recipe = folder / "retention.toml", folder / "recipe.json"
    rules.write_text(DEFAULT.read_text().replace("30d", "0d"))
    recipe.write_text(json.dumps({"stitch": {"jpeg_quality": 70}}))
    again = ("replay", "--stage", "stitcher", "--drive", DRIVE, "--recipe", str(recipe))
    await panoveil("retention", "apply", "--rules", str(rules), "--drive", DRIVE)
    assert [stored async for stored in world.blobs.list(Bucket.RAW, f"{DRIVE}/")] == []
    *failed, totals = await panoveil(*again, code=65)
    assert (totals["failed"], {one["reason"] for one in failed}) == (2, {"not_restored"})

    await panoveil("restore", "--drive", DRIVE, "--yes", "--wait", "--every", "0.5")
    assert {
        stored.ref: await world.blobs.get(stored.ref) async for stored in world.blobs.list(Bucket.RAW, f"{DRIVE}/")
    } == originals
    *_, totals = await panoveil(*again)
    assert (totals["redone"], totals["flipped"], totals["failed"]) == (2, 2, 0)
    verdict = await verify(world.ledger, world.blobs, DRIVE, None)
    assert (verdict.findings, verdict.objects) == ((), 2 * 4 * len(NAMES))

    await panoveil("erase", "--drive", DRIVE, "--reason", "request R-2026-118", "--by", "dpo-2", "--yes")
    for bucket in (Bucket.RAW, Bucket.STITCHED, Bucket.PUBLISHED, Bucket.ARCHIVE):
        assert [stored async for stored in world.blobs.list(bucket, f"{DRIVE}/")] == []
    verdict = await verify(world.ledger, world.blobs, DRIVE, None)
    assert (verdict.findings, verdict.objects) == ((), 0)
    *failed, totals = await panoveil(*again, code=65)
    assert (totals["failed"], {one["reason"] for one in failed}) == (2, {"erased"})
