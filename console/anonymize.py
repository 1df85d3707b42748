"""Anonymise any folder of pictures with the code that the service runs: same views, same obfuscation, same verification."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import AnonymizeRecipe
from panoveil.detection import Detector, Kind
from panoveil.pixels import jpeg
from services.anonymizer import metadata
from services.anonymizer.anonymize import Anonymized, Description, Held, anonymize
from services.anonymizer.regions import Extent, Rect

Picture = NDArray[np.uint8]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
PANORAMA_WIDTH = 2048
_EQUIRECTANGULAR = re.compile(rb"GPano:ProjectionType\s*(?:=\s*[\"']|>)\s*equirectangular")
_ORIENTATION = 0x0112
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_UNREADABLE = (OSError, cv2.error, Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class Started:
    """The folder was read: so many pictures will be worked on."""

    total: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A picture ended: `outcome` is `published`, `held:<reason>` or `rejected:<reason>`."""

    image: str
    outcome: str
    faces: int
    plates: int


Event = Started | Finished


@dataclass(slots=True)
class Counts:
    """How many pictures ended how, and how many regions were obfuscated in the published ones."""

    published: int = 0
    held: int = 0
    rejected: int = 0
    faces: int = 0
    plates: int = 0

    def add(self, event: Finished) -> None:
        """Count a picture."""
        outcome = event.outcome.split(":")[0]
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome == "published":
            self.faces += event.faces
            self.plates += event.plates


async def anonymize_folder(
    source: Path, target: Path, report: Path, detector: Detector, recipe: AnonymizeRecipe, on_event: Callable[[Event], None]
) -> Counts:
    """Anonymise every JPEG and PNG below `source` into `target`, same sub-folders; PNGs come out as `<name>.png.jpg`.

    A picture is taken for a whole panorama where it is twice as wide as high and at least 2048 pixels wide, or says so (GPano).
    `report` gets one JSON line a picture: `{"image", "plates": [[x, y, w, h, score], …], "faces": […], "recipe_id", "outcome",
    "encoded_anew"}`; the last is false where the input's JPEG was only patched. Boxes are the obfuscated ones, in pixels of the picture
    turned upright by its EXIF orientation, which is how it is published; a box across a panorama's edge is given as two. Only what
    was verified is written to `target`, panoramas with their GPano tag, nothing with a position; what an earlier run wrote for a
    picture that is now held or rejected is removed. `Unavailable` ends the work.
    """
    if source.resolve() == target.resolve():
        raise Misconfigured("the folder to write to is the folder to read from: choose another, originals are never overwritten")
    images = [path for path in _pictures(source) if not path.resolve().is_relative_to(target.resolve())]
    _refuse_collisions(path.relative_to(source) for path in images)
    on_event(Started(len(images)))
    counts = Counts()
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.open("w", encoding="utf-8") as lines:
        for path in images:
            finished = await _one(path, source, target, detector, recipe, lines)
            counts.add(finished)
            on_event(finished)
    return counts


def _pictures(source: Path) -> Iterator[Path]:
    yield from (path for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file())


def _refuse_collisions(images: Iterable[Path]) -> None:
    by_name: dict[Path, Path] = {}
    for image in images:
        other = by_name.setdefault(_published_name(image), image)
        if other != image:
            raise Misconfigured(f"{other} and {image} would both be written as {_published_name(image)}: rename one of them")


