"""The object store in S3, over one client that stays open."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from panoveil.aws import PATIENT, Expecting, Patience, Refused, deadline, open_client, plain_client, translated
from panoveil.blobs._port import StoredBlob
from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.reasons import Reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client as PlainClient
    from mypy_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef
    from types_aiobotocore_s3 import S3Client

_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_OURS_ALREADY = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_NOT_SERVED = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_SEALED: "PublicAccessBlockConfigurationTypeDef" = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


class S3Blobs:
    """`buckets` maps a role to the real bucket's name. Open it as an async context manager; one serves a whole process.

    `Misconfigured` says which bucket is missing or denied. An archived object counts as gone until it is restored.
    """

    def __init__(
        self, buckets: Mapping[Bucket, str], region: str, endpoint_url: str | None = None, patience: Patience = PATIENT
    ) -> None:
        """Connect only when entered."""
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

    async def put(self, ref: BlobRef, data: bytes, content_type: str = "application/octet-stream") -> StoredBlob:
        """See `Blobs`. S3 refuses the object where its SHA-256 is not the one computed here."""
        checksum = await asyncio.to_thread(_sha256_base64, data)
        with translated("s3", str(ref)):
            async with deadline(self._patience, len(data)):
                answer = await self._client.put_object(
                    Bucket=self._buckets[ref.bucket], Key=ref.key, Body=data, ContentType=content_type, ChecksumSHA256=checksum
                )
        return StoredBlob(ref, len(data), answer["ETag"].strip('"'))

    async def get(self, ref: BlobRef) -> bytes:
        """See `Blobs`."""
        try:
            with translated("s3", str(ref)):
                answer = await self._client.get_object(Bucket=self._buckets[ref.bucket], Key=ref.key)
                async with answer["Body"] as body:
                    return await body.read()
        except Refused as refused:
            if refused.code in _ABSENT:
                raise Rejected(Reason.OBJECT_GONE, f"{ref} is not there") from refused
            if refused.code == "InvalidObjectState":
                raise Rejected(Reason.OBJECT_GONE, f"{ref} is archived: restore it first") from refused
            raise

    async def head(self, ref: BlobRef) -> StoredBlob | None:
        """See `Blobs`."""
        try:
            with translated("s3", str(ref)):
                answer = await self._client.head_object(Bucket=self._buckets[ref.bucket], Key=ref.key)
        except Refused as refused:
            if refused.code in _ABSENT:
                return None
            raise
        return StoredBlob(ref, answer["ContentLength"], answer["ETag"].strip('"'))

    async def delete(self, ref: BlobRef) -> None:
        """See `Blobs`."""
        with translated("s3", str(ref)):
            await self._client.delete_object(Bucket=self._buckets[ref.bucket], Key=ref.key)

    async def list(self, bucket: Bucket, prefix: str = "") -> AsyncIterator[StoredBlob]:
        """See `Blobs`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._buckets[bucket], Prefix=prefix).__aiter__()
        while True:
            with translated("s3", f"{bucket}:{prefix}"):
                page = await anext(pages, None)
            if page is None:
                return
            for item in page.get("Contents", []):
                yield StoredBlob(BlobRef(bucket, item["Key"]), item["Size"], item["ETag"].strip('"'))


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


def _sha256_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
