"""What the agent counts of its events."""

from collections.abc import Iterable

import pytest
from prometheus_client import REGISTRY

from services.agent.events import (
    CaptureFound,
    CaptureSkipped,
    CaptureUploaded,
    Event,
    FrameDamaged,
    FrameMissing,
    FrameUploaded,
    SkipReason,
    Waiting,
)
from services.agent.listeners import metered

COUNTED = {
    "panoveil_agent_captures_total": ("outcome", ("uploaded", "uploaded_before", "left_behind")),
    "panoveil_agent_left_behind_total": ("reason", ("no_pose", "frame_missing", "frame_damaged")),
    "panoveil_retries_total": ("cause", ("s3",)),
}


def counted() -> dict[str, float]:
    """Every count by its label."""
    found = {}
    for name, (label, values) in COUNTED.items():
        for value in values:
            labels = {label: value} | ({"service": "agent"} if label == "cause" else {})
            found[value] = REGISTRY.get_sample_value(name, labels) or 0.0
    found["bytes"] = REGISTRY.get_sample_value("panoveil_bytes_total", {"service": "agent", "direction": "written"}) or 0.0
    return found


def grown(events: Iterable[Event]) -> dict[str, float]:
    """What grew, and by how much."""
    listen, before = metered(), counted()
    for event in events:
        listen(event)
    return {name: value - before[name] for name, value in counted().items() if value != before[name]}


def waiting() -> float | None:
    return REGISTRY.get_sample_value("panoveil_agent_waiting_bytes")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([CaptureFound("dk/d/1", 2, 30), FrameUploaded("dk/d/1", "a.jpg", 20)], {"bytes": 20.0}),
        ([CaptureUploaded("dk/d/1")], {"uploaded": 1.0}),
        ([CaptureUploaded("dk/d/1", before=True)], {"uploaded_before": 1.0}),
        ([CaptureSkipped("d/2", SkipReason.NO_POSE, "")], {"left_behind": 1.0, "no_pose": 1.0}),
        (
            [FrameMissing("dk/d/1", "b.jpg", ""), FrameDamaged("dk/d/1", "c.jpg", "")],
            {"frame_missing": 1.0, "frame_damaged": 1.0},
        ),
        ([Waiting("s3", 1.0, "")], {"s3": 1.0}),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, list) else "",
)
def test_an_event_is_counted(events: list[Event], expected: dict[str, float]) -> None:
    assert grown(events) == expected


def test_what_is_still_to_be_sent_shrinks_with_what_is() -> None:
    listen = metered()
    listen(CaptureFound("dk/d/1", 3, 100))
    listen(CaptureFound("dk/d/2", 3, 50))
    assert waiting() == 150.0
    listen(FrameUploaded("dk/d/1", "a.jpg", 60))
    assert waiting() == 90.0
    listen(CaptureUploaded("dk/d/1"))  # the rest of it stays behind
    assert waiting() == 50.0
    listen(CaptureUploaded("dk/d/2", before=True))
    assert waiting() == 0.0
