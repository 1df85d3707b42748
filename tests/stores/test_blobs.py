"""What every object store does, in memory and in S3."""

import asyncio
import base64
import hashlib
import random
import time
import uuid

import pytest

from panoveil.aws import Refused, plain_client
from panoveil.blobs import Access, Blobs, MemoryBlobs, Multipart, S3Blobs, Shelf, provision_buckets
from panoveil.contracts.archive import StorageClass
from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.reasons import Reason
from tests.stores.conftest import HASTE, REGION

FRAME = BlobRef(Bucket.RAW, "dk/d1/c1/front.jpg")


async def test_what_was_put_is_read_back_whole(blobs: Blobs) -> None:
    data = bytes(range(256)) * 5000
    stored = await blobs.put(FRAME, data, "image/jpeg")
    assert await blobs.get(FRAME) == data
    assert (stored.ref, stored.size) == (FRAME, len(data))
    assert await blobs.head(FRAME) == stored
    assert '"' not in stored.etag


async def test_an_empty_object_is_an_object(blobs: Blobs) -> None:
    await blobs.put(FRAME, b"")
    assert await blobs.get(FRAME) == b""
    assert (await blobs.head(FRAME)) is not None


async def test_the_same_bytes_have_the_same_etag_and_others_another(blobs: Blobs) -> None:
    first = await blobs.put(FRAME, b"one")
    again = await blobs.put(FRAME, b"one")
    other = await blobs.put(FRAME, b"two")
    assert first == again
    assert other.etag != first.etag
    assert await blobs.get(FRAME) == b"two"


async def test_bytes_with_the_hash_that_was_promised_are_stored(blobs: Blobs) -> None:
    stored = await blobs.put(FRAME, b"as promised", sha256=hashlib.sha256(b"as promised").hexdigest())
    assert await blobs.head(FRAME) == stored


async def test_bytes_with_another_hash_are_refused_and_what_was_there_stays(blobs: Blobs) -> None:
    await blobs.put(FRAME, b"before")
    with pytest.raises(Rejected) as caught:
        await blobs.put(FRAME, b"half a fra", sha256=hashlib.sha256(b"half a frame").hexdigest())
    assert caught.value.reason == Reason.HASH_MISMATCH
    assert await blobs.get(FRAME) == b"before"


async def test_an_absent_object_is_gone(blobs: Blobs) -> None:
    with pytest.raises(Rejected) as caught:
        await blobs.get(FRAME)
    assert caught.value.reason == Reason.OBJECT_GONE
    assert await blobs.head(FRAME) is None


@pytest.mark.parametrize(
    ("first", "end", "found"), [(0, 4, b"abcd"), (2, 5, b"cde"), (4, 99, b"ef"), (6, 9, b""), (99, 100, b""), (3, 3, b"")]
)
async def test_a_part_is_read_as_far_as_the_object_goes(blobs: Blobs, first: int, end: int, found: bytes) -> None:
    await blobs.put(FRAME, b"abcdef")
    assert await blobs.part(FRAME, first, end) == found


async def test_a_part_of_an_absent_object_is_gone(blobs: Blobs) -> None:
    with pytest.raises(Rejected) as caught:
        await blobs.part(FRAME, 0, 1)
    assert caught.value.reason == Reason.OBJECT_GONE


async def test_delete_is_repeatable(blobs: Blobs) -> None:
    await blobs.put(FRAME, b"x")
    await blobs.delete(FRAME)
    await blobs.delete(FRAME)
    assert await blobs.head(FRAME) is None


async def test_buckets_are_apart(blobs: Blobs) -> None:
    await blobs.put(FRAME, b"raw")
    assert await blobs.head(BlobRef(Bucket.PUBLISHED, FRAME.key)) is None


async def test_list_yields_a_prefix_in_order(blobs: Blobs) -> None:
    keys = ["dk/d1/c2/a.jpg", "dk/d1/c1/b.jpg", "dk/d1/c1/a.jpg", "dk/d10/c1/a.jpg", "dk/d1/c1/B.jpg"]
    await asyncio.gather(*(blobs.put(BlobRef(Bucket.RAW, key), key.encode()) for key in keys))
    found = [item async for item in blobs.list(Bucket.RAW, "dk/d1/")]
    assert [item.ref.key for item in found] == ["dk/d1/c1/B.jpg", "dk/d1/c1/a.jpg", "dk/d1/c1/b.jpg", "dk/d1/c2/a.jpg"]
    assert [item.size for item in found] == [14] * 4
    assert [item async for item in blobs.list(Bucket.PUBLISHED)] == []


async def test_list_goes_on_after_a_thousand(blobs: Blobs) -> None:
    gate = asyncio.Semaphore(16)

    async def put(number: int) -> None:
        async with gate:
            await blobs.put(BlobRef(Bucket.REGISTRY, f"n/{number:04}"), b"")

    await asyncio.gather(*(put(number) for number in range(1005)))
    assert [item.ref.key async for item in blobs.list(Bucket.REGISTRY, "n/")] == [f"n/{number:04}" for number in range(1005)]


