"""Holds what was hidden against what is annotated; pure.

An object is *covered* when the union of its class's boxes covers at least 90 % of its area, *found* when one box has an IoU of at
least .5 with it. A box is *false* when it touches no object of its class and nothing to be ignored. *Over-blurred* is the area of boxes
that lies on no annotated object of any class and on nothing to be ignored; margins count, so it is never nought.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from console.evaluate.annotated import CLASSES, Annotated, Answer
from panoveil.pixels.rectangles import Rectangle, outside_area, union_area
from simulator.truth import COVERED_SHARE, HEIGHT_BUCKETS, height_bucket

FOUND_IOU = 0.5
_Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of cases, and between what it lies with 95 % confidence (Wilson); None without a case."""

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """Hits of all."""
        return self.hits / self.of if self.of else None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lower and upper."""
        if not self.of:
            return None
        share, spread = self.hits / self.of, _Z**2 / self.of
        middle, half = share + spread / 2, _Z * sqrt(share * (1 - share) / self.of + spread / (4 * self.of))
        return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        low, high = (round(bound, 4) for bound in self.bounds) if self.bounds else (None, None)
        return {"share": None if self.share is None else round(self.share, 4), "low": low, "high": high, "hits": self.hits}


@dataclass(frozen=True, slots=True)
class Frequency:
    """Events a picture, and between what their mean lies with 95 % confidence (score interval of a Poisson mean)."""

    events: int
    pictures: int

    @property
    def mean(self) -> float | None:
        """Events by pictures."""
        return self.events / self.pictures if self.pictures else None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lower and upper."""
        if not self.pictures:
            return None
        middle, half = self.events + _Z**2 / 2, _Z * sqrt(self.events + _Z**2 / 4)
        return max(0.0, middle - half) / self.pictures, (middle + half) / self.pictures

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        low, high = (round(bound, 4) for bound in self.bounds) if self.bounds else (None, None)
        return {"mean": None if self.mean is None else round(self.mean, 4), "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Recall:
    """How many of some objects are covered, and how many found."""

    covered: Rate
    found: Rate

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        return {"objects": self.covered.of, "covered": self.covered.as_json(), "found": self.found.as_json()}


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class over all pictures in which it is annotated; heights as `height_bucket` names them, small before tall."""

    recall: Recall
    by_height: Mapping[str, Recall]
    boxes: int
    false: Frequency

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        return {
            "pictures": self.false.pictures,
            **self.recall.as_json(),
            "boxes": self.boxes,
            "false_boxes": self.false.events,
            "false_per_picture": self.false.as_json(),
            "by_height": {name: recall.as_json() for name, recall in self.by_height.items()},
        }


@dataclass(frozen=True, slots=True)
class Area:
    """Square pixels: of the pictures, of what is hidden in them, and of what of that lies on nothing annotated."""

    pictures: float = 0.0
    hidden: float = 0.0
    over: float = 0.0

    def __add__(self, other: "Area") -> "Area":
        """Sum both."""
        return Area(self.pictures + other.pictures, self.hidden + other.hidden, self.over + other.over)

    def as_json(self) -> dict[str, Any]:
        """The keys programs rely on."""
        return {
            "hidden_share_of_pictures": round(self.hidden / self.pictures, 6) if self.pictures else None,
            "over_blurred_share_of_pictures": round(self.over / self.pictures, 6) if self.pictures else None,
            "over_blurred_share_of_hidden": round(self.over / self.hidden, 4) if self.hidden else None,
        }


@dataclass(frozen=True, slots=True)
class Marked:
    """One picture's objects and boxes of one class, told apart."""

    covered: tuple[Rectangle, ...]
    missed: tuple[Rectangle, ...]
    true: tuple[Rectangle, ...]
    false: tuple[Rectangle, ...]


Pair = tuple[Annotated, Answer]


def score_class(pairs: Iterable[Pair], name: str) -> ClassScore:
    """Score a class over the pictures in which it is annotated."""
    seen, covered, found = Counter[str](), Counter[str](), Counter[str]()
    pictures = boxes = false = 0
    for picture, answer in pairs:
        if name not in picture.objects:
            continue
        marks, hidden = mark(picture, answer, name), answer.boxes.get(name, ())
        pictures, boxes, false = pictures + 1, boxes + len(hidden), false + len(marks.false)
        for item in picture.objects[name]:
            seen[_bucket(item)] += 1
            covered[_bucket(item)] += item in marks.covered
            found[_bucket(item)] += any(iou(item, box) >= FOUND_IOU for box in hidden)
    return ClassScore(
        Recall(Rate(covered.total(), seen.total()), Rate(found.total(), seen.total())),
        {height: Recall(Rate(covered[height], seen[height]), Rate(found[height], seen[height])) for height in HEIGHT_BUCKETS if seen[height]},
        boxes,
        Frequency(false, pictures),
    )  # fmt: skip


def mark(picture: Annotated, answer: Answer, name: str) -> Marked:
    """Tell a class's objects and boxes in one picture apart."""
    objects, boxes = picture.objects.get(name, ()), answer.boxes.get(name, ())
    known = (*objects, *picture.ignore)
    covered = tuple(item for item in objects if covered_share(item, boxes) >= COVERED_SHARE)
    true = tuple(box for box in boxes if any(overlap(box, item) > 0 for item in known))
    return Marked(
        covered, tuple(item for item in objects if item not in covered), true, tuple(box for box in boxes if box not in true)
    )


def blurred(pairs: Iterable[Pair]) -> Area:
    """Sum what is hidden and what is hidden without need, over classes that are annotated."""
    total = Area()
    for picture, answer in pairs:
        frame = (0.0, 0.0, picture.width, picture.height)
        named = [name for name in CLASSES if name in picture.objects]
        hidden = [cut for name in named for box in answer.boxes.get(name, ()) if (cut := clipped(box, frame)) is not None]
        known = [*picture.ignore, *(item for name in named for item in picture.objects[name])]
        if named:
            total += Area(picture.width * picture.height, union_area(hidden), outside_area(hidden, known))
    return total


def covered_share(item: Rectangle, boxes: Sequence[Rectangle]) -> float:
    """Return the share 0..1 of a rectangle that the union of the boxes covers; one without area is covered."""
    area = (item[2] - item[0]) * (item[3] - item[1])
    cuts = [cut for box in boxes if (cut := clipped(box, item)) is not None]
    return union_area(cuts) / area if area > 0 else 1.0


def clipped(box: Rectangle, frame: Rectangle) -> Rectangle | None:
    """Return the part of a box within a frame, None where they do not overlap."""
    x0, y0, x1, y1 = max(box[0], frame[0]), max(box[1], frame[1]), min(box[2], frame[2]), min(box[3], frame[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def overlap(first: Rectangle, second: Rectangle) -> float:
    """Return the area that both cover."""
    across, down = min(first[2], second[2]) - max(first[0], second[0]), min(first[3], second[3]) - max(first[1], second[1])
    return max(across, 0.0) * max(down, 0.0)


def iou(first: Rectangle, second: Rectangle) -> float:
    """Return the area that both cover by the area that either covers, 0..1."""
    both = overlap(first, second)
    either = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - both
    return both / either if either > 0 else 0.0


def _bucket(item: Rectangle) -> str:
    return height_bucket(round(item[3] - item[1], 6))  # what was a whole height before x, y were added is one again
