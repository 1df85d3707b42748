"""Who listens to the agent's events: JSON lines for programs, log lines for journals of systems."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from typing import TextIO

from panoveil import telemetry
from services.agent.events import (
    CaptureFound,
    CaptureSkipped,
    CaptureUploaded,
    DriveDone,
    Event,
    FrameDamaged,
    FrameMissing,
    FrameUploaded,
    JournalLost,
    Listener,
    PosesKept,
    PosesRead,
    SkipReason,
    StillWritten,
    Waiting,
)

_LOG = logging.getLogger("panoveil.agent")
_AGENT = "agent"
_WORDS: Mapping[type[Event], tuple[int, str]] = {
    CaptureFound: (logging.DEBUG, "{0.capture_id} has {0.files} files, {0.size} bytes"),
    FrameUploaded: (logging.DEBUG, "{0.capture_id}: {0.file} is uploaded"),
    CaptureUploaded: (logging.INFO, "{0.capture_id} is uploaded"),
    CaptureSkipped: (logging.WARNING, "skipped {0.folder} ({0.reason}): {0.detail}"),
    FrameMissing: (logging.WARNING, "{0.capture_id} lacks {0.file}: {0.detail}"),
    FrameDamaged: (logging.WARNING, "{0.capture_id}: {0.file} is damaged and stays behind: {0.detail}"),
    StillWritten: (logging.INFO, "{0.folder}: not whole yet: {0.captures}, looking again in {0.seconds:.1f} s"),
    JournalLost: (logging.WARNING, "the journal was damaged and is kept as {0.kept_as}; everything is uploaded again"),
    PosesRead: (logging.INFO, "{0.file} ({0.format}): {0.fixes} fixes over {0.seconds:.0f} s, {0.passed_over} passed over"),
    PosesKept: (logging.WARNING, "the poses read before are kept: {0.detail}"),
    Waiting: (logging.WARNING, "{0.dependency} does not answer, next attempt in {0.seconds:.1f} s: {0.detail}"),
    DriveDone: (
        logging.INFO,
        (
            "{0.folder}: {0.uploaded} captures uploaded, {0.uploaded_before} were before, {0.skipped} skipped, "
            "{0.frames_missing} frames missing, {0.frames_damaged} damaged, {0.megabytes:.1f} MB"
        ),
    ),
}


def json_lines(out: TextIO) -> Listener:
    """Write each event as one JSON object a line, `event` being its name; docs/agent.md has an example of each."""

    def listen(event: Event) -> None:
        out.write(json.dumps({"event": type(event).__name__, **dataclasses.asdict(event)}) + "\n")
        out.flush()

    return listen


def log_lines(event: Event) -> None:
    """Log what a person wants to read; single frames, and what was uploaded before, only at DEBUG."""
    level, words = _WORDS[type(event)]
    if isinstance(event, CaptureUploaded) and event.before:
        level, words = logging.DEBUG, "{0.capture_id} was uploaded before"
    _LOG.log(level, "%s", words.format(event))


def metered() -> Listener:
    """Return what counts events into the agent's metrics, which begin at 0."""
    telemetry.prepare_agent((*SkipReason, "frame_missing", "frame_damaged"))
    left: dict[str, int] = {}
    telemetry.AGENT_WAITING_BYTES.set_function(lambda: sum(left.copy().values()))

    def listen(event: Event) -> None:
        match event:
            case CaptureFound():
                left[event.capture_id] = event.size
            case FrameUploaded():
                telemetry.BYTES.labels(_AGENT, "written").inc(event.size)
                left[event.capture_id] = max(0, left.get(event.capture_id, 0) - event.size)
            case CaptureUploaded():
                left.pop(event.capture_id, None)
                telemetry.AGENT_CAPTURES.labels("uploaded_before" if event.before else "uploaded").inc()
            case CaptureSkipped():
                telemetry.AGENT_CAPTURES.labels("left_behind").inc()
                telemetry.AGENT_LEFT.labels(event.reason).inc()
            case FrameMissing():
                telemetry.AGENT_LEFT.labels("frame_missing").inc()
            case FrameDamaged():
                telemetry.AGENT_LEFT.labels("frame_damaged").inc()
            case Waiting():
                telemetry.RETRIES.labels(_AGENT, event.dependency).inc()

    return listen
