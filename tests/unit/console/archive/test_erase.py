"""A drive in memory, erased whole or in part, whoever is killed in between."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from console.archive.erase import Wish, erase, look
from console.archive.scope import Scope
from console.audit import verify
from console.quarantine import deeds
from panoveil import quarantine
from panoveil.blobs import Blobs
from panoveil.contracts.audit import AuditedObject, OperatorAction
from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable
from panoveil.contracts.keys import (
    BlobRef,
    Bucket,
    CaptureId,
    current_key,
    publication_key,
    published_key,
    stitched_key,
)
from panoveil.contracts.messages import CurrentPublication, encode
from panoveil.contracts.reasons import Reason
from panoveil.keys import DriveKeys
from panoveil.ledger import Ledger, State, note
from panoveil.quarantine import Failure
from panoveil.runtime import Connections
from panoveil.streams import MemoryStreams, Record
from tests.unit.console.replay.worlds import Killed, Life, Mortal
from tests.unit.services.archivist import worlds
from tests.unit.services.archivist.worlds import DRIVE, capture

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RECIPE, SHA = "12c0439857e384a4", "5" * 64
C1, C2, C3 = capture(1), capture(2), capture(3)
WHOLE, ONE = Scope.of(DRIVE, ()), Scope.of(None, [str(C1)])
EVERYWHERE = (Bucket.RAW, Bucket.STITCHED, Bucket.PUBLISHED, Bucket.ARCHIVE, Bucket.QUARANTINE)


class World(worlds.World):
    """Two captures published and archived, a third in quarantine, and another drive that nobody means."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0
        self.catalogue: BlobRef = BlobRef(Bucket.PUBLISHED, f"_catalogue/{DRIVE}/collection.json")
        self.world = Connections(self.blobs, self.ledger, MemoryStreams())

    def now(self) -> datetime:
        self.ticks += 1
        return NOW.replace(microsecond=self.ticks)

    @property
    def wish(self) -> Wish:
        return Wish("dpo-2", "request R-2026-118", self.now)

    async def lived(self) -> "World":
        for capture_id in (C1, C2, CaptureId.parse("fyn-2026/other/000001")):
            await self.upload(capture_id)
            await self.blobs.put(stitched_key(str(capture_id), "5f1c0a9be37d2468"), b"stitched")
            await self.publish(capture_id)
            await self.ledger.move(capture_id, State.PUBLISHED)
            await self.archive(capture_id)
        await self.upload(C3)
        record = Record("shard", "1", str(C3), b"{}", 0.0)
        await quarantine.put_record("stitcher", record, Failure("corrupt_frame", "", "", 1, 1.0), self.blobs, self.ledger)
        return self

    async def publish(self, capture_id: CaptureId) -> None:
        refs = (published_key(str(capture_id), RECIPE), publication_key(str(capture_id), RECIPE))
        for ref in refs:
            await self.blobs.put(ref, ref.key.encode())
        outputs = tuple(AuditedObject(bucket=ref.bucket, key=ref.key, sha256=_sha(ref.key)) for ref in refs)
        entry = OperatorAction(
            at=NOW, drive_id=capture_id.drive_id, action="release", by="x", capture_id=str(capture_id), outputs=outputs
        )
        await note(self.ledger, entry)
        current = CurrentPublication(
            capture_id=str(capture_id), recipe_id=RECIPE, key=refs[0].key, sha256=_sha(refs[0].key), publication=refs[1].key
        )
        await self.blobs.put(current_key(str(capture_id)), encode(current))

    async def erase(self, scope: Scope = WHOLE, life: Life | None = None) -> Any:
        if life is None:
            return await erase(scope, self.wish, self.world, self.keys)
        blobs, ledger, keys = (Mortal(store, life) for store in (self.blobs, self.ledger, self.keys))
        mortal = replace(self.world, blobs=cast("Blobs", Listing(blobs)), ledger=cast("Ledger", Listing(ledger)))
        return await erase(scope, self.wish, mortal, cast("DriveKeys", keys))

    async def left(self, prefix: str = DRIVE) -> list[str]:
        every = [stored.ref async for bucket in _each(EVERYWHERE) async for stored in self.blobs.list(bucket)]
        return [str(ref) for ref in every if ref.key.removeprefix("entries/").startswith(f"{prefix}/")]

    async def findings(self) -> tuple[str, ...]:
        return (await verify(self.ledger, self.blobs, DRIVE, None)).findings

    async def audited(self, step: str = "done") -> list[dict[str, Any]]:
        entries = [dict(entry.body) async for entry in self.ledger.audit_chain(DRIVE)]
        return [entry for entry in entries if entry["kind"] == "erasure" and entry["step"] == step]


