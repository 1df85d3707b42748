"""Reads what is known of a folder's pictures (`annotations.jsonl`), and what was found in them (a report of `panoveil anonymize`).

annotations.jsonl   `{"image": PATH, "width", "height", "plates": [[x, y, w, h], …], "faces": […], "ignore": […]}`, one line a picture,
                    pixels of the upright picture; PATH is relative to the folder. A class whose key is absent was not annotated;
                    `ignore` is what may be hidden and need not be.
report.jsonl        `{"image": NAME, "plates": [[x, y, w, h, score], …], "faces": […], "outcome"}`; scores and outcome may be absent.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from panoveil.contracts.errors import PanoveilError
from panoveil.pixels.rectangles import Rectangle

CLASSES = ("faces", "plates")
ANNOTATIONS = "annotations.jsonl"


class BadAnnotations(PanoveilError):
    """A file of annotations or boxes that does not say what it must; the sentence names the line."""

    exit_code: ClassVar[int] = 65


@dataclass(frozen=True, slots=True)
class Annotated:
    """A picture and what is in it: rectangles in its pixels, by class; only classes that were annotated are there."""

    image: str
    width: float
    height: float
    objects: Mapping[str, tuple[Rectangle, ...]]
    ignore: tuple[Rectangle, ...] = ()

    @property
    def heights(self) -> list[float]:
        """Pixels of every object."""
        return [box[3] - box[1] for boxes in self.objects.values() for box in boxes]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was hidden in a picture, by class; `published` is false where it was held or rejected."""

    boxes: Mapping[str, tuple[Rectangle, ...]]
    published: bool = True


def read_annotations(folder: Path) -> list[Annotated]:
    """Return every picture of the folder's `annotations.jsonl`, in its order."""
    found = [_annotated(line, where) for line, where in _lines(folder / ANNOTATIONS)]
    if not found:
        raise BadAnnotations(f"{folder / ANNOTATIONS} names no picture")
    return found


def read_report(file: Path) -> dict[str, Answer]:
    """Return what a report says of every picture, by its name there."""
    return {_image(line, where): _answer(line, where) for line, where in _lines(file)}


def answer_to(picture: Annotated, answers: Mapping[str, Answer]) -> Answer | None:
    """Return the answer for a picture: under the same path, else under the same file name."""
    if picture.image in answers:
        return answers[picture.image]
    name = PurePosixPath(picture.image).name
    return next((answer for image, answer in answers.items() if PurePosixPath(image).name == name), None)


def _lines(file: Path) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadAnnotations(f"{file} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _object(line, f"{file}, line {number}"), f"{file}, line {number}"


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadAnnotations(f"{where}: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadAnnotations(f"{where}: no JSON object")
    return found


def _annotated(line: dict[str, Any], where: str) -> Annotated:
    objects = {name: _boxes(line, name, where) for name in CLASSES if name in line}
    width, height = (_number(line.get(name), name, where) for name in ("width", "height"))
    if min(width, height) <= 0:
        raise BadAnnotations(f"{where}: a picture of {width:g} x {height:g} pixels")
    return Annotated(_image(line, where), width, height, objects, _boxes(line, "ignore", where))


def _answer(line: dict[str, Any], where: str) -> Answer:
    return Answer({name: _boxes(line, name, where) for name in CLASSES}, line.get("outcome", "published") == "published")


def _image(line: dict[str, Any], where: str) -> str:
    image = line.get("image")
    if not isinstance(image, str) or not image or PurePosixPath(image).is_absolute() or ".." in PurePosixPath(image).parts:
        raise BadAnnotations(f'{where}: "image" must be a path within the folder')
    return str(PurePosixPath(image))


def _boxes(line: dict[str, Any], name: str, where: str) -> tuple[Rectangle, ...]:
    rows = line.get(name, [])
    if not isinstance(rows, list):
        raise BadAnnotations(f'{where}: "{name}" must be a list of boxes')
    return tuple(_box(row, name, where) for row in rows)


def _box(row: object, name: str, where: str) -> Rectangle:
    if not isinstance(row, list) or len(row) < 4:  # noqa: PLR2004 - x, y, w, h
        raise BadAnnotations(f'{where}: a box in "{name}" must read [x, y, w, h]')
    x, y, width, height = (_number(value, name, where) for value in row[:4])
    if min(width, height) < 0:
        raise BadAnnotations(f'{where}: a box in "{name}" is {width:g} x {height:g} pixels')
    return x, y, x + width, y + height


def _number(value: object, name: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise BadAnnotations(f'{where}: "{name}" holds {value!r:.40} where a number must be')
    return float(value)
