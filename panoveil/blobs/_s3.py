"""The object store in S3, over one client that stays open."""

import asyncio
import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from panoveil.aws import PATIENT, Expecting, Patience, Refused, deadline, open_client, plain_client, translated
from panoveil.blobs._port import Access, Shelf, StoredBlob, Tier, no_such_tier, require_sha256, require_size
from panoveil.contracts.archive import StorageClass
from panoveil.contracts.errors import Misconfigured, PanoveilError, Rejected, Unavailable
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.reasons import Reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client as PlainClient
    from mypy_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_BEYOND = frozenset({"416", "InvalidRange"})
_TAKEN = frozenset({"PreconditionFailed", "412"})
_UNDER_WAY = frozenset({"RestoreAlreadyInProgress"})
_NOT_COLD = frozenset({"ObjectAlreadyInActiveTierError", "InvalidObjectState"})
_NO_SUCH_TIER = frozenset({"GlacierExpeditedRetrievalNotAvailable", "InvalidArgument", "MalformedXML"})
_UNTIL = re.compile(r'expiry-date="([^"]+)"')
_OURS_ALREADY = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_NOT_SERVED = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_SEALED: "PublicAccessBlockConfigurationTypeDef" = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@dataclass(frozen=True, slots=True)
class Multipart:
    """Objects of more than `above` bytes go in parts of `part` bytes (S3 wants 5 MiB at least), `parallel` at once."""

    above: int = 64 << 20
    part: int = 8 << 20
    parallel: int = 4


IN_PARTS = Multipart()


