"""What every key store does, in memory and over KMS and S3."""

import asyncio
import uuid

import pytest

from panoveil.aws import plain_client
from panoveil.blobs import MemoryBlobs
from panoveil.contracts.errors import Misconfigured, Rejected, Unavailable
from panoveil.contracts.keys import drive_key
from panoveil.contracts.reasons import Reason
from panoveil.keys import DriveKeys, KmsDriveKeys, MemoryDriveKeys, provision_wrapping_key
from tests.stores.conftest import HASTE, REGION

DRIVE, OTHER = "dk/d1", "dk/d2"


async def test_a_drive_has_one_key_and_each_drive_another(keys: DriveKeys) -> None:
    made = await keys.obtain(DRIVE)
    assert len(made.secret) == 32
    assert await keys.obtain(DRIVE) == made == await keys.existing(DRIVE)
    assert await keys.fingerprint(DRIVE) == made.fingerprint
    other = await keys.obtain(OTHER)
    assert other.secret != made.secret
    assert other.fingerprint != made.fingerprint


async def test_all_who_ask_at_once_get_the_same(keys: DriveKeys) -> None:
    assert len(set(await asyncio.gather(*(keys.obtain(DRIVE) for _ in range(8))))) == 1


async def test_a_drive_without_a_key_is_told(keys: DriveKeys) -> None:
    with pytest.raises(Rejected, match="no key of drive dk/d1") as caught:
        await keys.existing(DRIVE)
    assert caught.value.reason == Reason.KEY_GONE


async def test_a_key_that_was_destroyed_is_gone_for_good(keys: DriveKeys) -> None:
    await keys.obtain(DRIVE)
    other = await keys.obtain(OTHER)
    assert [await keys.destroy(DRIVE), await keys.destroy(DRIVE)] == [True, False]
    for ask in (keys.existing, keys.obtain):
        with pytest.raises(Rejected) as caught:
            await ask(DRIVE)
        assert caught.value.reason == Reason.KEY_GONE
    assert await keys.fingerprint(DRIVE) is None
    assert await keys.existing(OTHER) == other


async def test_a_key_does_not_show_itself(keys: DriveKeys) -> None:
    made = await keys.obtain(DRIVE)
    assert "secret" not in repr(made)
    assert made.secret.hex() not in made.fingerprint


async def test_memory_that_is_down_answers_unavailable() -> None:
    store = MemoryDriveKeys()
    store.down = True
    for ask in (store.obtain, store.existing, store.fingerprint, store.destroy):
        with pytest.raises(Unavailable):
            await ask(DRIVE)


async def test_kms_that_is_down_answers_unavailable(nowhere: str) -> None:
    async with KmsDriveKeys(MemoryBlobs(), "alias/x", REGION, nowhere, HASTE) as store:
        with pytest.raises(Unavailable, match="kms"):
            await store.obtain(DRIVE)


@pytest.fixture(name="alias")
def an_alias(emulator: str) -> str:
    alias = f"alias/t{uuid.uuid4().hex[:12]}"
    provision_wrapping_key(alias, REGION, emulator)
    return alias


@pytest.mark.servers
async def test_a_key_lies_wrapped_and_opens_for_its_own_drive_only(emulator: str, alias: str) -> None:
    blobs = MemoryBlobs()
    async with KmsDriveKeys(blobs, alias, REGION, emulator) as store:
        made = await store.obtain(DRIVE)
        wrapped = await blobs.get(drive_key(DRIVE))
        assert made.secret not in wrapped
        await blobs.put(drive_key(OTHER), wrapped)
        with pytest.raises(Rejected, match="no key of drive dk/d2") as caught:
            await store.existing(OTHER)
        assert caught.value.reason == Reason.CORRUPT_ARCHIVE


@pytest.mark.servers
async def test_a_key_made_while_the_drive_is_erased_seals_nothing(emulator: str, alias: str) -> None:
    """Whoever found no key before it was destroyed, and makes one after, must not get it."""

    class Erased(MemoryBlobs):
        async def put_new(self, ref: object, data: bytes) -> bool:
            if ref == drive_key(DRIVE):
                await other.destroy(DRIVE)
            return await super().put_new(ref, data)  # type: ignore[arg-type]

    blobs = Erased()
    async with KmsDriveKeys(blobs, alias, REGION, emulator) as store, KmsDriveKeys(blobs, alias, REGION, emulator) as other:
        with pytest.raises(Rejected) as caught:
            await store.obtain(DRIVE)
    assert caught.value.reason == Reason.KEY_GONE


@pytest.mark.servers
async def test_a_wrapping_key_that_is_absent_or_disabled_is_a_setting_to_mend(emulator: str, alias: str) -> None:
    async with KmsDriveKeys(MemoryBlobs(), "alias/absent", REGION, emulator) as store:
        with pytest.raises(Misconfigured, match="PANOVEIL_WRAPPING_KEY"):
            await store.obtain(DRIVE)
    kms = plain_client("kms", REGION, emulator)
    kms.disable_key(KeyId=kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"])
    async with KmsDriveKeys(MemoryBlobs(), alias, REGION, emulator) as store:
        with pytest.raises(Misconfigured, match="disabled"):
            await store.obtain(DRIVE)


@pytest.mark.servers
def test_provisioning_again_keeps_the_key(emulator: str, alias: str) -> None:
    kms = plain_client("kms", REGION, emulator)
    before = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    provision_wrapping_key(alias, REGION, emulator)
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == before
    assert kms.get_key_rotation_status(KeyId=before)["KeyRotationEnabled"] is True
