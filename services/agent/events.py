"""What happens while a drive is uploaded; progress bars, log lines and JSON lines listen to these."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class SkipReason(StrEnum):
    """Why a capture stays in the car."""

    UNFINISHED = "unfinished"
    UNREADABLE = "unreadable"
    BAD_MANIFEST = "bad_manifest"
    DUPLICATE_CAPTURE = "duplicate_capture"
    NO_POSE = "no_pose"
    POSE_OUTSIDE = "pose_outside_file"
    POSE_GAP = "pose_gap"
    POSE_NO_HEADING = "pose_no_heading"


@dataclass(frozen=True, slots=True)
class CaptureFound:
    """A finished capture; `files` counts its frames and the manifest, `size` is theirs in bytes."""

    capture_id: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class CaptureSkipped:
    """A folder that looks like a capture and is not uploaded."""

    folder: str
    reason: SkipReason
    detail: str


@dataclass(frozen=True, slots=True)
class FrameMissing:
    """The manifest promises a frame that cannot be read here; the rest of the capture is uploaded."""

    capture_id: str
    file: str
    detail: str


@dataclass(frozen=True, slots=True)
class FrameDamaged:
    """A frame's bytes are not those that the manifest promises, and nobody writes to it any more; the rest of the capture is uploaded."""

    capture_id: str
    file: str
    detail: str


@dataclass(frozen=True, slots=True)
class StillWritten:
    """So many captures of the folder are not whole; they are looked at again in `seconds`, and told of once they no longer change."""

    folder: str
    captures: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FrameUploaded:
    """S3 has acknowledged an object (a frame or the manifest) of `size` bytes."""

    capture_id: str
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class CaptureUploaded:
    """Every object of the capture that could be read is in S3 and announced; `before` tells that this was so already."""

    capture_id: str
    before: bool = False


@dataclass(frozen=True, slots=True)
class JournalLost:
    """The journal could not be read and was put aside; everything is uploaded again, which changes nothing in S3."""

    kept_as: str


@dataclass(frozen=True, slots=True)
class PosesRead:
    """A pose file is open: `fixes` over so many seconds; `passed_over` counts what it holds besides and cannot be used."""

    file: str
    format: str
    fixes: int
    passed_over: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PosesKept:
    """Pose files have changed and cannot be read as they are now; poses stay those that were read before."""

    detail: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A dependency does not answer; the next attempt is in `seconds`."""

    dependency: str
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class DriveDone:
    """The folder was gone through; while it is watched: something was found in it. `size` is what was uploaded this time, in bytes."""

    folder: str
    captures: int
    uploaded: int
    uploaded_before: int
    skipped: int
    frames_missing: int
    frames_damaged: int
    files: int
    size: int

    @property
    def megabytes(self) -> float:
        """What was uploaded this time, in millions of bytes."""
        return self.size / 1e6

    @property
    def left_behind(self) -> int:
        """Captures and frames that stay in the car."""
        return self.skipped + self.frames_missing + self.frames_damaged


Event = (
    CaptureFound
    | CaptureSkipped
    | FrameMissing
    | FrameDamaged
    | StillWritten
    | FrameUploaded
    | CaptureUploaded
    | JournalLost
    | PosesRead
    | PosesKept
    | Waiting
    | DriveDone
)
Listener = Callable[[Event], None]


def both(first: Listener, second: Listener) -> Listener:
    """Have two listen, one after the other."""

    def listen(event: Event) -> None:
        first(event)
        second(event)

    return listen


def but_not(kind: type[Event], listener: Listener) -> Listener:
    """Have one listen to everything but one kind of event."""

    def listen(event: Event) -> None:
        if not isinstance(event, kind):
            listener(event)

    return listen


class Tally:
    """Counts events into a `DriveDone`."""

    def __init__(self) -> None:
        self._found = self._uploaded = self._before = self._skipped = self._missing = self._damaged = self._files = self._size = 0

    def __call__(self, event: Event) -> None:
        """Listen."""
        match event:
            case CaptureFound():
                self._found += 1
            case CaptureSkipped():
                self._skipped += 1
            case FrameMissing():
                self._missing += 1
            case FrameDamaged():
                self._damaged += 1
            case CaptureUploaded(before=before):
                self._before += before
                self._uploaded += not before
            case FrameUploaded(size=size):
                self._files += 1
                self._size += size

    def __bool__(self) -> bool:
        """Whether anything was counted."""
        return any((self._found, self._uploaded, self._before, self._skipped, self._missing, self._damaged, self._files))

    def done(self, folder: str) -> DriveDone:
        """Return the sum."""
        return DriveDone(
            folder,
            self._found,
            self._uploaded,
            self._before,
            self._skipped,
            self._missing,
            self._damaged,
            self._files,
            self._size,
        )
