"""A published drive again under other recipes, as an operator types it: beside the old, compared, flipped, rolled back."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from console.audit import verify
from console.demo.drives import existing_drive
from panoveil import publication
from panoveil.contracts.keys import Bucket, CaptureId, current_key, stitched_key
from panoveil.contracts.messages import CurrentPublication, PanoramaPublished
from panoveil.ledger import State
from simulator.drive import photograph
from simulator.rigs import demo_rig
from simulator.street import Street
from tests.pipeline.conftest import WIDTH, Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1800)]

DRIVE = "again/d1"
NAMES = ("000000", "000001")


async def panoveil(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Run a command against the pipeline; return the JSON lines it printed."""
    command = [sys.executable, "-m", "console", *arguments, "--json"]
    done = await asyncio.to_thread(subprocess.run, command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def current(pipeline: Pipeline) -> set[str]:
    """Which recipes the drive's captures are published under, as the public sees it; the ledger agrees."""
    found = set()
    for name in NAMES:
        text = await pipeline.world.blobs.get(current_key(f"{DRIVE}/{name}"))
        told = CurrentPublication.model_validate_json(text)
        pointer = await pipeline.world.ledger.current(CaptureId.parse(f"{DRIVE}/{name}"))
        assert pointer is not None
        assert pointer.recipe_id == told.recipe_id
        found.add(told.recipe_id)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def old(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recipe that a drive of two captures is published under."""
    folder = tmp_path_factory.mktemp("again")
    photograph(Street(3, len(NAMES), WIDTH), demo_rig(WIDTH), folder, "again", "d1", len(NAMES), seed=3)
    await pipeline.upload(existing_drive(folder, WIDTH))
    states = await pipeline.until_ended(DRIVE, NAMES)
    assert {state.state for state in states.values()} == {State.PUBLISHED}
    (recipe_id,) = await current(pipeline)
    return recipe_id


async def test_a_drive_is_anonymised_anew_compared_flipped_and_rolled_back(pipeline: Pipeline, old: str, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"anonymize": {"margin": 0.9}}))
    again = ("replay", "--stage", "anonymizer", "--drive", DRIVE, "--recipe", str(file), "--no-flip")
    *_, totals = await panoveil(*again)
    assert (totals["redone"], totals["skipped"], totals["failed"], totals["flipped"]) == (2, 0, 0, 0)
    *_, totals = await panoveil(*again)
    assert (totals["redone"], totals["skipped"]) == (0, 2)
    rows = {row["recipe"]: row for row in await panoveil("recipes", "list", "--drive", DRIVE)}
    (new,) = rows.keys() - {old}
    assert [(rows[name]["published"], rows[name]["current"]) for name in (old, new)] == [(2, 2), (2, 0)]

    *_, totals = await panoveil("recipes", "diff", old[:8], new[:8], "--drive", DRIVE, "--pictures", str(tmp_path))
    assert (totals["both"], totals["settings"]) == (2, {"margin": [0.2, 0.9]})
    assert totals["share"][1] > totals["share"][0] > 0

    assert await current(pipeline) == {old}
    assert {row["outcome"] for row in await panoveil("recipes", "flip", "--drive", DRIVE, "--to", new[:8])} == {"moved"}
    assert await current(pipeline) == {new}
    assert {row["outcome"] for row in await panoveil("recipes", "rollback", "--drive", DRIVE)} == {"moved"}
    assert await current(pipeline) == {old}
    verdict = await verify(pipeline.world.ledger, pipeline.world.blobs, DRIVE, None)
    assert (verdict.findings, verdict.objects) == ((), 2 * 4 * len(NAMES))  # two recipes, four objects each


async def test_a_capture_is_stitched_anew_from_its_originals_and_what_live_traffic_did_stays(
    pipeline: Pipeline, old: str, tmp_path: Path
) -> None:
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"stitch": {"jpeg_quality": 70}}))
    capture_id = f"{DRIVE}/000000"
    *_, totals = await panoveil("replay", "--stage", "stitcher", "--capture", capture_id, "--recipe", str(file))
    assert (totals["redone"], totals["flipped"], totals["failed"]) == (1, 1, 0)
    stitched = [blob.ref.key async for blob in pipeline.world.blobs.list(Bucket.STITCHED, f"{capture_id}/")]
    assert len(stitched) == 2
    assert old in await current(pipeline)
    pointer = await pipeline.world.ledger.current(CaptureId.parse(capture_id))
    assert pointer is not None
    assert (pointer.previous, pointer.version > 1) == (old, True)


async def test_a_stitched_panorama_that_expired_is_named_and_made_anew(pipeline: Pipeline, old: str, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"anonymize": {"margin": 0.4}}))
    capture_id = f"{DRIVE}/000001"
    messages = [one async for one in pipeline.world.ledger.messages(DRIVE, "stitcher", "000001")]
    await pipeline.world.blobs.delete(stitched_key(capture_id, messages[0].recipe_id))
    failed, totals = await panoveil("replay", "--stage", "anonymizer", "--capture", capture_id, "--recipe", str(file), code=65)
    assert (totals["failed"], failed["reason"]) == (1, "object_gone")
    assert "replay --stage stitcher" in failed["advice"]
    done, totals = await panoveil("replay", "--stage", "stitcher", "--capture", capture_id, "--recipe", str(file))
    assert (totals["redone"], totals["failed"], done["flipped"]) == (1, 0, True)
    *_, totals = await panoveil("replay", "--stage", "stitcher", "--capture", capture_id)
    assert (totals["skipped"], totals["flipped"]) == (1, 0)


async def test_a_part_of_the_past_is_replayed_from_the_stream(pipeline: Pipeline, old: str, tmp_path: Path) -> None:
    file = tmp_path / "stitch.json"  # one of the two is current as stitched anew, which the stream knows nothing of
    file.write_text(json.dumps({"stitch": {"jpeg_quality": 60}}))
    *_, totals = await panoveil("replay", "--stage", "stitcher", "--capture", f"{DRIVE}/000000", "--recipe", str(file))
    assert totals["flipped"] == 1
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"anonymize": {"margin": 0.35}}))
    stage = ("replay", "--stage", "anonymizer", "--recipe", str(file), "--no-flip")
    *_, totals = await panoveil(*stage, "--from", "stream", "--since", "2020-01-01", "--drive", DRIVE, "--parallel", "2")
    assert (totals["redone"], totals["failed"]) == (2, 0)
    *_, totals = await panoveil(*stage, "--from", "ledger", "--drive", DRIVE)
    assert (totals["redone"], totals["skipped"], totals["failed"]) == (1, 1, 0)


async def test_a_replay_that_is_killed_goes_on_where_it_was(pipeline: Pipeline, old: str, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    file.write_text(json.dumps({"anonymize": {"margin": 0.45}}))
    again = ("replay", "--stage", "anonymizer", "--drive", DRIVE, "--recipe", str(file))
    command = [sys.executable, "-m", "console", *again, "--rate", "0.01", "--json"]
    killed = await asyncio.create_subprocess_exec(*command, env=dict(os.environ), stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert json.loads(await killed.stdout.readline())["outcome"] == "redone"
    killed.kill()
    await killed.wait()
    *_, totals = await panoveil(*again)
    assert (totals["redone"], totals["skipped"], totals["flipped"]) == (1, 1, 1)
    assert len(await current(pipeline)) == len({one.stitch_recipe_id for one in await behind(pipeline)})


async def behind(pipeline: Pipeline) -> list[PanoramaPublished]:
    """The drive's current publications."""
    return [
        await publication.published(pointer.capture_id, pointer.recipe_id, pipeline.world.blobs)
        async for pointer in pipeline.world.ledger.pointers(DRIVE)
    ]
