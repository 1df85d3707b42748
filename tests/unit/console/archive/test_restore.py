"""Archived originals brought back, over a drive in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from console.archive import costs
from console.archive.restore import Found, Standing, Wish, ask, bring_back, look, opened
from console.archive.scope import Scope
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.archive import CaptureArchived, StorageClass
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef, Bucket, raw_key
from panoveil.contracts.reasons import Reason
from panoveil.ledger import State
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams
from tests.unit.services.archivist import worlds
from tests.unit.services.archivist.worlds import DRIVE, FRAMES, capture

DAY = 86_400.0
C1, C2 = capture(1), capture(2)
WHOLE = Scope.of(DRIVE, ())


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class World(worlds.World):
    """Two archived captures whose originals expired; a restore takes 12 hours."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.blobs = MemoryBlobs(lambda: self.clock().timestamp(), restore_seconds=12 * 3600)
        self.wish = Wish("Standard", 7, "operator-4", "a better model", self.clock)
        self.files: dict[Any, dict[str, bytes]] = {}

    async def expired(self) -> "World":
        for number, capture_id in enumerate((C1, C2)):
            self.files[capture_id] = await self.upload(capture_id, {lens: data + b"%d" % number for lens, data in FRAMES.items()})
            await self.ledger.move(capture_id, State.PUBLISHED)
            await self.archive(capture_id)
            await self.blobs.purge(Bucket.RAW, f"{capture_id}/")
        return self

    @property
    def world(self) -> Connections:
        return Connections(self.blobs, self.ledger, MemoryStreams())

    async def look(self, scope: Scope = WHOLE) -> list[Found]:
        return await look(scope, self.world, self.keys)

    async def standings(self, scope: Scope = WHOLE) -> list[Standing]:
        return [one.standing for one in await self.look(scope)]

    async def run(self, scope: Scope = WHOLE) -> tuple[int, int]:
        """Ask and bring back, as one run of the command does."""
        asked = await ask(await self.look(scope), self.wish, self.world)
        told = await bring_back(await self.look(scope), self.wish, self.world, self.keys)
        return asked, list(told.values()).count("")

    async def audited(self, kind: str) -> list[dict[str, Any]]:
        return [dict(entry.body) async for entry in self.ledger.audit_chain(DRIVE) if entry.body["kind"] == kind]


@pytest.fixture(name="world")
async def an_expired_drive() -> World:
    return await World().expired()


async def test_originals_come_back_bit_exact_once_the_archive_has_them(world: World) -> None:
    assert await world.standings() == [Standing.ARCHIVED] * 2
    assert await world.run() == (2, 0)
    world.clock.now += timedelta(hours=11)
    assert await world.run() == (0, 0)
    assert await world.standings() == [Standing.RESTORING] * 2
    world.clock.now += timedelta(hours=2)
    assert await world.run() == (0, 2)
    assert await world.standings() == [Standing.HOT] * 2
    for capture_id, files in world.files.items():
        assert {name: await world.blobs.get(raw_key(capture_id, name)) for name in files} == files
    assert await world.run() == (0, 0)


async def test_a_request_is_known_to_whoever_comes_next_with_when_it_should_be_there(world: World) -> None:
    await world.run()
    asked = world.clock.now
    world.clock.now += timedelta(hours=3)
    for one in await world.look():
        assert one.requested is not None
        assert (one.requested.requested_at, one.requested.expected_at) == (asked, asked + timedelta(hours=12))


async def test_what_was_restored_long_ago_is_asked_for_anew(world: World) -> None:
    await world.run()
    world.clock.now += timedelta(days=9)
    assert await world.standings() == [Standing.ARCHIVED] * 2
    assert await world.run() == (2, 0)


async def test_one_capture_is_brought_back_and_the_others_stay(world: World) -> None:
    only = Scope.of(None, [str(C1)])
    await world.run(only)
    world.clock.now += timedelta(hours=13)
    await world.run(only)
    assert await world.standings() == [Standing.HOT, Standing.ARCHIVED]


async def test_the_chain_says_who_brought_what_back(world: World) -> None:
    await world.run()
    world.clock.now += timedelta(hours=13)
    await world.run()
    (request,) = await world.audited("operator")
    assert (request["action"], request["by"]) == ("restore-request", "operator-4")
    entries = sorted(await world.audited("restoration"), key=lambda entry: str(entry["capture_id"]))
    assert [entry["capture_id"] for entry in entries] == [str(C1), str(C2)]
    assert {one["key"] for one in entries[0]["outputs"]} == {raw_key(C1, name).key for name in world.files[C1]}


async def test_a_run_that_died_after_some_of_it_is_gone_on_with(world: World) -> None:
    await world.run()
    world.clock.now += timedelta(hours=13)
    await bring_back((await world.look())[:1], world.wish, world.world, world.keys)
    await world.blobs.delete(raw_key(C1, "front.jpg"))  # it died between two of its files
    assert await world.standings() == [Standing.READY] * 2
    assert await world.run() == (0, 2)


