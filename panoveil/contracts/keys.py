"""Where things live: bucket roles, object keys and capture ids.

A capture id is `<survey>/<drive>/<capture>`; every key begins with it, so a prefix is a survey, a drive or a capture.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason

MANIFEST_NAME = "capture.json"
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_OBJECT_KEY = re.compile(rf"(?P<survey>{_PART})/(?P<drive>{_PART})/(?P<capture>{_PART})/(?P<name>{_PART})")
_CAPTURE_ID = re.compile(rf"(?P<survey>{_PART})/(?P<drive>{_PART})/(?P<capture>{_PART})")


class Bucket(StrEnum):
    """The role of a bucket; settings map a role to a real bucket's name."""

    RAW = "raw"
    STITCHED = "stitched"
    PUBLISHED = "published"
    QUARANTINE = "quarantine"
    REGISTRY = "registry"
    ARCHIVE = "archive"
    KEYS = "keys"


class Stream(StrEnum):
    """The role of a stream; settings map a role to a real stream's name."""

    UPLOADS = "uploads"
    CAPTURES = "captures"
    PANORAMAS = "panoramas"
    PUBLICATIONS = "publications"


@dataclass(frozen=True, slots=True)
class BlobRef:
    """One object: the bucket's role and the key in it."""

    bucket: Bucket
    key: str

    def __str__(self) -> str:
        """`raw:survey/drive/capture/front.jpg`."""
        return f"{self.bucket}:{self.key}"


@dataclass(frozen=True, slots=True)
class CaptureId:
    """`survey/drive/capture`, parsed."""

    survey: str
    drive: str
    capture: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise `Rejected(UNKNOWN_KEY)` where `text` is not `survey/drive/capture`."""
        return cls(**_match(_CAPTURE_ID, text))

    def __str__(self) -> str:
        """The form messages carry."""
        return f"{self.survey}/{self.drive}/{self.capture}"

    @property
    def drive_id(self) -> str:
        """`survey/drive`."""
        return f"{self.survey}/{self.drive}"


def parse_raw_key(key: str) -> tuple[CaptureId, str]:
    """Split a raw object's key into its capture and the file's name (`front.jpg`, `capture.json`)."""
    parts = _match(_OBJECT_KEY, key)
    name = parts.pop("name")
    return CaptureId(**parts), name


def raw_key(capture_id: CaptureId | str, name: str) -> BlobRef:
    """A frame or manifest in the sealed raw bucket."""
    return BlobRef(Bucket.RAW, f"{capture_id}/{name}")


def stitched_key(capture_id: str, recipe_id: str) -> BlobRef:
    """The unblurred panorama of one stitch recipe, in the sealed stitched bucket."""
    return BlobRef(Bucket.STITCHED, f"{capture_id}/{recipe_id}.jpg")


def carried_key(capture_id: str, recipe_id: str) -> BlobRef:
    """What was found in the frames, where it is too much for a message: in the sealed stitched bucket, beside its panorama."""
    return BlobRef(Bucket.STITCHED, f"{capture_id}/{recipe_id}.carried.json")


def published_key(capture_id: str, recipe_id: str) -> BlobRef:
    """The anonymised panorama of one recipe."""
    return BlobRef(Bucket.PUBLISHED, f"{capture_id}/{recipe_id}.jpg")


def thumbnail_key(capture_id: str, recipe_id: str) -> BlobRef:
    """A small picture of the anonymised panorama."""
    return BlobRef(Bucket.PUBLISHED, f"{capture_id}/{recipe_id}.thumbnail.jpg")


def tiles_key(capture_id: str, recipe_id: str) -> BlobRef:
    """The anonymised panorama at several sizes, in one file that is read in parts."""
    return BlobRef(Bucket.PUBLISHED, f"{capture_id}/{recipe_id}.pmtiles")


def published_keys(capture_id: str, recipe_id: str) -> tuple[BlobRef, ...]:
    """Return everything that a recipe publishes of a capture."""
    return tuple(key(capture_id, recipe_id) for key in (published_key, thumbnail_key, tiles_key, publication_key))


def catalogue_key(drive_id: str, path: str) -> BlobRef:
    """A file of a drive's catalogue. No survey's name begins with an underscore, so no drive's objects lie there."""
    return BlobRef(Bucket.PUBLISHED, f"_catalogue/{drive_id}/{path}")


def suffix(key: str) -> str:
    """Return what follows the recipe in the key of something published: `.jpg`, `.thumbnail.jpg`."""
    return "." + key.rsplit("/", 1)[-1].split(".", 1)[1]


def publication_key(capture_id: str, recipe_id: str) -> BlobRef:
    """The small JSON that says what was published and how."""
    return BlobRef(Bucket.PUBLISHED, f"{capture_id}/{recipe_id}.json")


def current_key(capture_id: str) -> BlobRef:
    """The small JSON that says which of a capture's publications is the current one, for readers without the ledger."""
    return BlobRef(Bucket.PUBLISHED, f"{capture_id}/current.json")


def archive_key(capture_id: CaptureId | str, index_id: str) -> BlobRef:
    """The one encrypted object that holds a capture's originals; `index_id` tells apart what was in the capture at the time."""
    return BlobRef(Bucket.ARCHIVE, f"{capture_id}/{index_id}.tar.aesgcm")


def drive_key(drive_id: str) -> BlobRef:
    """A drive's data key, wrapped: whoever deletes it has erased what is archived of the drive."""
    return BlobRef(Bucket.KEYS, f"{drive_id}/data-key")


def destroyed_key(drive_id: str) -> BlobRef:
    """The mark that a drive's data key was destroyed, so that none is made anew."""
    return BlobRef(Bucket.KEYS, f"{drive_id}/destroyed")


def rig_key(rig_id: str) -> BlobRef:
    """A rig's calibration."""
    return BlobRef(Bucket.REGISTRY, f"rigs/{rig_id}.json")


def quarantine_key(drive_id: str, name: str) -> BlobRef:
    """A record that could not be processed, with its reason; `name` is `<capture>/<entry>`."""
    return BlobRef(Bucket.QUARANTINE, f"entries/{drive_id}/{name}.json")


def _match(pattern: re.Pattern[str], text: str) -> dict[str, str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise Rejected(Reason.UNKNOWN_KEY, f"{text[:200]!r} does not follow {pattern.pattern!r}"[:400])
    return match.groupdict()
