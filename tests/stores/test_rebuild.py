"""The table is lost: what the buckets say is written into a new one, and everything goes on; in memory and over the real adapters."""

import asyncio
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console import audit
from console.__main__ import main
from console.ledger import evidence, inventory, rebuild
from console.recipes.document import running
from console.replay import app as replays
from console.replay.redo import Anonymizing, Stitching
from console.replay.report import Tally
from console.replay.scope import Scope
from panoveil import publication
from panoveil.aws import plain_client
from panoveil.blobs import Blobs, MemoryBlobs, S3Blobs, provision_buckets
from panoveil.contracts.audit import Erasure, Hold, HoldDecision
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket, CaptureId, Stream, current_key, destroyed_key, raw_key, rig_key, stitched_key
from panoveil.contracts.messages import CaptureManifest, CaptureReady, FrameEntry, Pose, QualityHold, decode, encode
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import QualityGate, StitchRecipe
from panoveil.contracts.review import Review
from panoveil.detection import RectangleDetector
from panoveil.ledger import DynamoLedger, Ledger, MemoryLedger, State, export_lines, note, provision_table
from panoveil.pixels import jpeg
from panoveil.quarantine import Failure, put_record
from panoveil.runtime import Connections, connect
from panoveil.settings import Settings
from panoveil.streams import MemoryStreams, Record, RetryPolicy
from services.anonymizer import handler as anonymizer
from services.anonymizer.app import stitched
from services.anonymizer.handler import REVIEW
from services.ingest import handler as ingest
from services.ingest.events import Uploaded
from services.stitcher import handler as stitcher
from tests.stores.conftest import BOTH, REGION
from tests.unit.services.anonymizer import scenes
from tests.unit.services.stitcher import virtual

DRIVE = "fyn-2026/car7-0601"
RIG = virtual.ring(4, size=160)
RECIPE = StitchRecipe(width=512, mode="fast", steady=False, gate=QualityGate(least_score=None))
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
FRAMES = {name: jpeg.encode(image, 90) for name, image in virtual.frames(RIG).items()}


def capture(number: int) -> CaptureId:
    return CaptureId.parse(f"{DRIVE}/{number:06d}")


def files_of(capture_id: CaptureId, rig_id: str = RIG.rig_id) -> dict[str, bytes]:
    frames = tuple(
        FrameEntry(lens=name, file=f"{name}.jpg", sha256=hashlib.sha256(data).hexdigest()) for name, data in FRAMES.items()
    )
    names = {"survey": capture_id.survey, "drive": capture_id.drive, "capture": capture_id.capture}
    manifest = CaptureManifest(**names, rig_id=rig_id, captured_at=NOW, pose=Pose(latitude=55.4, longitude=10.4), frames=frames)
    return {f"{name}.jpg": data for name, data in FRAMES.items()} | {"capture.json": encode(manifest)}


async def _always(recipe: Any) -> Any:
    return recipe


