"""Looks for faces and plates in the frames of a capture and carries what it finds into the panorama."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from panoveil import telemetry
from panoveil.contracts.messages import CarriedBox
from panoveil.contracts.recipe import SecondSource
from panoveil.detection import KINDS, Detector, Kind
from panoveil.detection.views import Crop
from panoveil.pixels.shrinking import Shrinking
from services.stitcher.carry import Box, Drawing, Span, carried, possible
from services.stitcher.level import Turn

Image = NDArray[np.uint8]

SERVICE = "stitcher"
VIEWS_AT_ONCE = 4
"""Views in memory and under way at the detector, for one capture."""


@dataclass(frozen=True, slots=True)
class Find:
    """A face or plate in a lens's frame: the box (x0, y0, x1, y1) in its continuous pixels."""

    lens: int
    kind: Kind
    score: float
    box: Box


async def look(
    frames: Sequence[Image],
    drawing: Drawing,
    views: Sequence[Sequence[Crop]],
    source: SecondSource,
    detector: Detector,
    turn: Turn | None = None,
) -> tuple[CarriedBox, ...]:
    """Return everything found in the views of the frames, uint8 [h, w, 3] RGB in the rig's order, where the panorama shows it.

    `turn` takes rays of the panorama into the rig frame where the two differ.

    `Unavailable` where the detector gives no valid answer, or may have been another or blind while it was asked.
    """
    before = detector.interruptions
    slots, shown = asyncio.Semaphore(VIEWS_AT_ONCE), [Shrinking(frame) for frame in frames]

    async def through(lens: int, view: Crop) -> list[Find]:
        async with slots:
            return await _look_through(view, shown[lens], lens, source, detector)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(through(lens, view)) for lens, own in enumerate(views) for view in own]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    await detector.prove(before)
    return await asyncio.to_thread(_carried, [find for task in tasks for find in task.result()], drawing, turn)


async def _look_through(view: Crop, frame: Shrinking, lens: int, source: SecondSource, detector: Detector) -> list[Find]:
    shown = await asyncio.to_thread(_sampled, view, frame)
    found: list[Find] = []
    for kind in KINDS:
        (detections,) = await detector.detect(kind, shown[None])
        likely = detections.above(source.face.threshold if kind == "face" else source.plate.threshold)
        boxes = zip(likely.scores.tolist(), view.locate(likely.boxes).tolist(), strict=True)
        found += [Find(lens, kind, score, (x0, y0, x1, y1)) for score, (x0, y0, x1, y1) in boxes]
    return found


def _sampled(view: Crop, frame: Shrinking) -> Image:
    with telemetry.measured(SERVICE, "sample"):
        return view.sample(frame)


def _carried(finds: Sequence[Find], drawing: Drawing, turn: Turn | None) -> tuple[CarriedBox, ...]:
    with telemetry.measured(SERVICE, "carry"):
        real = [find for find in finds if possible(find.kind, find.box, drawing.rig.lenses[find.lens])]
        return tuple(box for find in outermost(real) for box in _boxes(find, drawing, turn))


def outermost(finds: Sequence[Find]) -> list[Find]:
    """Return the finds that lie within no other of their lens and kind, each with the best score of those within it.

    An object is found at several scales; what lies in a larger box needs no region of its own.
    """
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: -_area(find.box)):
        around = [number for number, other in enumerate(kept) if _holds(other, find)]
        for number in around:
            kept[number] = replace(kept[number], score=max(kept[number].score, find.score))
        if not around:
            kept.append(find)
    return kept


def _holds(outer: Find, inner: Find) -> bool:
    x0, y0, x1, y1 = outer.box
    inside = x0 <= inner.box[0] and y0 <= inner.box[1] and x1 >= inner.box[2] and y1 >= inner.box[3]
    return inside and (outer.lens, outer.kind) == (inner.lens, inner.kind)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _boxes(find: Find, drawing: Drawing, turn: Turn | None) -> Iterator[CarriedBox]:
    name = drawing.rig.lenses[find.lens].name
    for span in carried(find.box, find.lens, drawing, turn):
        west, east = _degrees(span)
        yield CarriedBox(
            kind=find.kind, score=min(max(find.score, 0.0), 1.0), lens=name,
            west=west, east=east, south=_down(math.degrees(span.south)), north=_up(math.degrees(span.north)),
        )  # fmt: skip


def _degrees(span: Span) -> tuple[float, float]:
    """Return west and east as messages say it, rounded outwards."""
    if span.east - span.west >= 2 * math.pi:
        return -180.0, 180.0
    east = span.east - (2 * math.pi if span.east > math.pi else 0.0)
    return _down(math.degrees(span.west), 180.0), _up(math.degrees(east), 180.0)


def _down(degrees: float, limit: float = 90.0) -> float:
    return max(-limit, math.floor(degrees * 1e4) / 1e4)


def _up(degrees: float, limit: float = 90.0) -> float:
    return min(limit, math.ceil(degrees * 1e4) / 1e4)
