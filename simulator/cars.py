"""Cars, lofted: cross-sections along a profile give the body, patches on it the glass, lamps, grille and wheels.

Car frame, metres: s from the front bumper to the back, w to the driver's right, h up from the road.
"""

# ruff: noqa: PLR2004 - the numbers of a drawing are its measures

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator import plates
from simulator.scene import Facets, Quad
from simulator.textures import Texture

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]
Colour = tuple[float, float, float]
Surface = Callable[[Floats, Floats], NDArray[np.float64]]

_SUN = np.array([-0.45, -0.72, -0.53])
_SKY = np.array([205.0, 216.0, 228.0])
_GLASS: Colour = (24, 30, 35)
_DARK: Colour = (26, 27, 29)
_PAINTS: tuple[Colour, ...] = (
    (222, 224, 224), (38, 40, 44), (124, 128, 132), (168, 172, 176), (28, 48, 92), (140, 26, 30), (62, 84, 98),
    (196, 190, 172), (40, 74, 56), (96, 100, 104), (58, 62, 68), (206, 120, 40),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """A body style: roof line as (s, h) points, and where its belt line and pillars are; metres."""

    length: float
    width: float
    belt: float
    roof: tuple[tuple[float, float], ...]
    screen: tuple[float, float]
    back: tuple[float, float]
    pillars: tuple[float, ...]
    rear_plate: float


SHAPES = (
    Shape(4.1, 1.76, 0.94, ((0, 0.68), (0.12, 0.74), (0.95, 0.97), (1.7, 1.4), (2.3, 1.47), (3.3, 1.42), (3.9, 1.02), (4.1, 0.9)),
          (0.98, 1.68), (3.34, 3.9), (2.45,), 0.72),
    Shape(4.65, 1.82, 0.95, ((0, 0.66), (0.12, 0.72), (1.15, 0.97), (1.95, 1.38), (2.5, 1.44), (3.25, 1.4), (4.0, 1.05), (4.55, 1.0), (4.65, 0.92)),
          (1.18, 1.92), (3.28, 3.98), (2.62,), 0.76),
    Shape(4.45, 1.86, 1.06, ((0, 0.82), (0.14, 0.9), (1.05, 1.1), (1.7, 1.56), (2.3, 1.66), (3.75, 1.6), (4.3, 1.15), (4.45, 1.0)),
          (1.08, 1.68), (3.78, 4.3), (2.5, 3.45), 0.84),
    Shape(4.75, 1.9, 1.1, ((0, 0.8), (0.12, 0.95), (0.75, 1.15), (1.45, 1.78), (2.0, 1.88), (4.5, 1.86), (4.7, 1.2), (4.75, 1.0)),
          (0.8, 1.42), (4.53, 4.68), (2.1, 3.4), 0.8),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Car:
    """A car in the world: its body, its two plates (front, rear) with their outward normals, and its blobs of volume."""

    body: Facets
    shadow: Quad
    plates: tuple[Quad, ...]
    normals: tuple[NDArray[np.float64], ...]
    centre: NDArray[np.float64]
    yaw: float
    shape: Shape

    def hides(self, eye: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return bool [N]: the car stands between the eye and points float64 [N, 3]."""
        shape = self.shape
        hidden = np.zeros(len(points), bool)
        for low, high in (
            ((0.0, 0.25), (shape.length, shape.belt)),
            ((shape.screen[0] + 0.4, 0.25), (shape.back[1] - 0.3, shape.roof[4][1])),
        ):
            hidden |= self._box_hides(
                eye, points, np.array([low[0], -shape.width / 2, low[1]]), np.array([high[0], shape.width / 2, high[1]])
            )
        return hidden

    def _box_hides(self, eye: Floats, points: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
        start, ends = _to_car(eye[None], self)[0], _to_car(points, self)
        way = ends - start
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (low - start) / way, (high - start) / way
        enter = np.nanmax(np.minimum(first, second), axis=1)
        leave = np.nanmin(np.maximum(first, second), axis=1)
        return np.asarray((enter < leave) & (leave > 0) & (enter < 0.98))


def _to_car(points: Floats, car: Car) -> Floats:
    """World to (s, w, h)."""
    forward, right = _axes(car.yaw)
    apart = points - car.centre
    return np.stack([car.shape.length / 2 - apart @ forward, apart @ right, -apart[:, 1]], axis=-1)


def _axes(yaw: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the car's front and its right point to in the world."""
    return np.array([np.sin(yaw), 0, np.cos(yaw)]), np.array([np.cos(yaw), 0, -np.sin(yaw)])


def car(rng: np.random.Generator, centre: NDArray[np.float64], yaw: float) -> Car:
    """Return a random car whose middle stands on the ground at `centre` (float64 [3]) and whose front looks along `yaw`."""
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    place = _placer(shape, centre, yaw)
    forward, right = _axes(yaw)
    front = _plate(rng, place(np.array([-0.085, 0.0, 0.5 if shape.belt < 1 else 0.58])), -right, -forward)
    rear = _plate(rng, place(np.array([shape.length + 0.085, 0.0, shape.rear_plate])), right, forward)
    return Car(_body(shape, paint, place), _shadow(shape, centre, yaw), (front, rear), (forward, -forward), centre, yaw, shape)


def _placer(shape: Shape, centre: NDArray[np.float64], yaw: float) -> Callable[[Floats], NDArray[np.float64]]:
    forward, right = _axes(yaw)

    def place(points: Floats) -> NDArray[np.float64]:
        along = (shape.length / 2 - points[..., 0])[..., None] * forward
        up = np.array([0.0, -1.0, 0.0]) * points[..., 2:3]
        return np.asarray(centre + along + points[..., 1:2] * right + up, np.float64)

    return place


def _plate(rng: np.random.Generator, middle: Floats, right: Floats, inward: Floats) -> Quad:
    """A plate leans back a little, as mounted ones do."""
    down = np.array([0.0, 1.0, 0.0]) - rng.uniform(-0.02, 0.1) * inward
    down = plates.HEIGHT * down / np.linalg.norm(down)
    across = plates.LENGTH * (right + np.array([0, rng.normal(0, 0.008), 0]))
    return Quad(middle - across / 2 - down / 2, across, down, Texture.of(plates.plate(rng)))


def _shadow(shape: Shape, centre: NDArray[np.float64], yaw: float) -> Quad:
    forward, right = _axes(yaw)
    image = np.zeros((96, 48, 4), np.uint8)
    image[14:-14, 9:-9, 3] = 215
    image = cv2.GaussianBlur(image, (0, 0), 4.5).astype(np.uint8)
    length, width = (shape.length + 0.3) * 96 / 68, (shape.width + 0.1) * 48 / 30
    down, across = -forward * length, right * width
    return Quad(centre - across / 2 - down / 2 - np.array([0, 0.012, 0]), across, down, Texture.of(image))


def _body(shape: Shape, paint: Colour, place: Callable[[Floats], NDArray[np.float64]]) -> Facets:
    painter = _Painter(place, place(np.array([shape.length / 2, 0.0, 0.6])))
    loft, nose, tail = _loft(shape), _cap(shape, front=True), _cap(shape, front=False)
    stations = shape.length * (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 44)))
    painter.patch(loft, stations, np.linspace(0, 1, 37), paint, 1)
    for cap in (nose, tail):
        painter.patch(cap, np.linspace(-1, 1, 15), np.linspace(0.0, 1.0, 13), paint, 1)
    _glass(painter, shape, loft)
    _front(painter, nose)
    _rear(painter, tail)
    _sides(painter, shape, loft)
    return painter.facets()


class _Painter:
    """Collects shaded faces."""

    def __init__(self, place: Callable[[Floats], NDArray[np.float64]], middle: NDArray[np.float64]) -> None:
        self._place = place
        self._middle = middle
        self._corners: list[NDArray[np.float64]] = []
        self._colours: list[Image] = []
        self._layers: list[NDArray[np.int32]] = []

    def patch(
        self, surface: Surface, first: Floats, second: Floats, colour: Colour, layer: int, gloss: float = 0.3, fade: float = 0
    ) -> None:
        """Put a patch of a surface on, cut along the two parameters; by `fade` brighter at its top and darker at its foot."""
        points = self._place(surface(first[:, None], second[None, :]))
        quads = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2)
        self._faces(quads.reshape(-1, 4, 3), colour, layer, gloss, fade)

    def _faces(self, corners: NDArray[np.float64], colour: Colour, layer: int, gloss: float, fade: float) -> None:
        """Put world-frame faces float64 [N, 4, 3] on, turned so that they look outwards."""
        normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        inwards = np.sum(normals * (corners.mean(axis=1) - self._middle), axis=1) < 0
        corners = np.where(inwards[:, None, None], corners[:, ::-1], corners)
        normals = np.where(inwards[:, None], -normals, normals)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        self._corners.append(corners)
        rise = -corners[:, :, 1].mean(axis=1)
        share = (rise - rise.min()) / max(float(np.ptp(rise)), 1e-6)
        self._colours.append(_shaded(normals, colour, gloss, 1 + fade * (2 * share - 1)))
        self._layers.append(np.full(len(corners), layer, np.int32))

    def facets(self) -> Facets:
        """Return all of them."""
        return Facets(np.concatenate(self._corners), np.concatenate(self._colours), np.concatenate(self._layers))