@dataclass
class World:
    """All services' handlers on the same stores, records carried from one to the next as the streams would."""

    blobs: Blobs
    ledger: Ledger
    tables: Path
    workers: ThreadPoolExecutor
    renew: Callable[[], Awaitable[Ledger]]
    streams: MemoryStreams = field(default_factory=MemoryStreams)
    read: Counter[Stream] = field(default_factory=Counter)

    @property
    def connections(self) -> Connections:
        return Connections(self.blobs, self.ledger, self.streams)

    @property
    def stitching(self) -> stitcher.Ports:
        rigs = stitcher.Rigs(self.blobs, RECIPE, self.tables)
        return stitcher.Ports(self.blobs, self.ledger, self.streams, lambda: _always(RECIPE), rigs, self.workers)

    @property
    def anonymizing(self) -> anonymizer.Ports:
        def recipe() -> Any:
            return _always(scenes.RECIPE)

        return anonymizer.Ports(self.blobs, self.ledger, self.streams, RectangleDetector(), recipe)

    async def upload(self, capture_id: CaptureId, files: Mapping[str, bytes]) -> None:
        """Put the files and work their events off; a record that is refused is put away."""
        for name, data in files.items():
            stored = await self.blobs.put(raw_key(capture_id, name), data)
            uploaded = Uploaded(stored.ref.key, stored.size, stored.etag)
            try:
                await ingest.handle(uploaded, ingest.Ports(self.blobs, self.ledger, self.streams, lambda: NOW))
            except Rejected as error:
                record = Record("0", "1", str(capture_id), name.encode(), NOW.timestamp())
                failure = Failure(error.reason, error.detail, "", 1, NOW.timestamp())
                await put_record("ingest", record, failure, self.blobs, self.ledger)

    async def work(self, hold: QualityHold | None = None) -> None:
        """Work off what lies on the streams."""
        for data in self.taken(Stream.CAPTURES):
            message = decode(data)
            assert isinstance(message, CaptureReady)
            await stitcher.handle(message, self.stitching)
        for data in self.taken(Stream.PANORAMAS):
            panorama = stitched(data)
            await anonymizer.handle(panorama.model_copy(update={"hold": hold}) if hold else panorama, self.anonymizing)

    def taken(self, stream: Stream) -> list[bytes]:
        """Return what came since this was asked last."""
        every = [record.data for record in self.streams.records(stream)]
        new = every[self.read[stream] :]
        self.read[stream] = len(every)
        return new

    async def states(self) -> dict[str, tuple[State, str]]:
        return {one.capture_id.capture: (one.state, one.reason) async for one in self.ledger.captures(DRIVE)}

    async def rebuild(self, *files: Path, dry_run: bool = False) -> rebuild.Rebuilt:
        drives = await inventory.drives(None, self.blobs)
        assert drives == [DRIVE]
        (result,) = [one async for one in rebuild.rebuild(drives, evidence.read(files), self.connections, dry_run=dry_run)]
        return result

    async def published(self) -> dict[str, str]:
        return {blob.ref.key: blob.etag async for blob in self.blobs.list(Bucket.PUBLISHED)}

    async def replayed_dry(self) -> dict[str, Any]:
        """What `panoveil replay --stage stitcher --dry-run` would say."""
        tally = Tally()
        redo = Stitching(self.stitching, Anonymizing(self.anonymizing, None))
        wish = replays.Wish("stitcher", Scope(drive=DRIVE), running(), None, dry_run=True)
        source = replays.ledger_source(wish, self.connections, tally)
        await replays.run(wish, source, redo.look, tally, asyncio.Event(), RetryPolicy(first_pause=0.0))
        return tally.as_json()

    async def replayed(self) -> dict[str, Any]:
        """The same in earnest."""
        tally = Tally()
        redo = Stitching(self.stitching, Anonymizing(self.anonymizing, None))
        wish = replays.Wish("stitcher", Scope(drive=DRIVE), running(), None)
        source = replays.ledger_source(wish, self.connections, tally)
        await replays.run(wish, source, redo, tally, asyncio.Event(), RetryPolicy(first_pause=0.0))
        return tally.as_json()

    async def export(self, file: Path) -> Path:
        entries = [entry async for entry in self.ledger.audit_chain(DRIVE)]
        file.write_text("".join(export_lines(DRIVE, entries)), "ascii")
        return file

    async def lose(self) -> None:
        """The table is deleted, and created anew with nothing in it."""
        self.ledger = await self.renew()


@pytest.fixture(name="workers", scope="module")
def some_threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(name="tables", scope="module")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(name="world", params=BOTH)
async def a_driven_world(request: pytest.FixtureRequest, tables: Path, workers: ThreadPoolExecutor) -> AsyncIterator[World]:
    """Captures 0 and 1 are published, 2 is held, 3 quarantined (no such rig), and half of 4 has arrived."""
    async with AsyncExitStack() as closing:
        stores = await (_memory() if request.param == "memory" else _server(request.getfixturevalue("emulator"), closing))
        world = World(stores[0], await stores[1](), tables, workers, stores[1])
        await world.blobs.put(rig_key(RIG.rig_id), RIG.model_dump_json().encode())
        await world.upload(capture(2), files_of(capture(2)))
        await world.work(QualityHold(reason=Reason.POOR_QUALITY, detail="out of focus"))
        for number in (0, 1):
            await world.upload(capture(number), files_of(capture(number)))
        await world.upload(capture(3), files_of(capture(3), rig_id="unknown"))
        await world.upload(capture(4), dict(list(files_of(capture(4)).items())[:2]))
        await world.work()
        yield world