async def test_only_the_first_of_several_writes_what_is_new(blobs: Blobs) -> None:
    wrote = await asyncio.gather(*(blobs.put_new(FRAME, b"%d" % number) for number in range(8)))
    assert sorted(wrote) == [False] * 7 + [True]
    assert await blobs.get(FRAME) == b"%d" % wrote.index(True)


@pytest.mark.parametrize("size", [1, (6 << 20) + 1])
async def test_the_store_tells_by_its_checksum_what_it_holds(blobs: Blobs, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert not await blobs.holds(FRAME, data)
    await blobs.put(FRAME, data, storage_class=StorageClass.DEEP_ARCHIVE)
    assert await blobs.holds(FRAME, data)
    assert not await blobs.holds(FRAME, data[:-1] + bytes([data[-1] ^ 1]))
    assert not await blobs.holds(FRAME, data + b"x")


async def test_what_lies_in_cold_storage_is_restored_before_it_is_read(blobs: Blobs) -> None:
    assert await blobs.shelf(FRAME) is None
    await blobs.put(FRAME, b"original", storage_class=StorageClass.DEEP_ARCHIVE)
    assert await blobs.shelf(FRAME) == Shelf(StorageClass.DEEP_ARCHIVE, Access.ARCHIVED)
    with pytest.raises(Rejected, match="restore it first"):
        await blobs.get(FRAME)
    before = time.time()
    for _ in range(2):
        await blobs.restore(FRAME, "Standard", 3)
        assert await blobs.shelf(FRAME) == Shelf(StorageClass.DEEP_ARCHIVE, Access.RESTORING)
    with pytest.raises(Rejected, match="restore it first"):
        await blobs.get(FRAME)
    shelf = await _restored(blobs)
    assert (shelf.access, await blobs.get(FRAME)) == (Access.READABLE, b"original")
    assert shelf.until is not None
    assert before + 2 * 86_400 < shelf.until < before + 5 * 86_400


async def _restored(blobs: Blobs) -> Shelf:
    for _ in range(1000):
        shelf = await blobs.shelf(FRAME)
        assert shelf is not None
        if shelf.access is not Access.RESTORING:
            return shelf
        await asyncio.sleep(0.02)
    pytest.fail("it was not restored in 20 s")


async def test_what_is_not_in_cold_storage_cannot_be_restored(blobs: Blobs) -> None:
    with pytest.raises(Rejected, match="not in cold storage"):
        await blobs.restore(FRAME, "Bulk", 1)
    await blobs.put(FRAME, b"hot", storage_class=StorageClass.STANDARD_IA)
    assert await blobs.shelf(FRAME) == Shelf(StorageClass.STANDARD_IA, Access.READABLE)
    assert await blobs.get(FRAME) == b"hot"
    with pytest.raises(Rejected, match="not in cold storage"):
        await blobs.restore(FRAME, "Bulk", 1)


async def test_purging_takes_a_prefix_and_nothing_else(blobs: Blobs) -> None:
    keys = ["dk/d1/c1/a.jpg", "dk/d1/c1/b.jpg", "dk/d1/c10/a.jpg", "dk/d10/c1/a.jpg"]
    await asyncio.gather(*(blobs.put(BlobRef(Bucket.RAW, key), b"x", storage_class=StorageClass.GLACIER) for key in keys))
    await blobs.put(BlobRef(Bucket.PUBLISHED, keys[0]), b"x")
    assert await blobs.purge(Bucket.RAW, "dk/d1/c1/") == tuple(keys[:2])
    assert await blobs.purge(Bucket.RAW, "dk/d1/c1/") == ()
    assert [item.ref.key async for item in blobs.list(Bucket.RAW)] == keys[2:]
    assert await blobs.head(BlobRef(Bucket.PUBLISHED, keys[0])) is not None


@pytest.mark.servers
async def test_purging_takes_every_version_where_a_bucket_keeps_them(emulator: str) -> None:
    bucket = f"versions-{uuid.uuid4().hex[:8]}"
    provision_buckets({Bucket.RAW: bucket}, REGION, emulator)
    s3 = plain_client("s3", REGION, emulator)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    async with S3Blobs({Bucket.RAW: bucket}, REGION, emulator) as store:
        for text in (b"one", b"two"):
            await store.put(FRAME, text)
        await store.delete(FRAME)
        assert s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]
        assert await store.purge(Bucket.RAW, "dk/d1/") == (FRAME.key,)
    left = s3.list_object_versions(Bucket=bucket)
    assert (left.get("Versions", []), left.get("DeleteMarkers", [])) == ([], [])


