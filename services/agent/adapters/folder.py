"""Finding captures in a drive folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import MANIFEST_NAME, CaptureId
from services.agent.captures import Capture, LocalFile, capture_id_of, read_manifest
from services.agent.events import CaptureSkipped, SkipReason
from services.agent.poses import NO_POSES, Poses

_FRAME_SUFFIXES = (".jpg", ".jpeg")


def scan(folder: Path, poses: Poses = NO_POSES) -> Iterator[Capture | CaptureSkipped]:
    """Yield every capture below the folder in the order of their paths, or why it is not one to upload.

    Manifests without a pose are completed from `poses`.

    Neither links nor folders whose name begins with a dot are followed. `Misconfigured` where the folder is not there.
    """
    if not folder.is_dir():
        raise Misconfigured(f"{folder} is no folder: name the folder of a drive")
    seen: dict[CaptureId, Path] = {}
    for place, names in _places(folder):
        found = _unreadable(place, names) if isinstance(names, OSError) else _capture(place, names, poses)
        if isinstance(found, Capture):
            first = seen.setdefault(found.capture_id, place)
            if first != place:
                found = CaptureSkipped(str(place), SkipReason.DUPLICATE_CAPTURE, f"{found.capture_id} lies in {first} as well")
        if found:
            yield found


def _places(folder: Path) -> Iterator[tuple[Path, list[str] | OSError]]:
    """Yield every folder with the names of its files, or why it cannot be read."""
    errors: list[OSError] = []
    for place, below, names in os.walk(folder, onerror=errors.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield Path(place), names
    yield from ((Path(error.filename or folder), error) for error in errors)


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
    if completed != data:
        local = local.instead(completed)
    frames = {frame.file: _regular(place / frame.file) for frame in manifest.frames}
    there = tuple(frame for frame in frames.values() if frame)
    missing = tuple(name for name, frame in frames.items() if frame is None)
    return Capture(capture_id_of(manifest), manifest.captured_at, local, there, missing)


def _regular(path: Path) -> LocalFile | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return LocalFile(path, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
