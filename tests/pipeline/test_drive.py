"""A drive with everything wrong that can be, through real servers: the bad is named, the good is published, nothing is lost."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from console.audit import verify
from console.catalogue.sources import Published
from console.demo.collect import collect_publications
from console.demo.drives import existing_drive
from console.demo.run import Drive
from console.rigs.importers import nuscenes_drive
from console.stack import stack as stacks
from console.stack import triton
from panoveil.contracts.keys import Bucket, CaptureId, Stream, catalogue_key, raw_key
from panoveil.contracts.reasons import Reason
from panoveil.ledger import CaptureState, State
from panoveil.pixels import jpeg
from panoveil.streams import Outgoing
from services.agent.notification import object_created
from services.anonymizer.metadata import scan
from simulator.drive import photograph
from simulator.mischief import EXPECTED, Defect, spoil
from simulator.rigs import demo_rig
from simulator.street import Street
from tests.pipeline.conftest import WIDTH, Pipeline
from tests.pipeline.payloads import tells

pytestmark = [pytest.mark.servers, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1800)]

SURVEY = "test"
WHOLE = ("000000", "000001")
SPOILED = {
    f"{number:06d}": defect for number, defect in enumerate((d for d in Defect if d is not Defect.BROKEN_MANIFEST), len(WHOLE))
}
SKIPPED = {f"{len(WHOLE) + len(SPOILED):06d}": Defect.BROKEN_MANIFEST}
# The agent does not send a frame that is not what its manifest promises, so the capture lacks it.
ENDS_AS = {**EXPECTED, Defect.WRONG_HASH: Reason.FRAME_MISSING}
GHOST = CaptureId(SURVEY, "spoiled", "ghost")


@dataclass(frozen=True)
class Driven:
    """A spoiled drive after its end, and the folder it came from."""

    folder: Path
    drive_id: str
    skipped: int
    states: dict[str, CaptureState]


def photographed(folder: Path, name: str, captures: int) -> Drive:
    photograph(Street(3, captures, WIDTH), demo_rig(WIDTH), folder, SURVEY, name, captures, seed=3)
    return existing_drive(folder, WIDTH)


def event(key: str, size: int = 7) -> bytes:
    return object_created("raw", key, size, "0" * 32, datetime.now(UTC))


JUNK = {
    b"this is not JSON": Reason.NOT_JSON,
    b'{"no": "event"}': Reason.UNKNOWN_MESSAGE,
    event("nobody-knows-this-key.jpg"): Reason.UNKNOWN_KEY,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def driven(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Driven:
    """A drive with a defect of every kind; amid it junk, events for what is gone, and every event of a whole capture once more."""
    folder = tmp_path_factory.mktemp("drive")
    whole = photographed(folder / "whole", "spoiled", len(WHOLE) + len(SPOILED) + len(SKIPPED))
    spoil(whole.folder, folder / "spoiled", SPOILED | SKIPPED)
    await pipeline.send_raw("junk", *JUNK)
    await pipeline.send_raw(str(GHOST), event(raw_key(GHOST, "front.jpg").key), event(raw_key(GHOST, "capture.json").key))
    done = await pipeline.upload(existing_drive(folder / "spoiled", WIDTH))
    await send_again(pipeline, CaptureId(SURVEY, "spoiled", WHOLE[0]))
    incomplete = [name for name, defect in SPOILED.items() if ENDS_AS[defect] is Reason.FRAME_MISSING]
    states = await pipeline.until_ended(whole.drive_id, [*WHOLE, *SPOILED, GHOST.capture], incomplete)
    return Driven(folder / "spoiled", whole.drive_id, done.skipped, states)


async def send_again(pipeline: Pipeline, capture_id: CaptureId) -> None:
    """Repeat the events of a capture in reverse: frames sent twice, out of order."""
    blobs = [blob async for blob in pipeline.world.blobs.list(Bucket.RAW, f"{capture_id}/")]
    records = [object_created("raw", blob.ref.key, blob.size, blob.etag, datetime.now(UTC)) for blob in reversed(blobs)]
    await pipeline.send_raw(str(capture_id), *records)


@pytest.mark.parametrize(("capture", "defect"), SPOILED.items(), ids=str)
async def test_a_spoiled_capture_is_quarantined_for_its_reason(driven: Driven, capture: str, defect: Defect) -> None:
    found = driven.states[capture]
    assert (found.state, found.reason) == (State.QUARANTINED, ENDS_AS[defect])


async def test_a_capture_without_a_readable_manifest_stays_in_the_car_and_is_counted(driven: Driven) -> None:
    assert driven.skipped == len(SKIPPED)
    assert not set(SKIPPED) & set(driven.states)


async def test_events_for_objects_that_are_gone_end_with_their_reason(driven: Driven) -> None:
    found = driven.states[GHOST.capture]
    assert (found.state, found.reason) == (State.QUARANTINED, Reason.OBJECT_GONE)


async def test_junk_on_the_stream_is_kept_with_its_reason_and_the_shard_goes_on(pipeline: Pipeline, driven: Driven) -> None:
    async def reasons() -> list[str] | None:
        found = [entry["reason"] for entry in await pipeline.quarantined() if entry["partition_key"] == "junk"]
        return found if len(found) >= len(JUNK) else None

    assert set(await pipeline.until("the quarantine of the junk", reasons)) == set(JUNK.values())
    assert {driven.states[name].state for name in WHOLE} == {State.PUBLISHED}


async def test_what_is_published_is_whole_once_and_clean(pipeline: Pipeline, driven: Driven, tmp_path: Path) -> None:
    published = await collect_publications(driven.drive_id, pipeline.world.blobs, tmp_path)
    assert set(published) == set(WHOLE)
    for name, publication in published.items():
        data = (tmp_path / f"{name}.jpg").read_bytes()
        assert jpeg.dimensions(data) == (WIDTH, WIDTH // 2)
        assert scan(data) == []
        assert publication.sha256 == hashlib.sha256(data).hexdigest()
        assert len(await pipeline.published(CaptureId.parse(publication.capture_id))) == 5


async def test_the_audit_chain_of_the_drive_is_whole(pipeline: Pipeline, driven: Driven) -> None:
    entries = [entry async for entry in pipeline.world.ledger.audit_chain(driven.drive_id)]
    assert sorted(str(entry.body["capture_id"]) for entry in entries) == [f"{driven.drive_id}/{name}" for name in WHOLE]
    verdict = await verify(pipeline.world.ledger, pipeline.world.blobs, driven.drive_id, noted=entries[0].head)
    assert (verdict.findings, verdict.objects) == ((), 4 * len(WHOLE))


async def test_a_published_drive_is_catalogued_beside_it_and_shown(pipeline: Pipeline, driven: Driven) -> None:
    command = [sys.executable, "-m", "console", "catalogue", driven.drive_id, "--publish"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=os.environ | pipeline.stack.environment, capture_output=True, check=True
    )
    assert done.stdout.decode().startswith(f"{len(WHOLE)} panoramas")
    items = await pipeline.world.blobs.get(catalogue_key(driven.drive_id, "items.geojson"))
    captures = [one["properties"]["panoveil:capture_id"] for one in json.loads(items)["features"]]
    assert captures == [f"{driven.drive_id}/{name}" for name in WHOLE]
    verdict = await verify(pipeline.world.ledger, pipeline.world.blobs, driven.drive_id, noted=None)
    assert verdict.findings == ()
    source = Published(driven.drive_id, pipeline.world.ledger, pipeline.world.blobs)
    first = (await source.publications())[0]
    tiles = first.derivative("tiles")
    assert tiles is not None
    assert (await source.read(tiles.key, 0, 7), await source.size(tiles.key)) == (b"PMTiles", tiles.size)


async def test_no_service_logs_a_payload(pipeline: Pipeline, driven: Driven) -> None:
    frame = next((driven.folder / WHOLE[0]).glob("*.jpg")).read_bytes()
    payloads = [*JUNK, frame[:30], frame[1000:1030]]
    logs = {name: pipeline.stack.processes[name].log.read_bytes() for name in stacks.SERVICES}
    assert b"quarantined a record of junk" in logs["ingest"]
    assert [name for name, log in logs.items() if any(tells(log, payload) for payload in payloads)] == []


async def test_while_triton_is_down_nothing_is_published_and_it_goes_on_when_it_is_back(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    drive = photographed(tmp_path, "outage", 1)
    capture_id = CaptureId(SURVEY, "outage", "000000")
    pipeline.stack.processes["triton"].popen.send_signal(signal.SIGKILL)
    pipeline.stack.processes["triton"].popen.wait()
    running = pipeline.stack.processes.pop("triton")
    await pipeline.upload(drive)
    await pipeline.until_state(capture_id, State.STITCHED)
    await pipeline.until("the anonymizer says why it waits", lambda: says(pipeline, "anonymizer", "waits for triton"))
    assert await pipeline.published(capture_id) == []
    running.stop(1.0)
    pipeline.stack.processes["triton"] = stacks.start_triton(pipeline.stack.triton, pipeline.stack.folder)
    await triton.wait_ready(pipeline.stack.triton.http_port, lambda: pipeline.stack.processes["triton"].running)
    states = await pipeline.until_ended(drive.drive_id, ["000000"])
    assert states["000000"].state is State.PUBLISHED


async def says(pipeline: Pipeline, service: str, words: str) -> bool:
    return words in pipeline.stack.processes[service].log.read_text()


async def test_a_message_of_the_future_is_quarantined_not_guessed(pipeline: Pipeline) -> None:
    key = f"{SURVEY}/future/000000"
    await pipeline.world.sink.send(Stream.CAPTURES, [Outgoing(key, b'{"type": "capture.ready", "version": 99}')])

    # The entry is written first, then the state.
    found = await pipeline.until_state(CaptureId.parse(key), State.QUARANTINED)
    assert found.reason == Reason.UNKNOWN_MESSAGE
    assert [entry["service"] for entry in await pipeline.quarantined() if entry["partition_key"] == key] == ["stitcher"]


async def test_a_real_rig_goes_the_same_way(pipeline: Pipeline, shared: Path, tmp_path: Path) -> None:
    nuscenes_drive(shared / "rigs" / "nuscenes6", tmp_path, SURVEY, "nuscenes")
    await pipeline.upload(existing_drive(tmp_path, WIDTH))
    states = await pipeline.until_ended(f"{SURVEY}/nuscenes", ["000001"])
    assert states["000001"].state is State.PUBLISHED
    published = await collect_publications(f"{SURVEY}/nuscenes", pipeline.world.blobs, tmp_path / "out")
    assert published["000001"].key in await pipeline.published(CaptureId(SURVEY, "nuscenes", "000001"))