async def test_originals_that_were_put_back_but_not_noted_are_put_back_again(world: World) -> None:
    """S3 gives each object that it encrypts an ETag of its own, so what is not noted may be anything."""
    await world.run()
    world.clock.now += timedelta(hours=13)
    await world.run()
    await world.blobs.put(raw_key(C1, "front.jpg"), world.files[C1]["front.jpg"][::-1])
    assert await world.standings() == [Standing.READY, Standing.HOT]
    assert await world.run() == (0, 1)
    world.clock.now += timedelta(days=8)
    await world.blobs.put(raw_key(C1, "front.jpg"), world.files[C1]["front.jpg"][::-1])
    assert await world.standings() == [Standing.HOT] * 2  # asking the archive for it would cost money, and it is there


async def test_an_unknown_drive_or_capture_is_one_sentence(world: World) -> None:
    for scope in (Scope.of("fyn-2026/car9", ()), Scope.of(None, [f"{DRIVE}/000009"])):
        with pytest.raises(Misconfigured, match="is in the ledger"):
            await world.look(scope)


async def test_a_drive_of_which_nothing_is_archived_is_one_sentence() -> None:
    world = World()
    await world.ledger.move(C1, State.HELD)
    with pytest.raises(Misconfigured, match="Nothing of fyn-2026/car7-0601 is archived"):
        await world.look()


async def test_a_drive_whose_key_is_gone_is_one_sentence(world: World) -> None:
    await world.keys.destroy(DRIVE)
    with pytest.raises(Rejected) as caught:
        await world.look()
    assert caught.value.reason == Reason.KEY_GONE


@pytest.mark.parametrize("what", ["capture", "drive"])
async def test_what_was_erased_is_one_sentence(world: World, what: str) -> None:
    if what == "drive":
        await world.ledger.end_drive(DRIVE)
    else:
        await world.ledger.move(C2, State.ERASED)
    with pytest.raises(Rejected) as caught:
        await world.look()
    assert caught.value.reason == Reason.ERASED


async def test_an_archive_object_that_is_not_there_is_told(world: World) -> None:
    await world.blobs.purge(Bucket.ARCHIVE, f"{C2}/")
    assert await world.standings() == [Standing.ARCHIVED, Standing.MISSING]
    assert await world.run() == (1, 0)


async def test_what_is_not_restored_yet_cannot_be_opened(world: World) -> None:
    with pytest.raises(Rejected, match="restore it first"):
        await opened((await world.look())[0].archived, world.world, world.keys)


async def test_an_archive_object_that_was_replaced_is_told_and_keeps_nobody_from_the_others(world: World) -> None:
    (one, _) = await world.look()
    await world.run()
    world.clock.now += timedelta(hours=13)
    await world.blobs.put(BlobRef(Bucket.ARCHIVE, one.archived.key), b"something else")
    told = await bring_back(await world.look(), world.wish, world.world, world.keys)
    assert told == {
        C1: f"corrupt_archive: the archive object of {C1} is not the one that the ledger knows",
        C2: "",
    }
    assert {stored.ref.key.rsplit("/", 1)[0] async for stored in world.blobs.list(Bucket.RAW)} == {str(C2)}


@pytest.mark.parametrize(
    ("drive", "captures"), [(None, []), (DRIVE, [str(C1)]), ("no-drive", []), (None, [DRIVE]), ("a/b/c", []), (None, ["../x/y"])]
)
def test_a_scope_that_makes_no_sense_is_refused(drive: str | None, captures: list[str]) -> None:
    with pytest.raises(Misconfigured, match="<survey>/<drive>"):
        Scope.of(drive, captures)


def archived(size: int, storage_class: StorageClass = StorageClass.DEEP_ARCHIVE) -> CaptureArchived:
    files = [{"name": f"{number}.jpg", "sha256": "0" * 64, "size": size // 6} for number in range(6)]
    facts = {"capture_id": str(C1), "key": "k", "sha256": "0" * 64, "index_sha256": "0" * 64, "key_sha256": "0" * 64}
    return CaptureArchived.model_validate(
        {**facts, "size": size, "storage_class": storage_class, "files": files, "etags": {}, "archived_at": worlds.NOW}
    )


def test_a_drive_of_five_thousand_captures_costs_what_the_table_says() -> None:
    drive = [archived(25_000_000)] * 5000  # 125 GB
    standard, bulk = costs.quote(drive, "Standard", 7), costs.quote(drive, "Bulk", 7)
    assert (standard.objects, standard.size, standard.takes) == (5000, 125_000_000_000, timedelta(hours=12))
    assert standard.requests == pytest.approx(5000 * 0.10 / 1000)
    assert standard.retrieval == pytest.approx(125 * 0.02)
    assert standard.copies == pytest.approx(125 * 0.023 * 7 / 30)
    assert standard.originals == pytest.approx(125 * 0.023 + 30_000 * 0.005 / 1000)
    assert bulk.requests == pytest.approx(0.125)
    assert bulk.retrieval == pytest.approx(0.3125)
    assert bulk.takes == timedelta(hours=48)
    assert standard.total == pytest.approx(standard.requests + standard.retrieval + standard.copies + standard.originals)


def test_what_is_read_at_once_needs_no_request() -> None:
    price = costs.quote([archived(1_000_000_000, StorageClass.GLACIER_IR)], "Bulk", 30)
    assert (price.requests, price.copies, price.takes) == (0.0, 0.0, timedelta())
    assert price.retrieval == pytest.approx(0.03)


def test_nothing_costs_nothing() -> None:
    assert costs.quote([], "Standard", 7).total == 0
