"""A picture drawn by rule in which every detector must find something before it is believed.

Servers fail silently: tensors corrupted by a wrong numpy, a model that was swapped, a GPU that returns zeros. All of them look like an
empty street. So a face and a plate are drawn here, and a detector that misses either has given no valid answer to anything.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.detection._port import Kind

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

SIDE = 320
_FINE = 4
"""Drawn at four times the size and shrunk, so that edges are as soft as a lens makes them."""

_SKIN, _SHADE, _HAIR, _WHITE, _IRIS = (224, 180, 155), (198, 150, 128), (60, 42, 30), (245, 245, 245), (50, 35, 25)
_LIPS, _MOUTH, _COAT = (176, 90, 88), (110, 50, 50), (60, 70, 110)


@dataclass(frozen=True, slots=True)
class Golden:
    """A picture uint8 [H, W, 3] RGB and, per kind, the box (x0, y0, x1, y1) in it that must be found with at least this score."""

    picture: Picture
    boxes: dict[Kind, tuple[float, float, float, float]]
    least_score: float = 0.3
    least_overlap: float = 0.3

    def is_found(self, kind: Kind, boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> bool:
        """Whether one of boxes [n, 4] with a sufficient score lies on the drawn object (intersection over union)."""
        target = np.array(self.boxes[kind], np.float32)
        sides = np.minimum(boxes[:, 2:], target[2:]) - np.maximum(boxes[:, :2], target[:2])
        common = sides.clip(0).prod(axis=1)
        both = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (target[2:] - target[:2]).prod() - common
        return bool(((common >= self.least_overlap * both) & (scores >= self.least_score)).any())


def street() -> Golden:
    """Draw the picture: a person on the left, the rear of a car on the right, 320 x 320."""
    fine = np.full((SIDE * _FINE, SIDE * _FINE, 3), (150, 160, 170), np.uint8)
    fine[SIDE * _FINE * 3 // 5 :] = (112, 112, 116)
    face = _person(fine, x=80, y=110, unit=0.5)
    plate = _car(fine, x=225, y=215)
    light = np.linspace(1.08, 0.88, fine.shape[1])[None, :, None]
    lit = cv2.GaussianBlur((fine * light).clip(0, 255).astype(np.uint8), (0, 0), 2.5)
    picture = cv2.resize(lit, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return Golden(cast("Picture", picture), {"face": face, "plate": plate})


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws round (x, y) in units of the object; everything in pixels of the finished picture times `unit`."""

    canvas: Picture
    x: float
    y: float
    unit: float = 1.0

    def point(self, x: float, y: float) -> tuple[int, int]:
        return round((self.x + x * self.unit) * _FINE), round((self.y + y * self.unit) * _FINE)

    def oval(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        radii = (max(1, round(across * self.unit * _FINE)), max(1, round(down * self.unit * _FINE)))
        cv2.ellipse(self.canvas, self.point(x, y), radii, 0, 0, 360, colour, -1, cv2.LINE_AA)

    def block(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        cv2.rectangle(self.canvas, self.point(x0, y0), self.point(x1, y1), colour, -1)


def _person(canvas: Picture, x: float, y: float, unit: float) -> tuple[float, float, float, float]:
    pen = _Pen(canvas, x, y, unit)
    pen.oval(0, 130, 80, 60, _COAT)
    pen.block(-17, 30, 17, 80, _SHADE)
    pen.oval(0, -8, 42, 52, _HAIR)
    pen.oval(0, 5, 36, 47, _SKIN)
    pen.oval(0, -34, 34, 16, _HAIR)
    for side in (-1, 1):
        _half_face(pen, side)
    pen.oval(0, 14, 6, 4, _SHADE)
    pen.oval(0, 30, 13, 4.5, _LIPS)
    pen.oval(0, 29.3, 12, 0.9, _MOUTH)
    return x - 34 * unit, y - 34 * unit, x + 34 * unit, y + 50 * unit


def _half_face(pen: _Pen, side: int) -> None:
    pen.oval(side * 37, 5, 5, 10, _SHADE)
    pen.oval(side * 14, -3, 7, 4, _WHITE)
    pen.oval(side * 14, -3, 3.6, 3.8, _IRIS)
    pen.oval(side * 14, -12, 9, 2.2, _HAIR)
    pen.oval(side * 3, 16, 1.6, 1.1, _MOUTH)


def _car(canvas: Picture, x: float, y: float) -> tuple[float, float, float, float]:
    pen = _Pen(canvas, x, y)
    pen.oval(0, 44, 86, 10, (60, 60, 62))
    pen.block(-62, 20, -42, 46, (28, 28, 30))
    pen.block(42, 20, 62, 46, (28, 28, 30))
    pen.oval(0, -30, 62, 46, (52, 74, 120))
    pen.block(-74, -28, 74, 32, (52, 74, 120))
    pen.oval(0, -38, 52, 26, (32, 38, 46))
    pen.block(-74, 18, 74, 32, (44, 60, 98))
    for side in (-66, 52):
        pen.block(side, -20, side + 14, -6, (170, 30, 34))
    return _plate(pen)


def _plate(pen: _Pen) -> tuple[float, float, float, float]:
    across, down, middle = 36.0, 8.0, 2.0
    pen.block(-across - 1, middle - down - 1, across + 1, middle + down + 1, (24, 24, 26))
    pen.block(-across, middle - down, across, middle + down, (240, 240, 236))
    pen.block(-across, middle - down, -across + 6, middle + down, (30, 60, 150))
    at = pen.point(-across + 9, middle + 5)
    cv2.putText(pen.canvas, "AB 12 345", at, cv2.FONT_HERSHEY_DUPLEX, 1.34, (20, 20, 24), 4, cv2.LINE_AA)
    return pen.x - across, pen.y + middle - down, pen.x + across, pen.y + middle + down