async def _one(path: Path, source: Path, target: Path, detector: Detector, recipe: AnonymizeRecipe, lines: TextIO) -> Finished:
    image = path.relative_to(source)
    encoded_anew = False
    boxes: dict[Kind, list[list[float]]] = {"plate": [], "face": []}
    try:
        read = await asyncio.to_thread(_read, path)
        extent = Extent.of(read.picture, panorama=read.panorama)
        since = detector.interruptions
        result = await anonymize(
            read.picture, detector, recipe, panorama=read.panorama, description=_description(extent), source=read.source
        )
    except Rejected as error:
        outcome = f"rejected:{error.reason}"
    else:
        outcome = f"held:{result.reason}" if isinstance(result, Held) else "published"
        if isinstance(result, Anonymized):
            await detector.prove(since)  # the last look found nothing: a blind detector would have said the same
            boxes, encoded_anew = _boxes(result, extent), result.encoded_anew
            await asyncio.to_thread(_write, target / _published_name(image), result.jpeg)
    if outcome != "published":
        (target / _published_name(image)).unlink(missing_ok=True)
    line = {
        "image": str(image),
        "plates": boxes["plate"],
        "faces": boxes["face"],
        "recipe_id": recipe.recipe_id,
        "outcome": outcome,
        "encoded_anew": encoded_anew,
    }
    lines.write(json.dumps(line) + "\n")
    lines.flush()
    return Finished(str(image), outcome, len(boxes["face"]), len(boxes["plate"]))


@dataclass(frozen=True, slots=True)
class _Read:
    """A picture uint8 [H, W, 3] RGB, upright, whether it is a panorama, and the JPEG that stores it just like that, if one does."""

    picture: Picture
    panorama: bool
    source: bytes | None


def _read(path: Path) -> _Read:
    """Return what a file shows; `Rejected` where it cannot be read or decoded whole."""
    try:
        data = path.read_bytes()
        if not data:
            raise Rejected(Reason.EMPTY_OBJECT, path.name)
        if not data.startswith((_JPEG, _PNG)):  # libraries know a hundred formats more, by what is in a file
            raise Rejected(Reason.CORRUPT_FRAME, "neither JPEG nor PNG")
        orientation = _orientation(data)
        picture = _upright(_decoded(data), orientation)
    except _UNREADABLE as error:
        raise Rejected(Reason.CORRUPT_FRAME, str(error)) from error
    height, width = picture.shape[:2]
    said = _EQUIRECTANGULAR.search(data) is not None
    panorama = width == 2 * height and (said or width >= PANORAMA_WIDTH)
    return _Read(picture, panorama, data if data[:2] == _JPEG and orientation not in _TURNS else None)


def _description(extent: Extent) -> Description | None:
    return Description(b"", metadata.xmp(None, extent.width, extent.height)) if extent.wraps else None


def _decoded(data: bytes) -> Picture:
    if data[:2] == _JPEG:
        return jpeg.decode(data)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise Rejected(Reason.CORRUPT_FRAME, "no PNG that can be read")
    return cast("Picture", picture)


def _orientation(data: bytes) -> int:
    try:
        with Image.open(BytesIO(data)) as image:
            return int(image.getexif().get(_ORIENTATION, 1))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return 1


_TURNS: dict[int, Callable[[Any], Any]] = {
    2: np.fliplr,
    3: lambda picture: np.rot90(picture, 2),
    4: np.flipud,
    5: lambda picture: picture.swapaxes(0, 1),
    6: lambda picture: np.rot90(picture, -1),
    7: lambda picture: np.rot90(picture, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""EXIF orientation → what brings the stored picture upright."""


def _upright(picture: Picture, orientation: int) -> Picture:
    turn = _TURNS.get(orientation)
    return np.ascontiguousarray(turn(picture)) if turn else picture


def _boxes(result: Anonymized, extent: Extent) -> dict[Kind, list[list[float]]]:
    found: dict[Kind, list[list[float]]] = {"plate": [], "face": []}
    for region, rect in zip(result.regions, result.rects, strict=True):
        found[region.kind] += [[*box, round(region.score, 4)] for box in _split(rect, extent)]
    return found


def _split(rect: Rect, extent: Extent) -> Iterator[list[float]]:
    for rows, columns in rect.pieces(extent.width):
        yield [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]


def _published_name(image: Path) -> Path:
    return image if image.suffix.lower() != ".png" else image.with_name(f"{image.name}.jpg")


def _write(path: Path, data: bytes) -> None:
    """Write so that a file under its final name is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.part")
    staged.write_bytes(data)
    staged.replace(path)