def _shaded(normals: NDArray[np.float64], colour: Colour, gloss: float, fade: NDArray[np.float64]) -> Image:
    """Sky from above, sun from one side, and a reflection of whichever the face looks at."""
    up = np.clip(-normals[:, 1], -1, 1)
    sun = np.clip(normals @ (_SUN / np.linalg.norm(_SUN)), 0, 1)
    light = 0.42 + 0.22 * up + 0.5 * sun
    mirror = gloss * np.clip(0.25 + 0.75 * up, 0.05, 1) ** 2
    lit = np.array(colour) * light[:, None] + _SKY * mirror[:, None]
    return np.asarray(np.clip(lit * fade[:, None], 0, 255), np.uint8)


def _loft(shape: Shape) -> Surface:
    """Return (s, q) -> (s, w, h); q runs 0..1 from one sill over the roof to the other."""
    knots = np.array([0, 0.06, 0.16, 0.24, 0.3, 0.33, 0.45, 0.48, 0.5])

    def surface(s: Floats, q: Floats) -> NDArray[np.float64]:
        s, q = np.broadcast_arrays(s, q)
        widths, heights = _section(shape, s)
        half = np.minimum(q, 1 - q)
        w = sum(_hat(half, knots, i) * widths[i] for i in range(len(knots)))
        h = sum(_hat(half, knots, i) * heights[i] for i in range(len(knots)))
        return np.stack([s, np.where(q < 0.5, -1.0, 1.0) * w, h], axis=-1)

    return surface


