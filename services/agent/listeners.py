"""Who listens to the agent's events: JSON lines for programs, log lines for journals of systems."""

import dataclasses
import json
import logging
from typing import TextIO

from services.agent.events import (
    CaptureFound,
    CaptureSkipped,
    CaptureUploaded,
    DriveDone,
    Event,
    FrameMissing,
    FrameUploaded,
    JournalLost,
    Listener,
    PosesRead,
    Waiting,
)

_LOG = logging.getLogger("panoveil.agent")


def json_lines(out: TextIO) -> Listener:
    """Write each event as one JSON object a line, `event` being its name."""

    def listen(event: Event) -> None:
        out.write(json.dumps({"event": type(event).__name__, **dataclasses.asdict(event)}) + "\n")
        out.flush()

    return listen


def log_lines(event: Event) -> None:
    """Log what a person wants to read; single frames only at DEBUG."""
    match event:
        case CaptureFound() | FrameUploaded():
            _LOG.debug("%s", event)
        case CaptureUploaded(before=True):
            _LOG.debug("%s was uploaded before", event.capture_id)
        case CaptureUploaded():
            _LOG.info("%s is uploaded", event.capture_id)
        case CaptureSkipped():
            _LOG.warning("skipped %s (%s): %s", event.folder, event.reason, event.detail)
        case FrameMissing():
            _LOG.warning("%s lacks %s: %s", event.capture_id, event.file, event.detail)
        case JournalLost():
            _LOG.warning("the journal was damaged and is kept as %s; everything is uploaded again", event.kept_as)
        case PosesRead():
            _LOG.info(
                "%s (%s): %d fixes over %.0f s, %d passed over",
                event.file,
                event.format,
                event.fixes,
                event.seconds,
                event.passed_over,
            )
        case Waiting():
            _LOG.warning("%s does not answer, next attempt in %.1f s: %s", event.dependency, event.seconds, event.detail)
        case DriveDone():
            _LOG.info(
                "%s: %d captures uploaded, %d were before, %d skipped, %d frames missing, %.1f MB",
                event.folder,
                event.uploaded,
                event.uploaded_before,
                event.skipped,
                event.frames_missing,
                event.size / 1e6,
            )
