"""What makes a capture whole: pure checks that raise `Rejected` with a named reason."""

import hashlib
from datetime import UTC, datetime, timedelta

from panoveil.contracts.errors import Rejected
from panoveil.contracts.keys import CaptureId
from panoveil.contracts.messages import CaptureManifest, FrameEntry, Pose
from panoveil.contracts.reasons import Reason
from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import jpeg
from panoveil.pixels.outline import require_plain

_FIRST_CAR = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(days=1)
_NULL_ISLAND_DEGREES = 1e-6


def check_manifest(manifest: CaptureManifest, capture_id: CaptureId, now: datetime) -> None:
    """The manifest speaks of the capture it lies in, at a time and place that can be."""
    claimed = CaptureId(manifest.survey, manifest.drive, manifest.capture)
    if claimed != capture_id:
        raise Rejected(Reason.BAD_MANIFEST, f"it describes {claimed} but lies in {capture_id}")
    _check_time(manifest.captured_at, now)
    _check_pose(manifest.pose)


def check_lenses(manifest: CaptureManifest, rig: Rig) -> None:
    """Every lens of the rig has exactly one frame, and there is no other."""
    promised = sorted(frame.lens for frame in manifest.frames)
    expected = sorted(lens.name for lens in rig.lenses)
    if promised == expected:
        return
    if missing := sorted(set(expected) - set(promised)):
        raise Rejected(Reason.FRAME_MISSING, f"the manifest has no frame of {', '.join(missing)}")
    raise Rejected(Reason.BAD_MANIFEST, f"its lenses are {promised}, the rig's {expected}")


def check_frame(data: bytes, entry: FrameEntry, lens: Lens) -> None:
    """The bytes are the promised ones, a picture of the lens's size and nothing besides, and decode whole."""
    if not data:
        raise Rejected(Reason.EMPTY_OBJECT, entry.file)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise Rejected(Reason.HASH_MISMATCH, entry.file)
    found = require_plain(data)
    if (found.width, found.height) != (lens.width, lens.height):
        raise Rejected(
            Reason.WRONG_FRAME_SIZE, f"{entry.file} is {found.width, found.height}, the lens {lens.width, lens.height}"
        )
    jpeg.decode(data)


def _check_time(captured_at: datetime, now: datetime) -> None:
    if not _FIRST_CAR < captured_at < now + _CLOCK_SKEW:
        raise Rejected(Reason.IMPLAUSIBLE_POSE, f"captured at {captured_at.isoformat()}")


def _check_pose(pose: Pose) -> None:
    # Receivers without a fix report exactly 0° 0°.
    if abs(pose.latitude) < _NULL_ISLAND_DEGREES and abs(pose.longitude) < _NULL_ISLAND_DEGREES:
        raise Rejected(Reason.IMPLAUSIBLE_POSE, "0° north 0° east: the receiver had no fix")