class S3Blobs:
    """`buckets` maps a role to the real bucket's name. Open it as an async context manager; one serves a whole process.

    `Misconfigured` says which bucket is missing or denied. An archived object counts as gone until it is restored.
    """

    def __init__(
        self,
        buckets: Mapping[Bucket, str],
        region: str,
        endpoint_url: str | None = None,
        patience: Patience = PATIENT,
        multipart: Multipart = IN_PARTS,
    ) -> None:
        """Connect only when entered."""
        self._multipart = multipart
        self._buckets = dict(buckets)
        self._patience = patience
        self._opening = open_client("s3", region, endpoint_url, patience)
        self._stack = AsyncExitStack()
        self._client: S3Client

    async def __aenter__(self) -> Self:
        """Open the client."""
        self._client = await self._stack.enter_async_context(self._opening)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the client."""
        await self._stack.aclose()

    async def put(
        self,
        ref: BlobRef,
        data: bytes,
        content_type: str = "application/octet-stream",
        *,
        sha256: str | None = None,
        storage_class: StorageClass = StorageClass.STANDARD,
    ) -> StoredBlob:
        """See `Blobs`. S3 refuses the object, or a part of it, where its SHA-256 is not the one computed here."""
        digest = await asyncio.to_thread(_sha256, data)
        require_sha256(ref, digest.hex(), sha256)
        how: Any = {"ContentType": content_type}
        if storage_class is not StorageClass.STANDARD:
            how["StorageClass"] = storage_class.value
        with translated("s3", str(ref)):
            if len(data) > self._multipart.above:
                etag = await self._put_in_parts(ref, data, how)
            else:
                etag = await self._put_whole(ref, data, {**how, "ChecksumSHA256": _base64(digest)})
        return StoredBlob(ref, len(data), etag.strip('"'))

    async def put_new(self, ref: BlobRef, data: bytes) -> bool:
        """See `Blobs`."""
        with Expecting(_TAKEN), translated("s3", str(ref)):
            await self._put_whole(ref, data, {"ChecksumSHA256": _base64(_sha256(data)), "IfNoneMatch": "*"})
            return True
        return False

    async def _put_whole(self, ref: BlobRef, data: bytes, how: Any) -> str:
        async with deadline(self._patience, len(data)):
            answer = await self._client.put_object(Bucket=self._buckets[ref.bucket], Key=ref.key, Body=data, **how)
        return answer["ETag"]

    async def _put_in_parts(self, ref: BlobRef, data: bytes, how: Any) -> str:
        """Send parts side by side and have S3 join them; what came of a failed attempt is thrown away."""
        where: Any = {"Bucket": self._buckets[ref.bucket], "Key": ref.key}
        begun = await self._client.create_multipart_upload(**where, **how, ChecksumAlgorithm="SHA256")
        where["UploadId"] = begun["UploadId"]
        try:
            parts = await self._parts(where, data)
            async with deadline(self._patience, 0):
                done = await self._client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        except BaseException:
            await self._abort(where)
            raise
        return done["ETag"]

    async def _parts(self, where: Any, data: bytes) -> list["CompletedPartTypeDef"]:
        gate = asyncio.Semaphore(self._multipart.parallel)

        async def send(number: int, part: memoryview) -> "CompletedPartTypeDef":
            async with gate, deadline(self._patience, len(part)):
                body = bytes(part)
                checksum = _base64(await asyncio.to_thread(_sha256, body))
                answer = await self._client.upload_part(**where, PartNumber=number, Body=body, ChecksumSHA256=checksum)
                return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

        size, whole = self._multipart.part, memoryview(data)
        slices = (whole[begin : begin + size] for begin in range(0, len(data), size))
        tasks = [asyncio.ensure_future(send(number, part)) for number, part in enumerate(slices, 1)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            # None may still be sending when the upload is aborted: S3 would keep what comes in after that.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _abort(self, where: Any) -> None:
        """Have the parts thrown away, if S3 can be reached; if not, the bucket's lifecycle rule does it."""
        with contextlib.suppress(PanoveilError, Refused), translated("s3", where["Key"]):
            async with deadline(self._patience, 0):
                await self._client.abort_multipart_upload(**where)

    async def get(self, ref: BlobRef, most: int | None = None) -> bytes:
        """See `Blobs`. S3 says how long its answer is before it comes; who reads no further closes the connection."""
        return await self._read(ref, most)

    async def part(self, ref: BlobRef, first: int, end: int) -> bytes:
        """See `Blobs`."""
        if first >= end:
            return b""
        try:
            return await self._read(ref, Range=f"bytes={first}-{end - 1}")
        except Refused as refused:
            if refused.code in _BEYOND:
                return b""
            raise

    async def _read(self, ref: BlobRef, most: int | None = None, **part: Any) -> bytes:
        try:
            with translated("s3", str(ref)):
                answer = await self._client.get_object(Bucket=self._buckets[ref.bucket], Key=ref.key, **part)
                async with answer["Body"] as body:
                    require_size(ref, answer["ContentLength"], most)
                    return await body.read()
        except Refused as refused:
            if refused.code in _ABSENT:
                raise Rejected(Reason.OBJECT_GONE, f"{ref} is not there") from refused
            if refused.code == "InvalidObjectState":
                raise Rejected(Reason.OBJECT_GONE, f"{ref} is archived: restore it first") from refused
            raise

    async def head(self, ref: BlobRef) -> StoredBlob | None:
        """See `Blobs`."""
        answer = await self._head(ref)
        return None if answer is None else StoredBlob(ref, answer["ContentLength"], answer["ETag"].strip('"'))

    async def holds(self, ref: BlobRef, data: bytes) -> bool:
        """See `Blobs`. Of an object that was sent in parts S3 knows the SHA-256 of its parts' SHA-256s."""
        answer = await self._head(ref, ChecksumMode="ENABLED")
        if answer is None or answer["ContentLength"] != len(data):
            return False
        return bool(answer.get("ChecksumSHA256") == await asyncio.to_thread(self._checksum, data))

    def _checksum(self, data: bytes) -> str:
        if len(data) <= self._multipart.above:
            return _base64(_sha256(data))
        size = self._multipart.part
        digests = [_sha256(data[begin : begin + size]) for begin in range(0, len(data), size)]
        return f"{_base64(_sha256(b''.join(digests)))}-{len(digests)}"

    async def shelf(self, ref: BlobRef) -> Shelf | None:
        """See `Blobs`."""
        answer = await self._head(ref)
        return None if answer is None else _shelf(StorageClass(answer.get("StorageClass", "STANDARD")), answer.get("Restore", ""))

    async def _head(self, ref: BlobRef, **more: Any) -> dict[str, Any] | None:
        try:
            with translated("s3", str(ref)):
                answer: Any = await self._client.head_object(Bucket=self._buckets[ref.bucket], Key=ref.key, **more)
        except Refused as refused:
            if refused.code in _ABSENT:
                return None
            raise
        return dict(answer)

    async def restore(self, ref: BlobRef, tier: Tier, days: int) -> None:
        """See `Blobs`."""
        wish: Any = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
        try:
            with Expecting(_UNDER_WAY), translated("s3", str(ref)):
                await self._client.restore_object(Bucket=self._buckets[ref.bucket], Key=ref.key, RestoreRequest=wish)
        except Refused as refused:
            if refused.code in _ABSENT | _NOT_COLD:
                raise Rejected(Reason.OBJECT_GONE, f"{ref} is not in cold storage") from refused
            if refused.code in _NO_SUCH_TIER:
                raise no_such_tier(ref, tier) from refused
            raise

    async def delete(self, ref: BlobRef) -> None:
        """See `Blobs`."""
        with translated("s3", str(ref)):
            await self._client.delete_object(Bucket=self._buckets[ref.bucket], Key=ref.key)

    async def purge(self, bucket: Bucket, prefix: str) -> tuple[str, ...]:
        """See `Blobs`. Where the bucket keeps versions, those of before and the marks of deletions go too."""
        pages = (
            self._client.get_paginator("list_object_versions").paginate(Bucket=self._buckets[bucket], Prefix=prefix).__aiter__()
        )
        gone: set[str] = set()
        while True:
            with translated("s3", f"{bucket}:{prefix}"):
                page = await anext(pages, None)
            if page is None:
                return tuple(sorted(gone))
            there = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            await self._remove(bucket, [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in there])
            gone |= {one["Key"] for one in there}

    async def _remove(self, bucket: Bucket, versions: list[Any]) -> None:
        if not versions:
            return
        with translated("s3", f"{bucket}:{versions[0]['Key']}"):
            answer = await self._client.delete_objects(Bucket=self._buckets[bucket], Delete={"Objects": versions, "Quiet": True})
        if errors := answer.get("Errors", []):
            told = f"{bucket}:{errors[0].get('Key')}: {errors[0].get('Code')}, and {len(errors) - 1} more were not deleted"
            raise Misconfigured(f"s3, {told}") if errors[0].get("Code") == "AccessDenied" else Unavailable("s3", told)

    async def list(self, bucket: Bucket, prefix: str = "") -> AsyncIterator[StoredBlob]:
        """See `Blobs`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._buckets[bucket], Prefix=prefix).__aiter__()
        while True:
            with translated("s3", f"{bucket}:{prefix}"):
                page = await anext(pages, None)
            if page is None:
                return
            for item in page.get("Contents", []):
                yield StoredBlob(
                    BlobRef(bucket, item["Key"]), item["Size"], item["ETag"].strip('"'), item["LastModified"].timestamp()
                )


def provision_buckets(buckets: Mapping[Bucket, str], region: str, endpoint_url: str | None = None) -> None:
    """Create the buckets that are not there and close all of them to the public. Repeating it changes nothing."""
    client: PlainClient = plain_client("s3", region, endpoint_url)
    for name in buckets.values():
        _create(client, name, region)
        with Expecting(_NOT_SERVED), translated("s3", name):
            client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=_SEALED)


def _create(client: "PlainClient", name: str, region: str) -> None:
    with Expecting(_OURS_ALREADY), translated("s3", name):
        if region == "us-east-1":
            client.create_bucket(Bucket=name)
        else:
            client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": cast("Any", region)})


def _shelf(storage_class: StorageClass, restore: str) -> Shelf:
    """Read S3's word on a restore: `ongoing-request="false", expiry-date="…"`, or nothing."""
    if not storage_class.cold:
        return Shelf(storage_class, Access.READABLE)
    if 'ongoing-request="true"' in restore:
        return Shelf(storage_class, Access.RESTORING)
    until = _UNTIL.search(restore)
    if until is None:
        return Shelf(storage_class, Access.ARCHIVED)
    return Shelf(storage_class, Access.READABLE, parsedate_to_datetime(until[1]).timestamp())


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
