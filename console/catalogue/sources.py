"""Where what is published is read from: the published bucket, or files on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from console.catalogue import current
from panoveil.blobs import Blobs
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef, Bucket, publication_key, suffix
from panoveil.contracts.messages import PanoramaPublished
from panoveil.contracts.reasons import Reason
from panoveil.ledger import Ledger


class Source(Protocol):
    """What is published of one drive."""

    @property
    def drive_id(self) -> str:
        """`survey/drive`."""
        ...

    async def publications(self) -> tuple[PanoramaPublished, ...]:
        """Return the current publications as the car went; `Misconfigured` where there are none."""
        ...

    async def size(self, key: str) -> int:
        """Return the bytes of an object of the drive; `Rejected(OBJECT_GONE)` where it is not there."""
        ...

    async def read(self, key: str, first: int, end: int) -> bytes:
        """Return the bytes from `first` up to, but not including, `end`."""
        ...


@dataclass(frozen=True)
class Published:
    """The published bucket, by the ledger."""

    drive_id: str
    ledger: Ledger
    blobs: Blobs

    async def publications(self) -> tuple[PanoramaPublished, ...]:
        """See `Source`."""
        return await current.of_drive(self.drive_id, self.ledger, self.blobs)

    async def size(self, key: str) -> int:
        """See `Source`. Of other drives nothing is shown."""
        found = await self.blobs.head(BlobRef(Bucket.PUBLISHED, key)) if key.startswith(f"{self.drive_id}/") else None
        if found is None:
            raise Rejected(Reason.OBJECT_GONE, f"{key} is not there")
        return found.size

    async def read(self, key: str, first: int, end: int) -> bytes:
        """See `Source`."""
        return await self.blobs.part(BlobRef(Bucket.PUBLISHED, key), first, end)


class Folder:
    """A folder with `<capture>.json` and its pictures, as the demo leaves it."""

    def __init__(self, folder: Path, drive_id: str | None) -> None:
        """Read it; `Misconfigured` where it holds nothing, or nothing of the drive."""
        found = current.in_folder(folder)
        drives = sorted({one.capture_id.rsplit("/", 1)[0] for one in found.values()})
        if drive_id is None and len(drives) > 1:
            raise Misconfigured(f"{folder} holds several drives, name one: {', '.join(drives)}.")
        if drive_id is not None and drive_id not in drives:
            raise Misconfigured(f"{folder} holds nothing of drive {drive_id!r}, but of {', '.join(drives)}.")
        self.drive_id = drive_id or drives[0]
        mine = {path: one for path, one in found.items() if one.capture_id.startswith(f"{self.drive_id}/")}
        self.found = current.in_order(list(mine.values()))
        self._files = {key: path.with_suffix(suffix(key)) for path, one in mine.items() for key in keys_of(one)}

    async def publications(self) -> tuple[PanoramaPublished, ...]:
        """See `Source`."""
        return self.found

    def path(self, key: str) -> Path:
        """Return the file of an object that a publication names, or of its JSON; whether it is there is not asked."""
        return self._files[key]

    async def size(self, key: str) -> int:
        """See `Source`."""
        try:
            return self.path(key).stat().st_size
        except (KeyError, OSError) as error:
            raise Rejected(Reason.OBJECT_GONE, f"{key} is not there") from error

    async def read(self, key: str, first: int, end: int) -> bytes:
        """See `Source`."""
        with self.path(key).open("rb") as file:
            file.seek(first)
            return file.read(end - first)


def keys_of(one: PanoramaPublished) -> tuple[str, ...]:
    """Return the keys of a publication: its pictures' and its JSON's."""
    beside = publication_key(one.capture_id, one.recipe_id).key
    return (one.key, beside, *(made.key for made in one.derivatives))
