"""Finding captures in a drive folder, also while it is being written."""

import dataclasses
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import MANIFEST_NAME, CaptureId
from services.agent.captures import Capture, LocalFile, capture_id_of, read_manifest
from services.agent.events import CaptureSkipped, SkipReason
from services.agent.poses import NO_POSES, Poses

_FRAME_SUFFIXES = (".jpg", ".jpeg")
_Names = list[str] | OSError


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a place; `settled` tells that its files are those of the look before; `new` that no capture was found there before."""

    place: Path
    what: Capture | CaptureSkipped
    settled: bool
    new: bool


class Folder:
    """A drive folder that is looked at again and again."""

    def __init__(self, path: Path) -> None:
        """`Misconfigured` where the folder is not there."""
        if not path.is_dir():
            raise Misconfigured(f"{path} is no folder: name the folder of a drive")
        self.path = path
        self._marks: dict[Path, bytes] = {}
        self._finished: set[Path] = set()
        self._found: set[Path] = set()
        self._homes: dict[CaptureId, Path] = {}

    def look(self, poses: Poses = NO_POSES) -> Iterator[Found]:
        """Yield every capture in the order of the paths, or why it is not one to upload; not what is finished and has not changed.

        Manifests without a pose are completed from `poses`. Neither links nor folders whose name begins with a dot are followed.
        """
        before, self._marks = self._marks, {}
        for place, names in _places(self.path):
            # Before the files are read: what is written meanwhile has other marks at the next look.
            self._marks[place] = _marks(place, names)
            settled = before.get(place) == self._marks[place]
            if settled and place in self._finished:
                continue
            self._finished.discard(place)
            if what := self._what(place, names, poses, settled=settled):
                yield Found(place, what, settled, place not in self._found)
                if isinstance(what, Capture):
                    self._found.add(place)
        self._finished &= self._marks.keys()
        self._found &= self._marks.keys()

    def finish(self, places: Iterable[Path]) -> None:
        """Pass over these until something changes in them."""
        self._finished.update(places)

    def reconsider(self) -> None:
        """Look at everything again, finished or not."""
        self._finished.clear()

    def _what(self, place: Path, names: _Names, poses: Poses, *, settled: bool) -> Capture | CaptureSkipped | None:
        found = _unreadable(place, names) if isinstance(names, OSError) else _capture(place, names, poses)
        if not isinstance(found, Capture):
            return found
        first = self._homes.get(found.capture_id, place)
        if first != place and (first / MANIFEST_NAME).exists():
            return CaptureSkipped(str(place), SkipReason.DUPLICATE_CAPTURE, f"{found.capture_id} lies in {first} as well")
        self._homes[found.capture_id] = place
        return dataclasses.replace(found, settled=settled)


def _places(folder: Path) -> Iterator[tuple[Path, _Names]]:
    """Yield every folder with the names of its files, or why it cannot be read."""
    errors: list[OSError] = []
    for place, below, names in os.walk(folder, onerror=errors.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield Path(place), names
    yield from ((Path(error.filename or folder), error) for error in errors)


def _marks(place: Path, names: _Names) -> bytes:
    """Return what changes when a file comes, goes or is written to; a digest, for there may be a million files."""
    if isinstance(names, OSError):
        return repr(names).encode()
    files = ((name, _regular(place / name)) for name in sorted(names) if not name.startswith("."))
    seen = [(name, file and (file.size, file.modified)) for name, file in files]
    return hashlib.sha256(repr(seen).encode()).digest()[:16]


def _unreadable(place: Path, error: OSError) -> CaptureSkipped:
    return CaptureSkipped(str(place), SkipReason.UNREADABLE, str(error))


def _capture(place: Path, names: list[str], poses: Poses) -> Capture | CaptureSkipped | None:
    if MANIFEST_NAME not in names:
        begun = any(name.lower().endswith(_FRAME_SUFFIXES) for name in names)
        return CaptureSkipped(str(place), SkipReason.UNFINISHED, f"no {MANIFEST_NAME} yet") if begun else None
    try:
        return _read(place, poses)
    except OSError as error:
        return _unreadable(place, error)
    except Rejected as error:
        reason = error.reason if isinstance(error.reason, SkipReason) else SkipReason.BAD_MANIFEST
        return CaptureSkipped(str(place), reason, error.detail)


def _read(place: Path, poses: Poses) -> Capture:
    path = place / MANIFEST_NAME
    local = _regular(path)
    if local is None:
        raise OSError(f"{path} is no regular file")
    data = path.read_bytes()
    completed = poses.complete(data)
    manifest = read_manifest(completed)
    # The manifest that was read is the one that is sent: by its hash, or by its content.
    is_own = completed == data
    local = dataclasses.replace(local, sha256=hashlib.sha256(data).hexdigest()) if is_own else local.instead(completed)
    frames = {frame.file: _regular(place / frame.file, frame.sha256) for frame in manifest.frames}
    there = tuple(frame for frame in frames.values() if frame)
    missing = tuple(name for name, frame in frames.items() if frame is None)
    return Capture(capture_id_of(manifest), manifest.captured_at, local, there, missing)


def _regular(path: Path, sha256: str | None = None) -> LocalFile | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return LocalFile(path, found.st_size, found.st_mtime_ns, sha256=sha256) if stat.S_ISREG(found.st_mode) else None