class Listing:
    """What yields is passed on as it is; only calls are counted."""

    def __init__(self, mortal: Mortal) -> None:
        self._mortal = mortal

    def __getattr__(self, name: str) -> Any:
        plain = name in {"list", "captures", "audit_chain"}
        return getattr(self._mortal._store if plain else self._mortal, name)


async def _each(things: Any) -> Any:
    for thing in things:
        yield thing


def _sha(text: str) -> str:

    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(name="world")
async def a_drive_that_lived() -> World:
    return await World().lived()


async def test_a_drive_is_gone_everywhere_and_the_chain_proves_it(world: World) -> None:
    key = await world.keys.existing(DRIVE)
    assert await world.findings() == ()
    done = await world.erase()
    assert await world.left() == []
    assert done.key_sha256 == key.fingerprint
    assert done.removed == {Bucket.RAW: 9, Bucket.STITCHED: 2, Bucket.PUBLISHED: 6, Bucket.ARCHIVE: 2, Bucket.QUARANTINE: 1}
    assert await world.findings() == ()
    ended = {entry["capture_id"]: entry for entry in await world.audited()}
    assert set(ended) == {None, str(C1), str(C2), str(C3)}
    assert ended[None]["key_sha256"] == key.fingerprint
    assert ended[str(C1)]["removed"] == {"raw": 3, "stitched": 1, "published": 3, "archive": 1}
    assert ended[str(C1)]["withdrawn"] == [published_key(str(C1), RECIPE).key, publication_key(str(C1), RECIPE).key]
    assert {(entry["by"], entry["because"]) for entry in ended.values()} == {("dpo-2", "request R-2026-118")}


async def test_another_drive_is_left_alone(world: World) -> None:
    before = await world.left("fyn-2026/other")
    await world.erase()
    assert await world.left("fyn-2026/other") == before != []
    assert not await world.ledger.erased(CaptureId.parse("fyn-2026/other/000001"))
    assert (await world.keys.existing("fyn-2026/other")).secret


async def test_the_key_is_gone_for_good_and_nothing_of_the_drive_is_archived_any_more(world: World) -> None:
    await world.erase()
    later = capture(4)
    await world.upload(later)
    for ask in (world.keys.existing(DRIVE), world.archive(later)):
        with pytest.raises(Rejected) as caught:
            await ask
        assert caught.value.reason == Reason.KEY_GONE


async def test_one_capture_goes_and_the_others_stay_with_the_key(world: World) -> None:
    with pytest.raises(Killed):
        await world.erase(WHOLE, Life(4))  # somebody decided to erase the drive, and died before it was
    assert len(await world.audited("begun")) == 1
    assert (await world.erase(ONE)).key_sha256 is None
    left = await world.left()
    assert not [name for name in left if str(C1) in name]
    assert [name for name in left if str(C2) in name]
    assert await world.findings() == ()
    assert (await world.keys.existing(DRIVE)).secret
    assert [await world.ledger.erased(one) for one in (C1, C2)] == [True, False]
    (entry,) = await world.audited()
    assert (entry["capture_id"], entry["key_sha256"]) == (str(C1), None)