def _hat(x: Floats, knots: Floats, index: int) -> Floats:
    """Linear interpolation's weight of one knot."""
    return np.asarray(np.interp(x, knots, np.eye(len(knots))[index]))


def _section(shape: Shape, s: Floats) -> tuple[list[Floats], list[Floats]]:
    """Return half widths and heights of the cross-section's nine knots at s."""
    top = np.interp(s, *np.transpose(shape.roof))
    ends = np.minimum(s, shape.length - s)
    plan = shape.width / 2 * np.interp(ends, [0, 0.1, 0.35, 0.9], [0.86, 0.93, 0.98, 1.0])
    belt = np.minimum(shape.belt, top - 0.05)
    cabin = np.clip((top - belt - 0.05) / 0.45, 0, 1)
    edge = plan * (0.94 - 0.2 * cabin)
    low = np.full_like(top, 0.2)
    widths = [plan * 0.93, plan * 0.985, plan, plan * 0.995, plan * 0.975, plan * 0.95, edge, edge * 0.9, 0 * plan]
    heights = [low, low + 0.1, 0.5 + 0 * top, belt - 0.16, belt - 0.03, belt, top - 0.06 + 0 * cabin, top - 0.02, top + 0.01]
    return widths, [np.minimum(height, top) for height in heights]