async def _memory() -> tuple[Blobs, Callable[[], Awaitable[Ledger]]]:
    async def renew() -> Ledger:
        return MemoryLedger()

    return MemoryBlobs(), renew


async def _server(endpoint: str, closing: AsyncExitStack) -> tuple[Blobs, Callable[[], Awaitable[Ledger]]]:
    name = f"t{uuid.uuid4().hex[:12]}"
    buckets = {role: f"{name}-{role}" for role in Bucket}
    provision_buckets(buckets, REGION, endpoint)
    begun: list[str] = []

    async def renew() -> Ledger:
        if begun:
            plain_client("dynamodb", REGION, endpoint).delete_table(TableName=name)
        begun.append(name)
        provision_table(name, REGION, endpoint)
        return await closing.enter_async_context(DynamoLedger(name, REGION, endpoint))

    return await closing.enter_async_context(S3Blobs(buckets, REGION, endpoint)), renew


STATES = {
    "000000": (State.PUBLISHED, ""),
    "000001": (State.PUBLISHED, ""),
    "000002": (State.HELD, "poor_quality"),
    "000003": (State.QUARANTINED, "unknown_rig"),
    "000004": (State.RECEIVING, ""),
}


async def test_a_lost_table_is_rebuilt_and_everything_goes_on(world: World, tmp_path: Path) -> None:
    assert await world.states() == STATES
    before, pointer = await world.published(), await world.ledger.current(capture(0))
    file = await world.export(tmp_path / "chain.audit")
    chain = [entry async for entry in world.ledger.audit_chain(DRIVE)]
    await world.lose()
    assert (await world.rebuild(file, dry_run=True)).wrote["states"] == 5
    assert await world.states() == {}
    result = await world.rebuild(file)
    assert await world.states() == STATES
    assert result.problems == []
    rebuilt = await world.ledger.current(capture(0))
    assert pointer is not None
    assert rebuilt is not None
    assert (rebuilt.recipe_id, rebuilt.version) == (pointer.recipe_id, pointer.version)
    assert [entry async for entry in world.ledger.audit_chain(DRIVE)] == chain
    assert [entry.reason async for entry in world.ledger.quarantined()] == ["unknown_rig"]
    assert await world.replayed_dry() == {"redone": 0, "skipped": 2, "held": 0, "failed": 0, "flipped": 0}
    assert (await world.rebuild(file)).wrote.total() == 0
    told = len(world.streams.records(Stream.PUBLICATIONS))
    assert (await world.replayed())["skipped"] == 2
    assert (len(world.streams.records(Stream.PUBLICATIONS)), await world.published()) == (told + 2, before)
    await _goes_on(world, before)


async def _goes_on(world: World, before: dict[str, str]) -> None:
    """A half capture becomes whole, a new one is published, and events that come once more publish nothing twice."""
    await world.upload(capture(4), dict(list(files_of(capture(4)).items())[2:]))
    await world.upload(capture(5), files_of(capture(5)))
    await world.upload(capture(0), files_of(capture(0)))
    await world.work()
    states = {name: state for name, (state, _) in (await world.states()).items()}
    assert (states["000000"], states["000004"], states["000005"]) == (State.PUBLISHED,) * 3
    after = await world.published()
    assert {key: etag for key, etag in after.items() if key in before} == before
    new = {key.split("/")[2] for key in after.keys() - before.keys()}
    assert new == {"000004", "000005"}
    verdict = await audit.verify(world.ledger, world.blobs, DRIVE, None)
    assert verdict.findings == ()


