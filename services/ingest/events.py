"""What an uploads record says: S3 event notifications and EventBridge "Object Created" events alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from panoveil.contracts.errors import Rejected
from panoveil.contracts.messages import decode_json
from panoveil.contracts.reasons import Reason

_KNOWN_MAJOR = 2
_LARGEST_OBJECT = 1 << 50
_ETAG = re.compile(r"[!-~]{0,128}")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """One object that S3 says was created; `size` in bytes, `key` decoded."""

    key: str
    size: int
    etag: str


def parse_uploads(data: bytes) -> list[Uploaded]:
    """Return the objects a record announces; other S3 events (removals, test events) announce none.

    Raise `Rejected` with NOT_JSON, or with UNKNOWN_MESSAGE where it is JSON of neither form.
    """
    document = decode_json(data)
    try:
        return list(_objects(document))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Rejected(
            Reason.UNKNOWN_MESSAGE, f"neither an S3 notification nor an EventBridge event: {type(error).__name__}"
        ) from error


def _objects(document: Any) -> Iterator[Uploaded]:
    if document.get("Event") == "s3:TestEvent":
        return
    if "detail-type" in document:
        if document["detail-type"] == "Object Created":
            yield _bridged(document["detail"]["object"])
        return
    for record in document["Records"]:
        _check_version(str(record.get("eventVersion", _KNOWN_MAJOR)))
        if record["eventName"].removeprefix("s3:").startswith("ObjectCreated:"):
            yield _notified(record["s3"]["object"])


def _check_version(version: str) -> None:
    """S3 raises the number before the point where old readers would misread what it says."""
    if int(version.split(".", maxsplit=1)[0]) > _KNOWN_MAJOR:
        detail = f"S3 notification version {version[:20]} is newer than this service knows ({_KNOWN_MAJOR})"
        again = f"`panoveil quarantine redrive --reason {Reason.UNKNOWN_MESSAGE}`"
        raise Rejected(Reason.UNKNOWN_MESSAGE, f"{detail}: deploy the newer service, then {again}")


def _notified(thing: Any) -> Uploaded:
    # Notifications URL-encode the key, with "+" for a blank; EventBridge does not.
    return Uploaded(unquote_plus(thing["key"]), _size(thing["size"]), _etag(thing.get("eTag", "")))


def _bridged(thing: Any) -> Uploaded:
    return Uploaded(str(thing["key"]), _size(thing["size"]), _etag(thing.get("etag", "")))


def _size(value: Any) -> int:
    size = int(value)
    if not 0 <= size <= _LARGEST_OBJECT:
        raise ValueError(value)
    return size


def _etag(value: Any) -> str:
    etag = str(value)
    if _ETAG.fullmatch(etag) is None:
        raise ValueError(value)
    return etag