def _cap(shape: Shape, *, front: bool) -> Surface:
    """Return (u, v) -> (s, w, h): u -1..1 across, v 0..1 from the sill to the end of the bonnet or boot."""
    at = np.array(0.0 if front else shape.length)
    widths, heights = (np.array([float(value) for value in row]) for row in _section(shape, at))
    order = np.argsort(heights, kind="stable")

    def surface(u: Floats, v: Floats) -> NDArray[np.float64]:
        u, v = np.broadcast_arrays(u, v)
        h = heights[0] + v * (heights[-1] - heights[0])
        half = np.interp(h, heights[order][:-1], widths[order][:-1])
        out = 0.07 * (1 - u * u) * np.clip(1.6 - 1.3 * v, 0.3, 1) - 0.02 * (np.abs(v - 0.3) < 0.3)
        return np.stack([-out if front else shape.length + out, u * half, h], axis=-1)

    return surface


def _off(surface: Surface, outwards: float) -> Surface:
    """The same surface a little further out from the car's middle line."""

    def lifted(first: Floats, second: Floats) -> NDArray[np.float64]:
        points = surface(first, second).copy()
        points[..., 1] += outwards * np.sign(points[..., 1])
        points[..., 2] += outwards
        return points

    return lifted


def _glass(painter: _Painter, shape: Shape, loft: Surface) -> None:
    skin = _off(loft, 0.004)
    for low, high in (shape.screen, shape.back):
        painter.patch(skin, np.linspace(low, high, 17), np.linspace(0.46, 0.54, 9), _GLASS, 2, 0.42, 0.4)
    for low, high in _windows(shape):
        for side in (np.linspace(0.338, 0.437, 15), np.linspace(0.563, 0.662, 15)):
            painter.patch(_slanted(skin, shape), np.linspace(low, high, 9), side, _GLASS, 2, 0.5, 0.35)


def _windows(shape: Shape) -> list[tuple[float, float]]:
    stops = [shape.screen[0] + 0.32, *shape.pillars, shape.back[1] - 0.42]
    return [(first + 0.04, second - 0.04) for first, second in pairwise(stops)]


def _slanted(skin: Surface, shape: Shape) -> Surface:
    """Side windows lean with the pillars: narrower at the roof."""
    middle = (shape.screen[1] + shape.back[0]) / 2

    def leaning(s: Floats, q: Floats) -> NDArray[np.float64]:
        share = (np.minimum(q, 1 - q) - 0.338) / 0.1
        reach = np.clip(np.abs(s - middle) / (shape.length * 0.3), 0, 1) ** 3
        return skin(s + (middle - s) * 0.32 * share * reach, q)

    return leaning


def _front(painter: _Painter, nose: Surface) -> None:
    painter.patch(nose, np.linspace(-0.98, 0.98, 9), np.linspace(0.0, 0.08, 2), _DARK, 2, 0.05)
    painter.patch(nose, np.linspace(-0.62, 0.62, 9), np.linspace(0.12, 0.34, 3), _DARK, 2, 0.05)
    painter.patch(nose, np.linspace(-0.46, 0.46, 9), np.linspace(0.76, 0.93, 3), _DARK, 2, 0.1)
    for height in (0.79, 0.84, 0.89):
        painter.patch(nose, np.linspace(-0.45, 0.45, 9), np.array([height, height + 0.015]), (150, 152, 155), 3, 0.3)
    painter.patch(nose, np.linspace(-0.07, 0.07, 3), np.linspace(0.78, 0.91, 3), (205, 207, 210), 4, 0.3)
    painter.patch(nose, np.linspace(-0.335, 0.335, 5), np.linspace(0.38, 0.68, 3), (40, 41, 43), 2, 0.05)
    for side in (-1.0, 1.0):
        painter.patch(nose, side * np.linspace(0.56, 0.97, 5), np.linspace(0.74, 0.96, 3), (60, 64, 70), 2, 0.3)
        painter.patch(nose, side * np.linspace(0.6, 0.92, 5), np.linspace(0.77, 0.93, 3), (226, 230, 235), 3, 0.4)
        painter.patch(nose, side * np.linspace(0.7, 0.84, 5), np.linspace(0.14, 0.26, 3), (200, 204, 208), 3, 0.3)