async def test_without_the_exported_chain_what_was_held_is_decided_anew(world: World) -> None:
    await world.lose()
    result = await world.rebuild()
    assert await world.states() == STATES | {"000002": (State.RECEIVING, "")}
    (problem,) = result.problems
    assert "has no audit chain: give the file" in problem


async def test_a_ledger_that_lives_is_left_as_it_is(world: World, tmp_path: Path) -> None:
    file = await world.export(tmp_path / "chain.audit")
    await world.ledger.move(capture(4), State.READY)
    states, seen = await world.states(), await world.ledger.seen(capture(4))
    assert (await world.rebuild(file)).wrote.total() == 0
    assert (await world.states(), await world.ledger.seen(capture(4))) == (states, seen)


async def test_what_a_person_decided_about_a_hold_is_known_again(world: World, tmp_path: Path) -> None:
    (hold,) = [Hold.model_validate(dict(one.body)) async for one in world.ledger.audit_chain(DRIVE) if one.body["kind"] == "hold"]
    about: dict[str, Any] = {"drive_id": DRIVE, "capture_id": hold.capture_id, "held": hold.recipe_id, "inputs": hold.inputs}
    decision = HoldDecision(
        **about, at=NOW, action="release", by="reviewer-3", because="rain", recipe_id="0a1b", review=Review(waive=True)
    )
    await note(world.ledger, decision)
    file = await world.export(tmp_path / "chain.audit")
    await world.lose()
    assert (await world.rebuild(file)).wrote["releases"] == 1
    assert await world.ledger.finished(capture(2), REVIEW, "0a1b") == encode(decision)


async def test_what_was_erased_stays_erased(world: World, tmp_path: Path) -> None:
    about = {"at": NOW, "drive_id": DRIVE, "by": "operator", "because": "asked for"}
    await note(world.ledger, Erasure(**about, step="begun", capture_id=str(capture(1))))
    file = await world.export(tmp_path / "chain.audit")
    await world.lose()
    await world.rebuild(file)
    assert await world.ledger.erased(capture(1))
    assert not await world.ledger.erased(capture(0))
    await world.blobs.put(destroyed_key(DRIVE), b"")
    await world.lose()
    result = await world.rebuild()
    assert await world.ledger.drive_erased(DRIVE)
    assert await world.states() == {}
    assert any("panoveil erase --drive" in problem for problem in result.problems)


async def test_a_publication_whose_picture_is_gone_counts_for_nothing(world: World) -> None:
    await world.lose()
    key = next(key for key in await world.published() if "000001" in key and key.endswith(".jpg") and "thumbnail" not in key)
    await world.blobs.delete(published_ref(key))
    result = await world.rebuild()
    assert (await world.states())["000001"] == (State.RECEIVING, "")
    assert any("vouches for nothing" in problem for problem in result.problems)


@pytest.mark.parametrize("text", [b"", b"{", b'{"recipe_id": "../x"}'])
async def test_what_is_damaged_is_told_and_keeps_nobody_from_the_rest(world: World, text: bytes) -> None:
    await world.lose()
    broken = BlobRef(Bucket.PUBLISHED, f"{capture(0)}/beside.json")
    for ref in (current_key(str(capture(0))), broken, BlobRef(Bucket.QUARANTINE, f"entries/{DRIVE}/000001/torn.json")):
        await world.blobs.put(ref, text)
    await world.blobs.put(BlobRef(Bucket.RAW, f"{DRIVE}/odd"), b"x")
    result = await world.rebuild()
    assert {name: state for name, (state, _) in (await world.states()).items()}["000000"] is State.PUBLISHED
    pointer = await world.ledger.current(capture(0))
    assert pointer is not None
    for said in (
        "current.json cannot be read",
        "beside.json cannot be read",
        "torn.json cannot be read",
        "/odd is of no capture",
    ):
        assert any(said in problem for problem in result.problems), said


