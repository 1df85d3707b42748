"""A capture's originals as one POSIX tar, whose first file says what the others are.

The same files make the same bytes, whenever and wherever they are packed. Any `tar` unpacks it.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from panoveil.contracts.archive import ArchivedFile
from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason

INDEX_NAME = "index.json"
FORMAT = "panoveil-archive/1"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A packed capture: what is in it, the index that says so, and the tar with all of it."""

    capture_id: str
    files: tuple[ArchivedFile, ...]
    tar: bytes

    @property
    def index_sha256(self) -> str:
        """SHA-256, in hex, of the index."""
        return hashlib.sha256(_index(self.capture_id, self.files)).hexdigest()

    @property
    def index_id(self) -> str:
        """The index's SHA-256, cut to 16 digits: what a capture consists of, as a recipe."""
        return self.index_sha256[:16]


def pack(capture_id: str, contents: Mapping[str, bytes]) -> Bundle:
    """Pack files, given by name."""
    files = tuple(
        ArchivedFile(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in sorted(contents.items())
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in ((INDEX_NAME, _index(capture_id, files)), *sorted(contents.items())):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            tar.addfile(info, io.BytesIO(data))
    return Bundle(capture_id, files, out.getvalue())


def unpack(tar: bytes, capture_id: str) -> dict[str, bytes]:
    """Return the files by name, each with the SHA-256 that the index promises, or raise `Rejected(CORRUPT_ARCHIVE)`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            contents = {member.name: _read(opened, member) for member in opened.getmembers()}
        index = json.loads(contents.pop(INDEX_NAME))
        files = tuple(ArchivedFile.model_validate(one) for one in index["files"])
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise _corrupt(capture_id, "it is no archive of a capture") from error
    if index.get("format") != FORMAT or index.get("capture_id") != capture_id:
        raise _corrupt(capture_id, "it is another capture's, or of another format")
    found = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    if found != {file.name: file.sha256 for file in files}:
        raise _corrupt(capture_id, "its files are not those that its index names")
    return contents


def _read(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = opened.extractfile(member)
    return b"" if file is None else file.read()


def _index(capture_id: str, files: tuple[ArchivedFile, ...]) -> bytes:
    document = {"format": FORMAT, "capture_id": capture_id, "files": [file.model_dump(mode="json") for file in files]}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _corrupt(capture_id: str, why: str) -> Rejected:
    return Rejected(Reason.CORRUPT_ARCHIVE, f"the archive object of {capture_id} is damaged: {why}")
