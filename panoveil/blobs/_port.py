"""What the services ask of an object store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """An object as the store knows it; `size` in bytes, `etag` without quotes."""

    ref: BlobRef
    size: int
    etag: str


class Blobs(Protocol):
    """An object store.

    Every method raises `Unavailable("s3")` while the store does not answer.
    """

    async def put(
        self, ref: BlobRef, data: bytes, content_type: str = "application/octet-stream", *, sha256: str | None = None
    ) -> StoredBlob:
        """Write the whole object; it is there, whole, when this returns. Integrity is checked by the store.

        `sha256`, in hex, is what the caller was promised: `Rejected(HASH_MISMATCH)`, and nothing is written, where `data` is other.
        """
        ...

    async def get(self, ref: BlobRef) -> bytes:
        """Read the whole object, or raise `Rejected(OBJECT_GONE)`."""
        ...

    async def part(self, ref: BlobRef, first: int, end: int) -> bytes:
        """Read the bytes from `first` up to, but not including, `end`, fewer where the object ends before; or raise `Rejected(OBJECT_GONE)`."""
        ...

    async def head(self, ref: BlobRef) -> StoredBlob | None:
        """Return what the store knows of the object, or None where there is none."""
        ...

    async def delete(self, ref: BlobRef) -> None:
        """Remove the object; removing what is not there is no error."""
        ...

    def list(self, bucket: Bucket, prefix: str = "") -> AsyncIterator[StoredBlob]:
        """Yield the objects whose key begins with `prefix`, ordered by key."""
        ...


def require_sha256(ref: BlobRef, found: str, promised: str | None) -> None:
    """Raise `Rejected(HASH_MISMATCH)` where the bytes are not what was promised; hashes in hex."""
    if promised is not None and found != promised.lower():
        raise Rejected(Reason.HASH_MISMATCH, f"{ref} has SHA-256 {found}, and {promised} was promised")
