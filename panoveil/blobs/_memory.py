"""The object store in memory: same behaviour as S3, for tests and for trying things."""

import hashlib
import time
from collections.abc import AsyncIterator, Callable

from panoveil.blobs._port import Access, Shelf, StoredBlob, Tier, no_such_tier, require_sha256, require_size
from panoveil.contracts.archive import StorageClass
from panoveil.contracts.errors import Rejected, Unavailable
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.reasons import Reason


class MemoryBlobs:
    """Keeps objects in `objects`; while `down` is true it answers as a store that cannot be reached.

    A restore takes `restore_seconds` of `clock`, which gives epoch seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time, restore_seconds: float = 2.0) -> None:
        """Begin empty."""
        self.objects: dict[BlobRef, bytes] = {}
        self.content_types: dict[BlobRef, str] = {}
        self.classes: dict[BlobRef, StorageClass] = {}
        self.down = False
        self._written: dict[BlobRef, float] = {}
        self._restored: dict[BlobRef, tuple[float, float]] = {}
        self._clock, self._restore_seconds = clock, restore_seconds

    async def put(
        self,
        ref: BlobRef,
        data: bytes,
        content_type: str = "application/octet-stream",
        *,
        sha256: str | None = None,
        storage_class: StorageClass = StorageClass.STANDARD,
    ) -> StoredBlob:
        """See `Blobs`."""
        require_sha256(ref, hashlib.sha256(data).hexdigest(), sha256)
        self._answer()
        self._forget(ref)
        self.objects[ref] = bytes(data)
        self.content_types[ref] = content_type
        self.classes[ref] = storage_class
        self._written[ref] = self._clock()
        return self._stored(ref)

    async def put_new(self, ref: BlobRef, data: bytes) -> bool:
        """See `Blobs`."""
        self._answer()
        if ref in self.objects:
            return False
        await self.put(ref, data)
        return True

    async def get(self, ref: BlobRef, most: int | None = None) -> bytes:
        """See `Blobs`."""
        self._answer()
        if ref not in self.objects:
            raise Rejected(Reason.OBJECT_GONE, f"{ref} is not there")
        if self._access(ref)[0] is not Access.READABLE:
            raise Rejected(Reason.OBJECT_GONE, f"{ref} is archived: restore it first")
        require_size(ref, len(self.objects[ref]), most)
        return self.objects[ref]

    async def part(self, ref: BlobRef, first: int, end: int) -> bytes:
        """See `Blobs`."""
        return (await self.get(ref))[first:end]

    async def head(self, ref: BlobRef) -> StoredBlob | None:
        """See `Blobs`."""
        self._answer()
        return self._stored(ref) if ref in self.objects else None

    async def holds(self, ref: BlobRef, data: bytes) -> bool:
        """See `Blobs`."""
        self._answer()
        return self.objects.get(ref) == data

    async def shelf(self, ref: BlobRef) -> Shelf | None:
        """See `Blobs`."""
        self._answer()
        return Shelf(self._class(ref), *self._access(ref)) if ref in self.objects else None

    async def restore(self, ref: BlobRef, tier: Tier, days: int) -> None:
        """See `Blobs`."""
        self._answer()
        if ref not in self.objects or not self._class(ref).cold:
            raise Rejected(Reason.OBJECT_GONE, f"{ref} is not in cold storage")
        if tier == "Expedited" and self._class(ref) is StorageClass.DEEP_ARCHIVE:
            raise no_such_tier(ref, tier)
        if self._access(ref)[0] is not Access.RESTORING:
            ready = self._clock() + self._restore_seconds
            self._restored[ref] = (ready, ready + days * 86_400)

    async def delete(self, ref: BlobRef) -> None:
        """See `Blobs`."""
        self._answer()
        self._forget(ref)

    async def purge(self, bucket: Bucket, prefix: str) -> tuple[str, ...]:
        """See `Blobs`."""
        found = [stored.ref async for stored in self.list(bucket, prefix)]
        for ref in found:
            self._forget(ref)
        return tuple(ref.key for ref in found)

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
        return StoredBlob(ref, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), self._written.get(ref, 0.0))

    def _access(self, ref: BlobRef) -> tuple[Access, float | None]:
        """Return whether an object can be read, and until when where that ends."""
        if not self._class(ref).cold:
            return Access.READABLE, None
        ready, until = self._restored.get(ref, (0.0, 0.0))
        if self._clock() >= until:
            return Access.ARCHIVED, None
        return (Access.READABLE, until) if self._clock() >= ready else (Access.RESTORING, None)

    def _class(self, ref: BlobRef) -> StorageClass:
        return self.classes.get(ref, StorageClass.STANDARD)

    def _forget(self, ref: BlobRef) -> None:
        for facts in (self.objects, self.content_types, self.classes, self._written, self._restored):
            facts.pop(ref, None)
