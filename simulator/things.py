"""What stands in a street: cars, people, trees and lamp posts; each draws itself, hides others and knows what identifies it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from simulator import people
from simulator.cars import Car
from simulator.people import FINENESSES, Person
from simulator.scene import Facets, Quad
from simulator.textures import Texture

Points = NDArray[np.float64]

FACE_TURN = np.radians(75)
"""A face turned further from the camera than this identifies nobody."""

PLATE_TURN = np.radians(70)
"""A plate seen further than this off its normal cannot be read."""

_YAW_STEP = np.radians(10)
_GRID = (np.arange(7) + 0.5) / 7
_TOUCHES = 0.98
_SPARE = 1.4
_OPAQUE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A face or plate in the world: points float64 [N, 3] whose extent is its box, and points [M, 3] spread over it."""

    kind: Literal["face", "plate"]
    outline: Points
    spread: Points


class Thing(Protocol):
    """Something at a place (float64 [3], on the ground)."""

    @property
    def place(self) -> Points:
        """Where it stands."""
        ...

    def parts(self, eye: Points) -> Sequence[Quad | Facets]:
        """Return what to draw, in that order, for a rig whose origin is at `eye`."""
        ...

    def marks(self, eye: Points) -> Sequence[Mark]:
        """Return what of it identifies somebody, as seen from there."""
        ...

    def hides(self, eye: Points, points: Points) -> NDArray[np.bool_]:
        """Return bool [N]: it stands between the eye and the points float64 [N, 3]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PlatedCar:
    """A car that stands or drives."""

    car: Car

    @property
    def place(self) -> Points:
        """The middle of the car."""
        return self.car.centre

    def parts(self, eye: Points) -> Sequence[Quad | Facets]:
        """Its shadow, its body, and the plates that look this way."""
        return [self.car.shadow, self.car.body, *self._plates(eye, np.pi / 2)]

    def marks(self, eye: Points) -> Sequence[Mark]:
        """Return the plates one could read."""
        return [_plate_mark(quad) for quad in self._plates(eye, PLATE_TURN)]

    def _plates(self, eye: Points, turn: float) -> list[Quad]:
        pairs = zip(self.car.plates, self.car.normals, strict=True)
        return [quad for quad, normal in pairs if _unit(eye - quad.corner) @ normal > np.cos(turn)]

    def hides(self, eye: Points, points: Points) -> NDArray[np.bool_]:
        """Two boxes stand for the car."""
        return self.car.hides(eye, points)


def _plate_mark(quad: Quad) -> Mark:
    edge = np.linspace(0, 1, 5)
    return Mark("plate", quad.points(edge[None, :], edge[:, None]).reshape(-1, 3), _spread(quad))


def _spread(quad: Quad) -> Points:
    return quad.points(_GRID[None, :], _GRID[:, None]).reshape(-1, 3)


@dataclass(slots=True, eq=False)
class Walker:
    """Somebody who stands or walks; `body` and `gaze` are headings in the world, radians from z to the right."""

    person: Person
    place: Points
    body: float
    gaze: float
    pixels_per_radian: float
    _pictures: dict[tuple[int, int, int], Texture] = field(default_factory=dict)

    def parts(self, eye: Points) -> Sequence[Quad | Facets]:
        """A shadow, and a picture that stands upright and square to the eye."""
        return [_blob(self.place), self._picture(eye)]

    def _picture(self, eye: Points) -> Quad:
        body, gaze = self._turns(eye)
        fineness = self._fineness(eye)
        key = round(body / _YAW_STEP), round(gaze / _YAW_STEP), fineness
        if key not in self._pictures:
            self._pictures[key] = Texture.of(people.figure(self.person, body, gaze, fineness))
        return upright(self.place, eye, self._pictures[key], fineness)

    def _fineness(self, eye: Points) -> int:
        """As fine as it will be seen, and no finer: drawing people is slow."""
        needed = _SPARE * self.pixels_per_radian / float(np.linalg.norm(self.place - eye))
        return next((fineness for fineness in FINENESSES if fineness >= needed), FINENESSES[-1])

    def _turns(self, eye: Points) -> tuple[float, float]:
        """Return body and head yaw as the eye sees them, in the steps in which pictures are made."""
        towards = float(np.arctan2(eye[0] - self.place[0], eye[2] - self.place[2]))
        turns = [(towards - heading + np.pi) % (2 * np.pi) - np.pi for heading in (self.body, self.gaze)]
        body, gaze = (round(turn / _YAW_STEP) * _YAW_STEP for turn in turns)
        return float(body), float(gaze)

    def marks(self, eye: Points) -> Sequence[Mark]:
        """Return the face, if it is turned to the eye."""
        _, gaze = self._turns(eye)
        if abs(gaze) >= FACE_TURN:
            return []
        outline = people.face_outline(gaze).astype(np.float64)
        middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
        spread = np.concatenate([middle + (outline - middle) * share for share in (0.3, 0.6, 0.9)])
        return [Mark("face", self._at_head(eye, outline), self._at_head(eye, spread))]

    def _at_head(self, eye: Points, flat: Points) -> Points:
        right = across(self.place, eye)
        down = np.array([0.0, 1.0, 0.0])
        head = self.place - people.head_height(self.person) * down
        return np.asarray(head + flat[:, :1] * right + flat[:, 1:] * down, np.float64)

    def hides(self, eye: Points, points: Points) -> NDArray[np.bool_]:
        """The picture itself hides."""
        return quad_hides(self._picture(eye), eye, points)


@dataclass(frozen=True, slots=True, eq=False)
class Upright:
    """A tree or a lamp post: a picture that stands square to the eye."""

    place: Points
    texture: Texture
    scale: float

    def parts(self, eye: Points) -> Sequence[Quad | Facets]:
        """A shadow and the picture."""
        return [_blob(self.place), upright(self.place, eye, self.texture, self.scale)]

    def marks(self, eye: Points) -> Sequence[Mark]:  # noqa: ARG002 - the protocol's
        """Nobody is identified by a tree."""
        return []

    def hides(self, eye: Points, points: Points) -> NDArray[np.bool_]:
        """The picture itself hides."""
        return quad_hides(upright(self.place, eye, self.texture, self.scale), eye, points)


def upright(place: Points, eye: Points, texture: Texture, scale: float) -> Quad:
    """Return a picture of `scale` texels a metre that stands on `place` and is square to the eye."""
    right = across(place, eye) * (texture.width / scale)
    down = np.array([0.0, texture.height / scale, 0.0])
    return Quad(place - right / 2 - down, right, down, texture)


def across(place: Points, eye: Points) -> Points:
    """Return the level unit vector that points to the right of somebody who looks from the eye to the place."""
    way = place - eye
    return _unit(np.array([way[2], 0.0, -way[0]]))


def quad_hides(quad: Quad, eye: Points, points: Points) -> NDArray[np.bool_]:
    """Return bool [N]: the opaque part of the picture lies between the eye and the points."""
    normal = quad.normal
    way = points - eye
    with np.errstate(divide="ignore", invalid="ignore"):
        share = ((quad.corner - eye) @ normal) / (way @ normal)
        hit = np.nan_to_num(eye + share[:, None] * way - quad.corner)
    width, height = quad.texture.width, quad.texture.height
    columns = (hit @ quad.right) / (quad.right @ quad.right) * width
    rows = (hit @ quad.down) / (quad.down @ quad.down) * height
    alpha = quad.texture.alpha_at(columns.astype(np.float32), rows.astype(np.float32))
    return np.asarray((share > 0) & (share < _TOUCHES) & (alpha > _OPAQUE))


def _unit(vector: Points) -> Points:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


def _blob(place: Points) -> Quad:
    """A soft shadow round somebody's feet."""
    right, down = np.array([0.9, 0, 0]), np.array([0, 0, -0.7])
    return Quad(place - right / 2 - down / 2 - np.array([0, 0.01, 0]), right, down, _BLOB)


def _blob_texture() -> Texture:
    x = np.linspace(-1, 1, 48)
    image = np.zeros((48, 48, 4), np.uint8)
    image[..., 3] = 150 * np.clip(1 - np.hypot(x[None, :], x[:, None]), 0, 1)
    return Texture.of(image)


_BLOB = _blob_texture()
