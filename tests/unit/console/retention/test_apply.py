"""What is due of a drive in memory, and its end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.archive import restore
from console.archive.scope import Scope
from console.audit import verify
from console.retention.apply import Done, apply, drives, plan
from console.retention.rules import DEFAULT, Rules, read
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.keys import BlobRef, Bucket, catalogue_key, current_key, published_key, raw_key, stitched_key
from panoveil.ledger import State
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams
from services.archivist import handler as archivist
from services.archivist.handler import Ports
from tests.unit.console.archive.test_erase import RECIPE
from tests.unit.console.archive.test_erase import World as Lived
from tests.unit.services.archivist.worlds import DRIVE, capture, published

C1, C2, C3 = capture(1), capture(2), capture(3)


class World(Lived):
    """A drive of which two captures are published and archived and one is in quarantine, and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.at = datetime(2026, 7, 1, tzinfo=UTC)
        self.blobs = MemoryBlobs(self._seconds)
        self.world = Connections(self.blobs, self.ledger, MemoryStreams())

    def _seconds(self) -> float:
        return self.at.timestamp()

    @property
    def ports(self) -> Ports:
        return Ports(self.blobs, self.ledger, self.keys, lambda: self.at)

    async def due(self, rules: Rules) -> dict[str, int]:
        found = plan(await drives(self.ledger, None, DRIVE), rules, self.world, self.at.timestamp())
        return {one.data_class: len(one.objects) async for one in found}

    async def apply(self, rules: Rules) -> list[Done]:
        meant = await drives(self.ledger, None, DRIVE)
        return [one async for one in apply(meant, rules, "retention", self.world, lambda: self.at)]

    async def expiries(self) -> list[dict[str, Any]]:
        return [dict(entry.body) async for entry in self.ledger.audit_chain(DRIVE) if entry.body["kind"] == "expiry"]

    async def there(self, bucket: Bucket) -> list[str]:
        return [stored.ref.key async for stored in self.blobs.list(bucket, f"{DRIVE}/")]


@pytest.fixture(name="world")
async def a_drive_that_lived() -> World:
    world = World()
    await world.lived()
    return world


@pytest.fixture(name="rules")
def short_rules(tmp_path: Path) -> Rules:
    """Published ones end too, archives after two years."""
    file = tmp_path / "retention.toml"
    file.write_text(DEFAULT.read_text().replace('"published"\nkeep = "forever"', '"published"\nkeep = "1y"'))
    return read(file)


async def test_nothing_is_due_before_its_time_and_each_class_at_its_own(world: World, rules: Rules) -> None:
    began = world.at
    found = {}
    for days in (29, 30, 180, 365, 730):
        world.at = began + timedelta(days=days)
        found[days] = await world.due(rules)
    assert found[29] == {}
    assert found[30] == {"raw": 6, "stitched": 2}
    assert found[180] == {"raw": 6, "stitched": 2, "quarantine": 4}
    assert found[365] == {"raw": 6, "stitched": 2, "quarantine": 4, "published": 6}
    assert found[730] == {"raw": 6, "stitched": 2, "quarantine": 4, "published": 6, "archive": 2}


async def test_originals_stay_until_they_are_archived_however_old(rules: Rules) -> None:
    world = World()
    await world.upload(C1)
    await world.ledger.move(C1, State.PUBLISHED)
    world.at += timedelta(days=4000)
    assert await world.due(rules) == {}
    await archivist.handle(published(C1), world.ports)
    world.at += timedelta(days=29)
    assert await world.due(rules) == {}
    world.at += timedelta(days=1)
    assert await world.due(rules) == {"raw": 3}


@pytest.mark.parametrize("state", [State.RECEIVING, State.READY, State.STITCHED])
async def test_what_is_worked_on_is_never_due(rules: Rules, state: State) -> None:
    world = World()
    await world.upload(C1)
    await world.ledger.move(C1, state)
    world.at += timedelta(days=4000)
    assert await world.due(rules) == {}