async def test_what_has_neither_publication_nor_originals_is_told(world: World) -> None:
    await world.lose()
    for bucket in (Bucket.RAW, Bucket.PUBLISHED):
        await world.blobs.purge(bucket, f"{capture(0)}/")
    result = await world.rebuild()
    assert (await world.states())["000000"] == (State.STITCHED, "")
    assert any("originals are gone" in problem for problem in result.problems)
    assert await world.blobs.head(stitched_key(str(capture(0)), RECIPE.recipe_id)) is not None


def published_ref(key: str) -> BlobRef:
    return BlobRef(Bucket.PUBLISHED, key)


@pytest.mark.servers
@pytest.mark.usefixtures("emulator")
def test_an_operator_is_told_what_came_back_and_what_is_left(
    emulator: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = Settings(endpoint_url=emulator, region=REGION, namespace=f"t{uuid.uuid4().hex[:12]}")
    for name in ("endpoint_url", "region", "namespace"):
        monkeypatch.setenv(f"PANOVEIL_{name.upper()}", str(getattr(settings, name)))
    provision_buckets(settings.buckets, REGION, emulator)
    provision_table(settings.table, REGION, emulator)
    asyncio.run(_put(settings, raw_key(capture(0), "capture.json"), b"{}"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["panoveil", "ledger", "rebuild", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    code, out, _ = run("--dry-run")
    assert (code, out.splitlines()[0]) == (0, f"{DRIVE}: 1 receiving; would write 1 states, 1 objects")
    code, out, _ = run("--drive", DRIVE, "--json")
    assert json.loads(out) == {
        "drive": DRIVE, "states": {"receiving": 1}, "wrote": {"states": 1, "objects": 1}, "problems": [], "dry_run": False,
    }  # fmt: skip
    code, out, _ = run()
    assert out.splitlines() == [
        f"{DRIVE}: 1 receiving; wrote nothing",
        "Known again: 1 drives, 1 receiving; nothing is left to a person.",
    ]
    (tmp_path / "torn.audit").write_text("{}\n")
    for wrong in (["--drive", "a/../b"], ["--survey", "_catalogue"], ["--audit", str(tmp_path / "torn.audit")]):
        code, _, err = run(*wrong)
        assert (code, err.count("\n")) == (78, 1)


async def _put(settings: Settings, ref: BlobRef, data: bytes) -> None:
    async with connect(settings) as world:
        await world.blobs.put(ref, data)


async def test_a_pointer_that_was_moved_stands_where_it_stood_and_can_be_moved_back(world: World, tmp_path: Path) -> None:
    """Its place counts on: a later decision has an entry of its own in the chain."""
    (first,) = {key.rsplit("/", 1)[1].split(".")[0] for key in await world.published() if "000000" in key} - {"current"}
    again = replace(world.anonymizing, recipe=lambda: _always(scenes.RECIPE.model_copy(update={"margin": 0.5})))
    message = stitched(await _finished(world.ledger, capture(0)))
    await anonymizer.handle(message, again)
    second = (await anonymizer.recipe_for(message, again)).recipe_id
    decided = publication.Decision("operator-4", "a wider margin", NOW)
    assert await publication.flip(capture(0), second, decided, world.ledger, world.blobs)
    before = await world.ledger.current(capture(0))
    file = await world.export(tmp_path / "chain.audit")
    await world.lose()
    await world.rebuild(file)
    after = await world.ledger.current(capture(0))
    assert before is not None
    assert after is not None
    assert (
        (after.recipe_id, after.previous, after.version)
        == (second, first, 2)
        == (before.recipe_id, before.previous, before.version)
    )
    length = len([entry async for entry in world.ledger.audit_chain(DRIVE)])
    assert await publication.roll_back(after, replace(decided, action="rollback"), world.ledger, world.blobs)
    assert len([entry async for entry in world.ledger.audit_chain(DRIVE)]) == length + 1


async def _finished(ledger: Ledger, capture_id: CaptureId) -> bytes:
    done = await ledger.finished(capture_id, "stitcher", RECIPE.recipe_id)
    assert done is not None
    return done
