"""Lays the annotated pictures of a folder out for a run: as they are, or resized so that their objects have a height."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from console.evaluate.annotated import Annotated, BadAnnotations
from panoveil.pixels.rectangles import Rectangle

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 92]
_PER_SIDE = 16384
"""Pixels; a picture is not enlarged beyond."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Heights in pixels that a picture's median object is brought to, by shrinking only or by enlarging only; None leaves it."""

    shrink: float | None = None
    enlarge: float | None = None

    def scale(self, picture: Annotated) -> float:
        """Return the factor for a picture; 1 for one without objects."""
        median = statistics.median(picture.heights) if picture.heights else 0.0
        if median <= 0:
            return 1.0
        smaller = min(1.0, self.shrink / median) if self.shrink else 1.0
        larger = max(1.0, self.enlarge / median) if self.enlarge else 1.0
        return min(smaller * larger, _PER_SIDE / max(picture.width, picture.height))


def stage(pictures: Sequence[Annotated], source: Path, target: Path, wanted: Wanted) -> list[Annotated]:
    """Put the pictures below `target` under their names; return what is annotated, in the pixels that they have there."""
    return [_staged(picture, source / picture.image, target / picture.image, wanted.scale(picture)) for picture in pictures]


def _staged(picture: Annotated, source: Path, target: Path, scale: float) -> Annotated:
    if not source.is_file():
        raise BadAnnotations(f"{source} is annotated, but it is not there")
    target.parent.mkdir(parents=True, exist_ok=True)
    if scale == 1.0:
        target.symlink_to(source.resolve())
        return picture
    loaded = cv2.imread(str(source))
    if loaded is None:
        raise BadAnnotations(f"{source} cannot be read as a picture")
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(loaded, None, fx=scale, fy=scale, interpolation=how)
    cv2.imwrite(str(target), resized, _QUALITY)
    return _scaled(picture, resized.shape[1] / loaded.shape[1], resized.shape[0] / loaded.shape[0])


def _scaled(picture: Annotated, across: float, down: float) -> Annotated:
    def scaled(boxes: Sequence[Rectangle]) -> tuple[Rectangle, ...]:
        return tuple((x0 * across, y0 * down, x1 * across, y1 * down) for x0, y0, x1, y1 in boxes)

    objects = {name: scaled(boxes) for name, boxes in picture.objects.items()}
    return Annotated(picture.image, picture.width * across, picture.height * down, objects, scaled(picture.ignore))
