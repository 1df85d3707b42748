"""The archivist's handler over a capture in memory."""

import asyncio
import hashlib
from typing import Any

import pytest

from panoveil import telemetry
from panoveil.blobs import MemoryBlobs
from panoveil.contracts import examples
from panoveil.contracts.archive import StorageClass
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import MANIFEST_NAME, BlobRef, Bucket, raw_key
from panoveil.contracts.reasons import Reason
from services.archivist.app import _publication, counted
from services.archivist.bundle import unpack
from services.archivist.handler import archives, handle
from services.archivist.seal import unseal
from tests.unit.services.archivist.worlds import DRIVE, FRAMES, World, capture, published

C1 = capture(1)


async def sealed(world: World) -> list[BlobRef]:
    return [stored.ref async for stored in world.blobs.list(Bucket.ARCHIVE)]


async def audited(world: World) -> list[dict[str, Any]]:
    return [dict(entry.body) async for entry in world.ledger.audit_chain(DRIVE)]


async def test_a_published_capture_becomes_one_object_that_opens_to_its_originals() -> None:
    world = World()
    files = await world.upload(C1)
    archived = await world.archive(C1)
    (ref,) = await sealed(world)
    assert world.blobs.classes[ref] is StorageClass.DEEP_ARCHIVE
    data = world.blobs.objects[ref]
    assert (archived.key, archived.sha256, archived.size) == (ref.key, hashlib.sha256(data).hexdigest(), len(data))
    key = await world.keys.existing(DRIVE)
    assert archived.key_sha256 == key.fingerprint
    assert unpack(unseal(data, key.secret, str(C1), archived.index_sha256), str(C1)) == files


async def test_originals_stay_and_the_chain_says_what_was_archived() -> None:
    world = World()
    files = await world.upload(C1)
    archived = await world.archive(C1)
    for name, data in files.items():
        assert await world.blobs.get(raw_key(C1, name)) == data
    (entry,) = await audited(world)
    assert (entry["kind"], entry["capture_id"]) == ("archival", str(C1))
    assert entry["archived"] == {"bucket": "archive", "key": archived.key, "sha256": archived.sha256}
    assert {one["key"]: one["sha256"] for one in entry["inputs"]} == {
        raw_key(C1, name).key: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }


async def test_another_publication_of_the_same_capture_archives_nothing_anew() -> None:
    world = World()
    await world.upload(C1)
    first = await world.archive(C1)
    await handle(published(C1, recipe_id="0a1b2c3d4e5f6071"), world.ports)
    assert await archives(C1, world.ledger) == [first]
    assert len(await audited(world)) == 1


async def test_two_at_once_make_one_object_that_opens() -> None:
    world = World()
    await world.upload(C1)
    await asyncio.gather(*(handle(published(C1), world.ports) for _ in range(4)))
    (archived,) = await archives(C1, world.ledger)
    assert hashlib.sha256(world.blobs.objects[(await sealed(world))[0]]).hexdigest() == archived.sha256


async def test_a_frame_that_came_late_is_archived_with_the_others_beside_what_was() -> None:
    world = World()
    await world.upload(C1)
    late = raw_key(C1, "back.jpg")
    await world.blobs.delete(late)
    without = await world.archive(C1)
    await world.blobs.put(late, FRAMES["back"])
    whole = await world.archive(C1)
    assert [len(one.files) for one in await archives(C1, world.ledger)] == [3, 2]
    assert whole.key != without.key


@pytest.mark.parametrize("gone", ["some", "all"])
async def test_originals_that_expired_are_not_missed(gone: str) -> None:
    world = World()
    await world.upload(C1)
    first = await world.archive(C1)
    for name in ["front.jpg"] if gone == "some" else ["front.jpg", "back.jpg", MANIFEST_NAME]:
        await world.blobs.delete(raw_key(C1, name))
    await handle(published(C1), world.ports)
    assert await archives(C1, world.ledger) == [first]


async def test_originals_that_are_gone_and_were_never_archived_are_told() -> None:
    with pytest.raises(Rejected) as caught:
        await handle(published(C1), World().ports)
    assert caught.value.reason == Reason.OBJECT_GONE


async def test_a_frame_that_is_not_what_the_manifest_promises_is_not_archived() -> None:
    world = World()
    await world.upload(C1)
    await world.blobs.put(raw_key(C1, "front.jpg"), b"damaged")
    with pytest.raises(Rejected) as caught:
        await handle(published(C1), world.ports)
    assert caught.value.reason == Reason.HASH_MISMATCH
    assert await sealed(world) == []


class Forgetful(MemoryBlobs):
    """A store that says it took an object, and holds another."""

    async def put(self, ref: BlobRef, data: bytes, *arguments: Any, **more: Any) -> Any:
        return await super().put(ref, data[:-1] if ref.bucket is Bucket.ARCHIVE else data, *arguments, **more)


async def test_what_the_store_does_not_hold_is_not_noted_as_archived() -> None:
    world = World()
    world.blobs = Forgetful()
    await world.upload(C1)
    before = telemetry.ARCHIVE_FAILURES.labels("s3")._value.get()
    with pytest.raises(Unavailable, match="checksum"):
        await counted(published(C1), world.ports)
    assert telemetry.ARCHIVE_FAILURES.labels("s3")._value.get() == before + 1
    assert (await archives(C1, world.ledger), await audited(world)) == ([], [])


async def test_a_drive_whose_key_was_destroyed_gets_no_other() -> None:
    world = World()
    await world.upload(C1)
    await world.keys.destroy(DRIVE)
    with pytest.raises(Rejected) as caught:
        await handle(published(C1), world.ports)
    assert caught.value.reason == Reason.KEY_GONE
    assert await sealed(world) == []


async def test_what_is_archived_is_counted() -> None:
    world = World()
    await world.upload(C1)
    before = telemetry.ARCHIVED_CAPTURES._value.get(), telemetry.ARCHIVED_BYTES._value.get()
    archived = await world.archive(C1)
    await handle(published(C1), world.ports)
    assert telemetry.ARCHIVED_CAPTURES._value.get() - before[0] == 1
    assert telemetry.ARCHIVED_BYTES._value.get() - before[1] == archived.size


def test_what_is_held_is_not_archived_and_other_messages_are_refused() -> None:
    assert _publication(examples.read("panorama.held.1")) is None
    assert _publication(examples.read("panorama.published.1")) is not None
    with pytest.raises(Rejected):
        _publication(examples.read("capture.ready.1"))