async def test_what_is_due_goes_and_nothing_else_and_the_chain_says_so_first(world: World, rules: Rules) -> None:
    world.at += timedelta(days=30)
    done = await world.apply(rules)
    assert [one.problems for one in done] == [(), ()]
    assert await world.there(Bucket.RAW) == [raw_key(C3, name).key for name in ("back.jpg", "capture.json", "front.jpg")]
    assert (await world.there(Bucket.STITCHED), len(await world.there(Bucket.ARCHIVE))) == ([], 2)
    entries = {entry["data_class"]: entry for entry in await world.expiries()}
    assert {name: (entry["keep"], entry["objects"]) for name, entry in entries.items()} == {
        "raw": ("30d", 6),
        "stitched": ("30d", 2),
    }
    assert await world.apply(rules) == []
    assert len(await world.expiries()) == 2


async def test_publications_that_end_are_withdrawn_in_the_chain_and_nothing_points_to_them(world: World, rules: Rules) -> None:
    world.at += timedelta(days=100)
    await world.blobs.put(
        current_key(str(C1)), await world.blobs.get(current_key(str(C1)))
    )  # written anew: younger than its picture
    world.at += timedelta(days=300)
    await world.apply(rules)
    assert await world.there(Bucket.PUBLISHED) == []
    verdict = await verify(world.ledger, world.blobs, DRIVE, None)
    assert (verdict.findings, verdict.objects) == ((), 0)


async def test_an_original_that_is_not_what_was_archived_stays_and_is_told(world: World, rules: Rules) -> None:
    ref = raw_key(C1, "front.jpg")
    await world.blobs.put(ref, (await world.blobs.get(ref))[::-1])
    world.at += timedelta(days=30)
    (raw, _) = await world.apply(rules)
    assert raw.problems == (f"{ref} stays: it was written again since it was archived",)
    assert await world.blobs.head(ref) is not None
    assert len(raw.due.objects) == 5


async def test_originals_stay_where_the_archive_object_is_gone(world: World, rules: Rules) -> None:
    await world.blobs.purge(Bucket.ARCHIVE, f"{C1}/")
    world.at += timedelta(days=30)
    (raw, _) = await world.apply(rules)
    assert len(raw.problems) == 3
    assert all("its archive object is not there" in problem for problem in raw.problems)
    assert len([key for key in await world.there(Bucket.RAW) if str(C1) in key]) == 3


async def test_restored_originals_have_all_their_time_again(world: World, rules: Rules) -> None:
    world.at += timedelta(days=30)
    await world.apply(rules)
    connections, scope = world.world, Scope.of(None, [str(C1)])
    wish = restore.Wish("Standard", 7, "operator-4", "a better model", lambda: world.at)
    await restore.ask(await restore.look(scope, connections, world.keys), wish, connections)
    world.at += timedelta(seconds=3)
    await restore.bring_back(await restore.look(scope, connections, world.keys), wish, connections, world.keys)
    world.at += timedelta(days=29)
    assert await world.due(rules) == {}
    world.at += timedelta(days=1)
    assert await world.due(rules) == {"raw": 3}
    assert [one.problems for one in await world.apply(rules)] == [()]
    assert not [key for key in await world.there(Bucket.RAW) if str(C1) in key]


async def test_what_came_in_after_an_erasure_is_due_at_once(world: World, rules: Rules) -> None:
    await world.erase()
    await world.upload(C1)
    await world.blobs.put(stitched_key(str(C2), "5f1c0a9be37d2468"), b"late")
    await world.blobs.put(published_key(str(C2), RECIPE), b"late")
    await world.blobs.put(BlobRef(Bucket.ARCHIVE, f"{C2}/late.tar.aesgcm"), b"late")
    assert await world.due(rules) == {"erased": 6}
    await world.apply(rules)
    assert await world.left() == []


async def test_only_the_drives_of_a_survey_are_meant(world: World) -> None:
    assert await drives(world.ledger, "fyn-2026", None) == [DRIVE, "fyn-2026/other"]
    assert await drives(world.ledger, "jylland", None) == []
    assert await drives(world.ledger, None, DRIVE) == [DRIVE]


async def test_with_what_is_published_goes_the_catalogue_that_tells_where_it_was_taken_and_no_other(
    world: World, rules: Rules
) -> None:
    ours, other = catalogue_key(DRIVE, "drive.geojson"), catalogue_key("fyn-2026/other", "drive.geojson")
    for ref in (ours, other):
        await world.blobs.put(ref, b"{}")
    world.at += timedelta(days=100)
    await world.apply(rules)
    assert await world.blobs.head(ours) is not None
    world.at += timedelta(days=300)
    await world.apply(rules)
    assert [await world.blobs.head(ref) is None for ref in (ours, other)] == [True, False]
