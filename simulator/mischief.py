"""Spoils finished drive folders on purpose: each defect is one that cars, disks and networks have been seen to make."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from panoveil.contracts.keys import MANIFEST_NAME
from panoveil.contracts.reasons import Reason


class Defect(StrEnum):
    """What can be done to a capture."""

    TRUNCATED_FRAME = "truncated_frame"
    MISSING_FRAME = "missing_frame"
    EMPTY_FRAME = "empty_frame"
    WRONG_HASH = "wrong_hash"
    UNKNOWN_RIG = "unknown_rig"
    BROKEN_MANIFEST = "broken_manifest"


EXPECTED: Mapping[Defect, Reason] = {
    Defect.TRUNCATED_FRAME: Reason.CORRUPT_FRAME,
    Defect.MISSING_FRAME: Reason.FRAME_MISSING,
    Defect.EMPTY_FRAME: Reason.EMPTY_OBJECT,
    Defect.WRONG_HASH: Reason.HASH_MISMATCH,
    Defect.UNKNOWN_RIG: Reason.UNKNOWN_RIG,
    Defect.BROKEN_MANIFEST: Reason.BAD_MANIFEST,
}
"""The reason for which each defect should end in quarantine."""

_SHARE_KEPT = 0.6


def spoil(folder: Path, target: Path, defects: Mapping[str, Defect]) -> None:
    """Copy a drive folder to `target`, which must not exist, and give the named captures (`000003`) their defects.

    The first frame of the capture suffers. A truncated frame's hash in the manifest is that of the truncated file: the damage was
    done before the car hashed it.
    """
    shutil.copytree(folder, target)
    for capture, defect in defects.items():
        _DOERS[defect](target / capture)


def _truncate(capture: Path) -> None:
    frame = _first_frame(capture)
    data = frame.read_bytes()
    kept = data[: int(len(data) * _SHARE_KEPT)]
    frame.write_bytes(kept)
    _change_first_entry(capture, sha256=hashlib.sha256(kept).hexdigest())


def _remove(capture: Path) -> None:
    _first_frame(capture).unlink()


def _empty(capture: Path) -> None:
    _first_frame(capture).write_bytes(b"")
    _change_first_entry(capture, sha256=hashlib.sha256(b"").hexdigest())


def _mishash(capture: Path) -> None:
    _change_first_entry(capture, sha256=hashlib.sha256(b"something else").hexdigest())


def _rename_rig(capture: Path) -> None:
    manifest = _manifest(capture)
    _write(capture, {**manifest, "rig_id": "nobody-knows-this-rig"})


def _break(capture: Path) -> None:
    manifest = capture / MANIFEST_NAME
    text = manifest.read_text()
    manifest.write_text(text[: len(text) // 2])


def _first_frame(capture: Path) -> Path:
    return capture / str(_manifest(capture)["frames"][0]["file"])


def _change_first_entry(capture: Path, **changes: str) -> None:
    manifest = _manifest(capture)
    first, *rest = manifest["frames"]
    _write(capture, {**manifest, "frames": [{**first, **changes}, *rest]})


def _manifest(capture: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((capture / MANIFEST_NAME).read_text())
    return manifest


def _write(capture: Path, manifest: Mapping[str, Any]) -> None:
    (capture / MANIFEST_NAME).write_text(json.dumps(manifest, indent=1))


_DOERS: Mapping[Defect, Callable[[Path], None]] = {
    Defect.TRUNCATED_FRAME: _truncate,
    Defect.MISSING_FRAME: _remove,
    Defect.EMPTY_FRAME: _empty,
    Defect.WRONG_HASH: _mishash,
    Defect.UNKNOWN_RIG: _rename_rig,
    Defect.BROKEN_MANIFEST: _break,
}
