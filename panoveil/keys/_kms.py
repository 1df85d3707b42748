"""Data keys that KMS makes and wraps; the wrapped ones lie in a bucket that keeps no versions and that nothing copies.

The bucket `keys` is the only place a wrapped key is ever written to. The ledger would be another, but it can be restored to any second of
the last 35 days: a key deleted there could come back. What is deleted from the bucket cannot.
"""

import hashlib
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from panoveil.aws import PATIENT, Expecting, Patience, Refused, open_client, plain_client, translated
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import destroyed_key, drive_key
from panoveil.contracts.reasons import Reason
from panoveil.keys._port import DataKey, key_gone

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient as PlainClient
    from types_aiobotocore_kms import KMSClient

_ABSENT = frozenset({"NotFoundException"})
_DISABLED = frozenset({"DisabledException", "KMSInvalidStateException"})
_FOREIGN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class KmsDriveKeys:
    """`wrapping_key` is the id, ARN or alias of a symmetric KMS key. Open it as an async context manager; one serves a whole process.

    A drive's id is the encryption context: a wrapped key that was moved to another drive does not unwrap.
    """

    def __init__(
        self, blobs: Blobs, wrapping_key: str, region: str, endpoint_url: str | None = None, patience: Patience = PATIENT
    ) -> None:
        """Connect only when entered."""
        self._blobs, self._wrapping_key = blobs, wrapping_key
        self._opening = open_client("kms", region, endpoint_url, patience)
        self._stack = AsyncExitStack()
        self._client: KMSClient

    async def __aenter__(self) -> Self:
        """Open the client."""
        self._client = await self._stack.enter_async_context(self._opening)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the client."""
        await self._stack.aclose()

    async def obtain(self, drive_id: str) -> DataKey:
        """See `DriveKeys`."""
        wrapped = await self._wrapped(drive_id)
        if wrapped is None:
            if await self._is_destroyed(drive_id):
                raise key_gone(drive_id)
            made = await self._asked("generate_data_key", KeySpec="AES_256", EncryptionContext=_context(drive_id))
            await self._blobs.put_new(drive_key(drive_id), made["CiphertextBlob"])  # or another was quicker: then theirs counts
        return await self.existing(drive_id)

    async def existing(self, drive_id: str) -> DataKey:
        """See `DriveKeys`. `Rejected(CORRUPT_ARCHIVE)` where what lies there is no key of this drive."""
        wrapped = await self._wrapped(drive_id)
        if wrapped is None:
            raise key_gone(drive_id)
        try:
            plain = await self._asked("decrypt", CiphertextBlob=wrapped, EncryptionContext=_context(drive_id))
        except Refused as refused:
            if refused.code in _FOREIGN:
                raise Rejected(Reason.CORRUPT_ARCHIVE, f"{drive_key(drive_id)} is no key of drive {drive_id}") from refused
            raise
        return DataKey(bytes(plain["Plaintext"]), hashlib.sha256(wrapped).hexdigest())

    async def fingerprint(self, drive_id: str) -> str | None:
        """See `DriveKeys`."""
        wrapped = await self._wrapped(drive_id)
        return None if wrapped is None else hashlib.sha256(wrapped).hexdigest()

    async def _wrapped(self, drive_id: str) -> bytes | None:
        """Return the wrapped key; None where there is none, or one that was put there while it was destroyed: the mark is looked for last."""
        try:
            wrapped = await self._blobs.get(drive_key(drive_id))
        except Rejected:
            return None
        return None if await self._is_destroyed(drive_id) else wrapped

    async def _is_destroyed(self, drive_id: str) -> bool:
        return await self._blobs.head(destroyed_key(drive_id)) is not None

    async def destroy(self, drive_id: str) -> bool:
        """See `DriveKeys`. The mark first: whoever makes a key looks for it afterwards, so no key outlives its destruction in use."""
        ref = drive_key(drive_id)
        await self._blobs.put_new(destroyed_key(drive_id), b"")
        return ref.key in await self._blobs.purge(ref.bucket, ref.key)

    async def _asked(self, what: str, **facts: Any) -> dict[str, Any]:
        try:
            with translated("kms", self._wrapping_key):
                answer = await getattr(self._client, what)(KeyId=self._wrapping_key, **facts)
        except Refused as refused:
            if refused.code in _ABSENT | _DISABLED:
                told = f"kms, {self._wrapping_key}: the wrapping key is not there or disabled: provision it, or check PANOVEIL_WRAPPING_KEY"
                raise Misconfigured(told) from refused
            raise
        return dict(answer)


def _context(drive_id: str) -> dict[str, str]:
    return {"panoveil:drive": drive_id}


def provision_wrapping_key(alias: str, region: str, endpoint_url: str | None = None) -> None:
    """Make a KMS key of this alias (`alias/…`) where there is none, that rotates. Repeating it changes nothing."""
    client: PlainClient = plain_client("kms", region, endpoint_url)
    with Expecting(_ABSENT), translated("kms", alias):
        client.describe_key(KeyId=alias)
        return
    with translated("kms", alias):
        made = client.create_key(Description="Panoveil: wraps the data key of each drive")["KeyMetadata"]["KeyId"]
        client.enable_key_rotation(KeyId=made)
        client.create_alias(AliasName=alias, TargetKeyId=made)
