"""Draws what was covered, missed and hidden without need; such pictures show whom they show, so they are not for publication."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from console.evaluate.annotated import CLASSES, Annotated, Answer
from console.evaluate.score import mark
from panoveil.contracts.errors import Misconfigured
from panoveil.pixels.rectangles import Rectangle

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

COVERED: Colour = (60, 200, 60)
MISSED: Colour = (40, 40, 240)
TRUE: Colour = (230, 190, 60)
FALSE: Colour = (0, 160, 255)
"""BGR."""

LEGEND = "green: covered object, red: missed object, blue: what is hidden, orange: hidden, but nothing is annotated there"


def require_apart(source: Path, out: Path) -> None:
    """`Misconfigured` where drawn pictures would lie among the originals."""
    if out.resolve() == source.resolve() or out.resolve().is_relative_to(source.resolve()):
        raise Misconfigured(f"{out} lies in {source}: choose a folder outside of it, originals are never written to")


def draw(picture: Annotated, answer: Answer, source: Path, out: Path) -> None:
    """Write the picture below `source` with its boxes to `out`, under its own name, as JPEG."""
    loaded = cv2.imread(str(source / picture.image))
    if loaded is None:
        return
    target = out / f"{picture.image}.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), drawn(loaded.astype(np.uint8, copy=False), picture, answer))


def drawn(image: Image, picture: Annotated, answer: Answer) -> Image:
    """Return a copy of the picture, BGR uint8 [H, W, 3], with its objects and boxes; objects lie on top."""
    canvas = image.copy()
    for name in CLASSES:
        if name in picture.objects:
            marks = mark(picture, answer, name)
            for boxes, colour in ((marks.true, TRUE), (marks.false, FALSE), (marks.covered, COVERED), (marks.missed, MISSED)):
                for box in boxes:
                    _outline(canvas, box, colour)
    return canvas


def _outline(canvas: Image, box: Rectangle, colour: Colour) -> None:
    x0, y0, x1, y1 = (round(value) for value in box)
    cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), colour, max(1, canvas.shape[1] // 1500))