def _rear(painter: _Painter, tail: Surface) -> None:
    painter.patch(tail, np.linspace(-0.98, 0.98, 9), np.linspace(0.0, 0.14, 2), _DARK, 2, 0.05)
    painter.patch(tail, np.linspace(-0.9, 0.9, 9), np.array([0.44, 0.455]), _DARK, 2, 0.0)
    painter.patch(tail, np.linspace(-0.36, 0.36, 5), np.linspace(0.58, 0.92, 3), (44, 45, 47), 2, 0.05)
    for side in (-1.0, 1.0):
        painter.patch(tail, side * np.linspace(0.58, 0.99, 5), np.linspace(0.68, 0.97, 4), (165, 18, 22), 2, 0.25)
        painter.patch(tail, side * np.linspace(0.62, 0.75, 5), np.linspace(0.72, 0.82, 3), (226, 214, 205), 3, 0.3)
        painter.patch(tail, side * np.linspace(0.66, 0.86, 5), np.linspace(0.2, 0.25, 3), (150, 24, 24), 3, 0.2)


def _sides(painter: _Painter, shape: Shape, loft: Surface) -> None:
    skin = _off(loft, 0.004)
    for side in (0.0, 1.0):
        strip = np.array([abs(side - q) for q in (0.0, 0.05)])
        painter.patch(skin, np.linspace(0.3, shape.length - 0.3, 12), strip, _DARK, 2, 0.05)
        for cut in (shape.screen[0] + 0.28, *shape.pillars[:1], shape.back[1] - 0.62):
            line = np.abs(side - np.linspace(0.06, 0.32, 9))
            painter.patch(skin, np.array([cut - 0.006, cut + 0.006]), line, (30, 30, 32), 2, 0.0)
        handle = np.abs(side - np.array([0.262, 0.28]))
        for start in (shape.pillars[0] - 0.3, shape.back[1] - 0.95):
            painter.patch(skin, np.array([start, start + 0.17]), handle, (70, 72, 75), 3, 0.3)
        for axle in (0.82, shape.length - 0.86):
            _wheel(painter, shape, axle, 1.0 if side else -1.0)
        _mirror(painter, shape, 1.0 if side else -1.0)


def _wheel(painter: _Painter, shape: Shape, axle: float, side: float) -> None:
    out = side * (shape.width / 2 + 0.006)
    for radius, colour, layer in (
        (0.375, (12, 12, 13), 4),
        (0.325, (30, 31, 33), 5),
        (0.215, (158, 161, 165), 6),
        (0.05, (90, 92, 95), 8),
    ):
        painter.patch(_disc(axle, out, radius), np.array([0.0, 1.0]), np.linspace(0, 2 * np.pi, 33), colour, layer, 0.08)
    for spoke in np.arange(5) * 2 * np.pi / 5:
        painter.patch(_disc(axle, out, 0.19), np.array([0.35, 1.0]), spoke + np.linspace(-0.3, 0.3, 4), (44, 45, 48), 7, 0.05)


def _disc(axle: float, out: float, radius: float) -> Surface:
    def surface(share: Floats, angle: Floats) -> NDArray[np.float64]:
        share, angle = np.broadcast_arrays(share, angle)
        reach = radius * share
        return np.stack(
            [axle + reach * np.cos(angle), np.full_like(reach, out), np.maximum(0.325 + reach * np.sin(angle), 0.005)], axis=-1
        )

    return surface


def _mirror(painter: _Painter, shape: Shape, side: float) -> None:
    def surface(around: Floats, along: Floats) -> NDArray[np.float64]:
        around, along = np.broadcast_arrays(around, along)
        ring = np.sqrt(np.clip(1 - along**2, 0, 1))
        w = side * (shape.width / 2 + 0.1 + 0.11 * along)
        return np.stack(
            [shape.screen[0] + 0.5 + 0.06 * ring * np.cos(around), w, shape.belt + 0.06 + 0.075 * ring * np.sin(around)], axis=-1
        )

    painter.patch(surface, np.linspace(0, 2 * np.pi, 11), np.linspace(-1, 1, 7), (44, 46, 50), 1, 0.2)
