"""`capture.json` without a pose becomes one with a pose."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.messages import Pose, decode_json
from services.agent.events import Listener, PosesKept, PosesRead, SkipReason
from services.agent.poses.formats import format_of, open_track
from services.agent.poses.interpolation import pose_at
from services.agent.poses.options import PoseOptions
from services.agent.poses.track import Track, track_time

_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Poses:
    """Pose files, open, by the names they have in messages."""

    options: PoseOptions
    tracks: Sequence[tuple[str, Track]] = ()

    def complete(self, data: bytes) -> bytes:
        """Return the manifest with its pose filled in, and everything else as it was: same input, same bytes.

        As it is where it has a pose that is to be kept, or is no manifest. `Rejected` with a `SkipReason` where no file knows the pose.
        """
        document = _document(data)
        moment = _moment(document.get("captured_at"))
        has_pose = document.get("pose") is not None
        if moment is None or (has_pose and not (self.options.replace and self.tracks)):
            return data
        pose = self._pose(moment.timestamp() + self.options.time_offset)
        document["pose"] = pose.model_dump(exclude_none=True)
        return json.dumps(document, indent=1, ensure_ascii=False).encode()

    def _pose(self, utc: float) -> Pose:
        """Return the pose at a time, in seconds of the epoch, from the first file that knows it."""
        faults: list[Rejected] = []
        for name, track in self.tracks:
            time = track_time(track, utc, self.options.gps_week, self.options.leap_seconds)
            try:
                return pose_at(track, time, self.options)
            except Rejected as error:
                faults.append(Rejected(error.reason, f"{error.detail} ({name})"))
        if not faults:
            raise Rejected(SkipReason.NO_POSE, "it has no pose: name a file that knows it with --poses")
        # A gap or a missing heading tells more than that another file is of another time.
        raise next((fault for fault in faults if fault.reason != SkipReason.POSE_OUTSIDE), faults[0])


WITHOUT_POSES = PoseOptions()
NO_POSES = Poses(WITHOUT_POSES)
"""Nobody knows a pose but the manifests."""


def open_poses(options: PoseOptions, on_event: Listener) -> Poses:
    """Open the pose files; `Misconfigured` says what is wrong with one, and where."""
    tracks = []
    for path in options.files:
        form = options.format or format_of(path)
        track = open_track(path, form, options.leap_seconds)
        seconds = track.time(len(track) - 1) - track.time(0)
        on_event(PosesRead(str(path), form, len(track), track.passed_over, round(seconds, 3)))
        tracks.append((path.name, track))
    return Poses(options, tuple(tracks))


class PoseFiles:
    """Pose files that may be written to while they are used."""

    def __init__(self, options: PoseOptions, on_event: Listener) -> None:
        """`Misconfigured` says what is wrong with a file, and where."""
        self._options = options
        self._on_event = on_event
        self._seen = self._read = _marks(options.files)
        self.poses = open_poses(options, on_event)

    def reopen(self) -> bool:
        """Read the files anew if they have changed, and not since the last call; whether there are other poses now."""
        before, self._seen = self._seen, _marks(self._options.files)
        if self._seen in (self._read, None) or self._seen != before:
            return False
        self._read = self._seen
        try:
            self.poses = open_poses(self._options, self._on_event)
        except Misconfigured as error:
            self._on_event(PosesKept(str(error)))
            return False
        return True


def _marks(files: Sequence[Path]) -> list[tuple[int, int]] | None:
    """Return what changes when a file is written to; None where one is not there."""
    try:
        found = [path.stat() for path in files]
    except OSError:
        return None
    return [(one.st_size, one.st_mtime_ns) for one in found]


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = decode_json(data)
    except Rejected:
        return {}
    return document if isinstance(document, dict) else {}


def _moment(value: object) -> datetime | None:
    try:
        return _MOMENT.validate_python(value)
    except ValidationError:
        return None