async def test_a_listed_object_says_when_it_was_written(blobs: Blobs) -> None:
    before = time.time()
    await blobs.put(FRAME, b"x")
    (found,) = [item async for item in blobs.list(Bucket.RAW)]
    assert before - 2 < found.written < time.time() + 2


async def test_memory_that_is_down_answers_unavailable() -> None:
    store = MemoryBlobs()
    await store.put(FRAME, b"x")
    store.down = True
    await _all_unavailable(store)
    store.down = False
    assert await store.get(FRAME) == b"x"


async def test_s3_that_is_down_answers_unavailable(nowhere: str) -> None:
    async with S3Blobs({role: role.value for role in Bucket}, REGION, nowhere, HASTE) as store:
        await _all_unavailable(store)


async def _all_unavailable(store: Blobs) -> None:
    for attempt in (
        store.put(FRAME, b"x"),
        store.get(FRAME),
        store.head(FRAME),
        store.delete(FRAME),
        store.put_new(FRAME, b"x"),
        store.holds(FRAME, b"x"),
        store.shelf(FRAME),
        store.restore(FRAME, "Bulk", 1),
        store.purge(Bucket.RAW, "dk/"),
        anext(aiter(store.list(Bucket.RAW))),
    ):
        with pytest.raises(Unavailable) as caught:
            await attempt
        assert caught.value.dependency == "s3"


@pytest.mark.servers
@pytest.mark.parametrize("size", [5 << 20, (5 << 20) + 1, (15 << 20) - 1])
async def test_each_part_is_checked_by_the_server_and_the_whole_is_read_back(emulator: str, size: int) -> None:
    buckets = {Bucket.RAW: f"parts-{uuid.uuid4().hex[:8]}"}
    provision_buckets(buckets, REGION, emulator)
    data = random.Random(size).randbytes(size)
    async with S3Blobs(buckets, REGION, emulator, multipart=Multipart(above=1, part=5 << 20, parallel=2)) as store:
        stored = await store.put(FRAME, data, "image/jpeg", sha256=hashlib.sha256(data).hexdigest())
        assert await store.head(FRAME) == stored
        assert await store.get(FRAME) == data
    parts = -(-size // (5 << 20))
    s3 = plain_client("s3", REGION, emulator)
    head = s3.head_object(Bucket=buckets[Bucket.RAW], Key=FRAME.key, ChecksumMode="ENABLED")
    assert (head["ContentType"], stored.etag.rpartition("-")[2]) == ("image/jpeg", str(parts))
    assert head["ChecksumSHA256"].endswith(f"-{parts}")
    assert s3.list_multipart_uploads(Bucket=buckets[Bucket.RAW]).get("Uploads", []) == []


@pytest.mark.servers
async def test_parts_that_are_refused_leave_nothing_behind(emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets = {Bucket.RAW: f"parts-{uuid.uuid4().hex[:8]}"}
    provision_buckets(buckets, REGION, emulator)
    async with S3Blobs(buckets, REGION, emulator, HASTE, Multipart(above=1, part=5 << 20)) as store:
        monkeypatch.setattr("panoveil.blobs._s3._base64", lambda digest: base64.b64encode(bytes(32)).decode())
        with pytest.raises((Unavailable, Refused)):
            await store.put(FRAME, bytes(6 << 20))
        assert await store.head(FRAME) is None
    assert plain_client("s3", REGION, emulator).list_multipart_uploads(Bucket=buckets[Bucket.RAW]).get("Uploads", []) == []


@pytest.mark.servers
async def test_an_absent_bucket_is_a_setting_to_mend(emulator: str) -> None:
    async with S3Blobs(dict.fromkeys(Bucket, f"absent-{uuid.uuid4().hex}"), REGION, emulator) as store:
        with pytest.raises(Misconfigured, match="provision it"):
            await store.put(FRAME, b"x")
        with pytest.raises(Misconfigured, match="provision it"):
            await store.get(FRAME)


@pytest.mark.servers
async def test_provisioning_again_keeps_what_is_there(emulator: str) -> None:
    buckets = {Bucket.RAW: f"twice-{uuid.uuid4().hex[:8]}"}
    provision_buckets(buckets, REGION, emulator)
    async with S3Blobs(buckets, REGION, emulator) as store:
        await store.put(FRAME, b"kept")
        provision_buckets(buckets, REGION, emulator)
        assert await store.get(FRAME) == b"kept"


async def test_an_object_that_is_larger_than_a_reader_takes_is_not_read(blobs: Blobs) -> None:
    await blobs.put(FRAME, b"six by")
    assert await blobs.get(FRAME, 6) == b"six by"
    with pytest.raises(Rejected, match="has 6 bytes") as caught:
        await blobs.get(FRAME, 5)
    assert caught.value.reason == Reason.TOO_LARGE
    assert await blobs.get(FRAME) == b"six by"
