"""The object store in memory: same behaviour as S3, for tests and for trying things."""

import hashlib
from collections.abc import AsyncIterator

from panoveil.blobs._port import StoredBlob, require_sha256
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.reasons import Reason


class MemoryBlobs:
    """Keeps objects in `objects`; while `down` is true it answers as a store that cannot be reached."""

    def __init__(self) -> None:
        """Begin empty."""
        self.objects: dict[BlobRef, bytes] = {}
        self.content_types: dict[BlobRef, str] = {}
        self.down = False

    async def put(
        self, ref: BlobRef, data: bytes, content_type: str = "application/octet-stream", *, sha256: str | None = None
    ) -> StoredBlob:
        """See `Blobs`."""
        require_sha256(ref, hashlib.sha256(data).hexdigest(), sha256)
        self._answer()
        self.objects[ref] = bytes(data)
        self.content_types[ref] = content_type
        return self._stored(ref)

    async def get(self, ref: BlobRef) -> bytes:
        """See `Blobs`."""
        self._answer()
        if ref not in self.objects:
            raise Rejected(Reason.OBJECT_GONE, f"{ref} is not there")
        return self.objects[ref]

    async def part(self, ref: BlobRef, first: int, end: int) -> bytes:
        """See `Blobs`."""
        return (await self.get(ref))[first:end]

    async def head(self, ref: BlobRef) -> StoredBlob | None:
        """See `Blobs`."""
        self._answer()
        return self._stored(ref) if ref in self.objects else None

    async def delete(self, ref: BlobRef) -> None:
        """See `Blobs`."""
        self._answer()
        self.objects.pop(ref, None)
        self.content_types.pop(ref, None)

    async def list(self, bucket: Bucket, prefix: str = "") -> AsyncIterator[StoredBlob]:
        """See `Blobs`."""
        self._answer()
        found = [ref for ref in self.objects if ref.bucket == bucket and ref.key.startswith(prefix)]
        for ref in sorted(found, key=lambda ref: ref.key.encode()):
            yield self._stored(ref)

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("s3", "switched off")

    def _stored(self, ref: BlobRef) -> StoredBlob:
        data = self.objects[ref]
        return StoredBlob(ref, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())
