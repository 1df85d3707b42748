"""Objects in S3 and in memory, behind one port.

`S3Blobs`, its `Multipart` and `provision_buckets` need the extra `aws` and are loaded on first use, so that a handler, which needs
only the port, never loads an AWS client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from panoveil.blobs._memory import MemoryBlobs
from panoveil.blobs._port import Access, Blobs, Shelf, StoredBlob, Tier

if TYPE_CHECKING:
    from panoveil.blobs._s3 import Multipart, S3Blobs, provision_buckets
else:

    def __getattr__(name: str) -> object:
        if name in {"Multipart", "S3Blobs", "provision_buckets"}:
            return getattr(import_module("panoveil.blobs._s3"), name)
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)


__all__ = ["Access", "Blobs", "MemoryBlobs", "Multipart", "S3Blobs", "Shelf", "StoredBlob", "Tier", "provision_buckets"]
