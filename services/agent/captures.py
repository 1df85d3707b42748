"""A capture as it lies on the car's disk."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import MANIFEST_NAME, CaptureId
from panoveil.contracts.messages import CaptureManifest, parse_manifest
from panoveil.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file as it was found: `size` in bytes, `modified` in nanoseconds of the epoch.

    `content` is what is to be uploaded in its place; `size` and `modified` then are the content's: see `instead`.
    `sha256`, in hex, is what the bytes must have to be the file that was meant: half of a file has another.
    """

    path: Path
    size: int
    modified: int
    content: bytes | None = field(default=None, repr=False)
    sha256: str | None = None

    def instead(self, content: bytes) -> "LocalFile":
        """Return the file with another content; `modified` is drawn from it, so that the journal knows the same content again."""
        digest = hashlib.sha256(content).digest()
        return LocalFile(self.path, len(content), int.from_bytes(digest[:8]) >> 1, content)

    def read(self) -> bytes:
        """Return what is to be uploaded, or raise `OSError`."""
        return self.path.read_bytes() if self.content is None else self.content

    @property
    def name(self) -> str:
        """Its last part, which is the last part of its key as well."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Capture:
    """A finished capture: the frames that are there, the manifest, and the names of the frames that are not.

    `settled` tells that nobody has written to it since the look before: what is wrong with it then stays wrong.
    """

    capture_id: CaptureId
    captured_at: datetime
    manifest: LocalFile
    frames: tuple[LocalFile, ...]
    missing: tuple[str, ...]
    settled: bool = False

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return self.manifest.size + sum(frame.size for frame in self.frames)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal knows of an object: the file it was (`size`, `modified`), what S3 called it, whether it is announced."""

    key: str
    size: int
    modified: int
    etag: str
    at: datetime
    announced: bool = False

    def later(self, now: datetime) -> datetime:
        """Return `now`, or the first moment after this entry's where the clock was set back: consumers believe the later of two."""
        return max(now, self.at + timedelta(microseconds=1))

    def is_of(self, file: LocalFile) -> bool:
        """Whether the file is still the one that was uploaded."""
        return (self.size, self.modified) == (file.size, file.modified)


def read_manifest(data: bytes) -> CaptureManifest:
    """Parse `capture.json` and check that each frame has a file of its own, or raise `Rejected(BAD_MANIFEST)`."""
    manifest = parse_manifest(data)
    names = [frame.file for frame in manifest.frames]
    if MANIFEST_NAME in names or len(set(names)) != len(names):
        raise Rejected(Reason.BAD_MANIFEST, f"two things share a file: {sorted([*names, MANIFEST_NAME])}")
    return manifest


def capture_id_of(manifest: CaptureManifest) -> CaptureId:
    """Return where the capture belongs."""
    return CaptureId(manifest.survey, manifest.drive, manifest.capture)
