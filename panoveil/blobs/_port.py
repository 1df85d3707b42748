"""What the services ask of an object store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from panoveil.contracts.archive import StorageClass
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """An object as the store knows it; `size` in bytes, `etag` without quotes.

    `written` is when it was written, epoch seconds, where it was listed; else 0.
    """

    ref: BlobRef
    size: int
    etag: str
    written: float = field(default=0.0, compare=False)


class Access(StrEnum):
    """Whether an object can be read now."""

    READABLE = "readable"
    ARCHIVED = "archived"
    RESTORING = "restoring"


Tier = Literal["Standard", "Bulk", "Expedited"]
"""How quickly S3 restores; Deep Archive knows no Expedited."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """How an object is kept. A restored one is readable `until` then, epoch seconds; None where there is no such end."""

    storage_class: StorageClass
    access: Access
    until: float | None = None


class Blobs(Protocol):
    """An object store.

    Every method raises `Unavailable("s3")` while the store does not answer.
    """

    async def put(
        self,
        ref: BlobRef,
        data: bytes,
        content_type: str = "application/octet-stream",
        *,
        sha256: str | None = None,
        storage_class: StorageClass = StorageClass.STANDARD,
    ) -> StoredBlob:
        """Write the whole object; it is there, whole, when this returns. Integrity is checked by the store.

        `sha256`, in hex, is what the caller was promised: `Rejected(HASH_MISMATCH)`, and nothing is written, where `data` is other.
        """
        ...

    async def put_new(self, ref: BlobRef, data: bytes) -> bool:
        """Write the whole object where there is none; False, and nothing is written, where there is one. Of several at once one writes."""
        ...

    async def get(self, ref: BlobRef, most: int | None = None) -> bytes:
        """Read the whole object, or raise `Rejected(OBJECT_GONE)`; also of an object in cold storage, until it is restored.

        `Rejected(TOO_LARGE)`, and nothing is read, where it has more than `most` bytes.
        """
        ...

    async def part(self, ref: BlobRef, first: int, end: int) -> bytes:
        """Read the bytes from `first` up to, but not including, `end`, fewer where the object ends before; or raise `Rejected(OBJECT_GONE)`."""
        ...

    async def head(self, ref: BlobRef) -> StoredBlob | None:
        """Return what the store knows of the object, or None where there is none."""
        ...

    async def holds(self, ref: BlobRef, data: bytes) -> bool:
        """Say whether the store's own checksum of the object is that of `data`; reads nothing back, so cold storage answers too.

        False where there is no object.
        """
        ...

    async def shelf(self, ref: BlobRef) -> Shelf | None:
        """Return how the object is kept and whether it can be read now, or None where there is none."""
        ...

    async def restore(self, ref: BlobRef, tier: Tier, days: int) -> None:
        """Ask for a readable copy of an object in cold storage for so many days; asking again while that is under way changes nothing.

        `Rejected(OBJECT_GONE)` where there is no object in cold storage, `Misconfigured` where its class knows no such tier.
        """
        ...

    async def delete(self, ref: BlobRef) -> None:
        """Remove the object; removing what is not there is no error."""
        ...

    async def purge(self, bucket: Bucket, prefix: str) -> tuple[str, ...]:
        """Remove every version of every object whose key begins with `prefix`; return those keys, ordered. May be repeated."""
        ...

    def list(self, bucket: Bucket, prefix: str = "") -> AsyncIterator[StoredBlob]:
        """Yield the objects whose key begins with `prefix`, ordered by key."""
        ...


def require_sha256(ref: BlobRef, found: str, promised: str | None) -> None:
    """Raise `Rejected(HASH_MISMATCH)` where the bytes are not what was promised; hashes in hex."""
    if promised is not None and found != promised.lower():
        raise Rejected(Reason.HASH_MISMATCH, f"{ref} has SHA-256 {found}, and {promised} was promised")


def require_size(ref: BlobRef, size: int, most: int | None) -> None:
    """Raise `Rejected(TOO_LARGE)` where an object has more bytes than a reader takes."""
    if most is not None and size > most:
        raise Rejected(Reason.TOO_LARGE, f"{ref} has {size} bytes, and none of its kind has more than {most}")


def no_such_tier(ref: BlobRef, tier: Tier) -> Misconfigured:
    """Return what to raise where the object's class is not restored that quickly."""
    return Misconfigured(f"{ref} cannot be restored by tier {tier}: its storage class knows no such tier.")
