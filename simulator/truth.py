"""The exact truth about a drive, and how much of it a set of boxes covers."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from panoveil.contracts.messages import PanoramaBox
from panoveil.pixels.rectangles import Rectangle, union_area

COVERED_SHARE = 0.9
"""An object counts as covered when the union of the boxes covers at least this share of its box."""

HEIGHT_EDGES = (0, 8, 10, 12, 16, 24, 48)
"""Lower edges, in pixels, of the height buckets."""

HEIGHT_BUCKETS = (*(f"{low}-{high}" for low, high in pairwise(HEIGHT_EDGES)), f"{HEIGHT_EDGES[-1]}+")
"""Their names, small before tall."""


@dataclass(frozen=True, slots=True)
class TrueObject:
    """Something identifiable: its box in panorama degrees (west > east: it wraps round ±180°).

    `visible` is the share of it that nothing hides and some lens sees, `height_px` its height in panorama pixels.
    """

    kind: Literal["face", "plate"]
    west: float
    east: float
    south: float
    north: float
    visible: float
    height_px: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """Objects of one height range, and how many of them were covered."""

    objects: int
    covered: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many objects there are, how many are covered, which are not, and the counts by height (`"16-24"`)."""

    objects: int
    covered: int
    missed: tuple[TrueObject, ...]
    by_height: dict[str, Bucket]


def read_truth(path: Path) -> dict[str, tuple[TrueObject, ...]]:
    """Return the objects of every capture of a `truth.jsonl`, by the capture's name."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return {line["capture"]: tuple(TrueObject(**item) for item in line["objects"]) for line in lines}


def truth_line(capture: str, objects: Sequence[TrueObject]) -> str:
    """Return one line of `truth.jsonl`, without the line's end."""
    return json.dumps({"capture": capture, "objects": [asdict(item) for item in objects]})


def score(objects: Sequence[TrueObject], boxes: Sequence[PanoramaBox]) -> Coverage:
    """Count the objects that the union of the boxes, of either kind, covers well enough."""
    missed = tuple(item for item in objects if covered_share(item, boxes) < COVERED_SHARE)
    return Coverage(len(objects), len(objects) - len(missed), missed, _by_height(objects, missed))


def covered_share(item: TrueObject, boxes: Sequence[PanoramaBox]) -> float:
    """Return the share 0..1 of the object's box, an area in degrees, that the union of the boxes covers; exact."""
    target = unrolled(item)
    cuts = [cut for box in boxes for shift in (-360.0, 0.0, 360.0) if (cut := _cut(target, unrolled(box), shift))]
    area = (target[2] - target[0]) * (target[3] - target[1])
    return min(1.0, union_area(cuts) / area) if area > 0 else float(bool(cuts))


def unrolled(box: TrueObject | PanoramaBox) -> Rectangle:
    """Return (west, south, east, north) with east at or beyond west: up to 540 degrees where the box wraps round."""
    return box.west, box.south, box.east + (360.0 if box.east < box.west else 0.0), box.north


def _cut(target: Rectangle, box: Rectangle, shift: float) -> Rectangle | None:
    west, east = max(target[0], box[0] + shift), min(target[2], box[2] + shift)
    south, north = max(target[1], box[1]), min(target[3], box[3])
    return (west, south, east, north) if west <= east and south <= north else None


def _by_height(objects: Sequence[TrueObject], missed: Sequence[TrueObject]) -> dict[str, Bucket]:
    seen, lost = (Counter(height_bucket(item.height_px) for item in items) for items in (objects, missed))
    return {name: Bucket(seen[name], seen[name] - lost[name]) for name in HEIGHT_BUCKETS if name in seen}


def height_bucket(height: float) -> str:
    """Return the name of the bucket that a height in pixels belongs to: `"16-24"`, `"48+"`."""
    return HEIGHT_BUCKETS[bisect_right(HEIGHT_EDGES, height) - 1]