@pytest.mark.parametrize("scope", [WHOLE, ONE], ids=["drive", "capture"])
async def test_a_catalogue_that_names_it_goes_too(world: World, scope: Scope) -> None:
    other = BlobRef(Bucket.PUBLISHED, "_catalogue/fyn-2026/other/collection.json")
    for ref in (world.catalogue, other):
        await world.blobs.put(ref, b"{}")
    await world.erase(scope)
    assert [await world.blobs.head(ref) is None for ref in (world.catalogue, other)] == [True, False]


async def test_nothing_moves_an_erased_capture_on(world: World) -> None:
    await world.erase(ONE)
    for state in State:
        await world.ledger.move(C1, state)
    found = await world.ledger.state(C1)
    assert found is not None
    assert (found.state, found.reason, found.detail) == (State.ERASED, Reason.ERASED, "request R-2026-118")


async def test_again_it_does_nothing_and_says_nothing_twice(world: World) -> None:
    await world.erase()
    before = await world.audited()
    again = await world.erase()
    assert not any(again.removed.values())
    assert await world.audited() == before


async def test_what_came_in_meanwhile_is_told_and_erased_by_the_same_command(world: World) -> None:
    class Late(Listing):
        async def purge(self, bucket: Bucket, prefix: str) -> Any:
            gone = await world.blobs.purge(bucket, prefix)
            if bucket is Bucket.STITCHED:
                await world.blobs.put(BlobRef(bucket, f"{C1}/late.jpg"), b"late")
            return gone

    late = replace(world.world, blobs=cast("Blobs", Late(Mortal(world.blobs, Life(10**9)))))
    with pytest.raises(Unavailable, match=r"stitched:fyn-2026/car7-0601/000001/late\.jpg"):
        await erase(WHOLE, world.wish, late, world.keys)
    await world.erase()
    assert (await world.left(), await world.findings()) == ([], ())


@pytest.mark.parametrize("scope", [WHOLE, ONE], ids=["drive", "capture"])
async def test_whenever_it_is_killed_the_same_command_does_the_rest(scope: Scope) -> None:
    """At any call to any store, before or after it took effect."""
    ticks = 0
    while True:
        world = await World().lived()
        fingerprint = (await world.keys.existing(DRIVE)).fingerprint
        try:
            await world.erase(scope, Life(ticks))
        except Killed:
            ticks += 1
        else:
            break
        await world.erase(scope)
        assert [name for name in await world.left() if scope.drive or str(C1) in name] == []
        assert await world.findings() == ()
        ended = {entry["capture_id"]: entry for entry in await world.audited()}
        assert str(C1) in ended
        if scope.drive:
            assert ended[None]["key_sha256"] == fingerprint
    assert ticks > 10


async def test_looking_says_what_there_is_and_changes_nothing(world: World) -> None:
    before = await world.left()
    found = await look(WHOLE, world.world, world.keys)
    assert (len(found.captures), found.living, found.key) == (3, 3, True)
    assert found.objects == {Bucket.RAW: 9, Bucket.STITCHED: 2, Bucket.PUBLISHED: 6, Bucket.ARCHIVE: 2, Bucket.QUARANTINE: 1}
    assert (await world.left(), await world.audited("begun")) == (before, [])
    assert not (await look(ONE, world.world, world.keys)).key


async def test_an_unknown_drive_is_one_sentence(world: World) -> None:
    with pytest.raises(Misconfigured, match="No drive 'fyn-2026/car9' is in the ledger"):
        await world.erase(Scope.of("fyn-2026/car9", ()))


async def test_an_erased_capture_is_not_sent_again_from_quarantine(world: World) -> None:
    (entry,) = [one async for one in world.ledger.quarantined_of(DRIVE)]
    await world.erase(Scope.of(None, [str(C3)]))
    (outcome,) = await deeds.each([entry], deeds.redrive(world.world, "raw", deeds.Operator("operator-4")))
    assert "erased" in outcome.problem
