"""People who never lived: heads and bodies of ellipsoids and limbs, seen from any side, lit, and painted with features.

A figure is seen along parallel rays. Its surface is a height field towards the viewer: x right, y down, z towards the viewer,
metres. Head frame: origin between the eyes' height and the ears, z out of the face.
"""

# ruff: noqa: PLR2004 - the numbers of a drawing are its measures

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Vector = tuple[float, float, float]
Colour = tuple[float, float, float]

FINENESSES = (55, 110, 190, 320)
"""Pixels per metre in which figures come; a face is a quarter of a metre high."""

FACE = (-0.082, 0.112)
"""A face reaches from the hairline to the chin: y in the head frame."""

_HEAD_WINDOW = (-0.15, -0.18, 0.15, 0.145)
_ROOM_ABOVE = 0.1
_BODY_FINENESS = 0.5
_OVERSAMPLED = 2
_NOWHERE = -1e3
_KEY_LIGHT = np.array([-0.45, -0.72, 0.53], np.float32)


@dataclass(frozen=True, slots=True)
class Person:
    """What one person looks like; lengths in metres, colours linear RGB 0..1."""

    height: float
    build: float
    skin: Colour
    hair: Colour
    top: Colour
    trousers: Colour
    shoes: Colour
    hair_style: str
    hat: str
    hat_colour: Colour
    beard: float
    glasses: bool
    eye_colour: Colour
    jaw: float
    smile: float
    stride: float


@dataclass(slots=True)
class _Relief:
    """A height field in the making: where it is, how high, and its colour."""

    x: Floats
    y: Floats
    turn: NDArray[np.float32]
    z: Floats = field(init=False)
    colour: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.z = np.full(self.x.shape, _NOWHERE, np.float32)
        self.colour = np.zeros((*self.x.shape, 3), np.float32)

    def local(self, z: Floats) -> Floats:
        """Return the figure's own coordinates float32 [h, w, 3] of the surface at height z."""
        return np.stack([self.x, self.y, z], axis=-1) @ self.turn

    def add(self, z: Floats, colour: Floats | Colour, blend: float = 0.0) -> None:
        """Put a surface on: the higher wins; `blend` metres of smoothing where two meet."""
        both = (self.z > _NOWHERE / 2) & (z > _NOWHERE / 2)
        lift: Floats | np.float32
        if blend > 0:
            near = np.clip(0.5 + 0.5 * (z - self.z) / blend, 0, 1)
            lift = np.where(both, blend * near * (1 - near), 0)
            weight = np.where(both, near, (z > self.z).astype(np.float32))
        else:
            lift, weight = np.float32(0), (z > self.z).astype(np.float32)
        self.colour += weight[..., None] * (np.asarray(colour, np.float32) - self.colour)
        self.z = np.where(both, self.z * (1 - weight) + z * weight + lift, np.maximum(self.z, z)).astype(np.float32)


def someone(rng: np.random.Generator) -> Person:
    """Return a random person."""
    melanin = rng.uniform(0, 1) ** 1.3
    skin = _between(((0.80, 0.55, 0.43), (0.62, 0.38, 0.26), (0.36, 0.20, 0.12), (0.16, 0.085, 0.055)), melanin)
    grey = rng.uniform() < 0.2
    dark_hair = ((0.05, 0.035, 0.025), (0.11, 0.06, 0.03), (0.33, 0.21, 0.10), (0.52, 0.38, 0.2), (0.28, 0.09, 0.03))
    pick = int(rng.integers(len(dark_hair))) if melanin < 0.4 else 0
    style = str(rng.choice(["short", "short", "long", "bun", "bald"], p=[0.3, 0.24, 0.28, 0.1, 0.08]))
    return Person(
        height=float(rng.uniform(1.56, 1.92)),
        build=float(rng.uniform(0.88, 1.18)),
        skin=skin,
        hair=(0.46, 0.45, 0.44) if grey else dark_hair[pick],
        top=_cloth(rng),
        trousers=_between(((0.02, 0.025, 0.05), (0.05, 0.09, 0.2), (0.25, 0.22, 0.17), (0.03, 0.03, 0.03)), rng.uniform()),
        shoes=_between(((0.02, 0.02, 0.02), (0.2, 0.1, 0.05), (0.7, 0.7, 0.7)), rng.uniform()),
        hair_style=style,
        hat=str(rng.choice(["", "cap", "beanie"], p=[0.74, 0.13, 0.13])),
        hat_colour=_cloth(rng),
        beard=float(rng.uniform(0.35, 0.9)) if style in {"short", "bald"} and rng.uniform() < 0.4 else 0.0,
        glasses=bool(rng.uniform() < 0.22),
        eye_colour=_between(((0.12, 0.06, 0.03), (0.1, 0.16, 0.2), (0.12, 0.2, 0.1)), rng.uniform() * (melanin < 0.4)),
        jaw=float(rng.uniform(0.93, 1.08)),
        smile=float(rng.uniform(-0.2, 1.0)),
        stride=float(rng.uniform(0, 0.2)),
    )


def _between(colours: tuple[Colour, ...], share: float) -> Colour:
    """Walk along a row of colours."""
    stops = np.linspace(0, 1, len(colours))
    red, green, blue = (float(np.interp(share, stops, [colour[i] for colour in colours])) for i in range(3))
    return red, green, blue


def _cloth(rng: np.random.Generator) -> Colour:
    hue, saturation, value = rng.uniform(0, 360), rng.uniform(0.05, 0.8), rng.uniform(0.12, 0.85)
    pixel = np.array([[[hue, saturation, value]]], np.float32)
    red, green, blue = (float(v) ** 2.2 for v in cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue


def figure(person: Person, body_yaw: float, head_yaw: float, fineness: int = FINENESSES[-1]) -> Image:
    """Return the whole person from the side that the yaws say (radians, 0 faces the viewer, positive turns to the viewer's right).

    Straight-alpha RGBA uint8, `fineness` pixels a metre; 0 of x is the middle column, the last row is the ground.
    """
    body = _body(person, body_yaw, round(fineness * _BODY_FINENESS))
    rows, columns = (2 * round(size * fineness / 2) for size in (person.height + _ROOM_ABOVE, 1.0))
    canvas = cv2.resize(body, (columns, rows), interpolation=cv2.INTER_CUBIC)
    face = head(person, head_yaw, fineness)
    top = rows - round((head_height(person) - _HEAD_WINDOW[1]) * fineness)
    left = columns // 2 + round(_HEAD_WINDOW[0] * fineness)
    part = canvas[top : top + face.shape[0], left : left + face.shape[1]].astype(np.float32) / 255
    part[..., :3] *= part[..., 3:]
    over = face.astype(np.float32) / 255
    over[..., :3] *= over[..., 3:]
    part = over + part * (1 - over[..., 3:])
    part[..., :3] /= np.maximum(part[..., 3:], 1e-3)
    canvas[top : top + face.shape[0], left : left + face.shape[1]] = np.clip(part * 255 + 0.5, 0, 255)
    return canvas.astype(np.uint8, copy=False)


def head_height(person: Person) -> float:
    """Return how far above the ground the head frame's origin is, metres."""
    return person.height - 0.135


def head(person: Person, yaw: float, fineness: int = FINENESSES[-1]) -> Image:
    """Return the head and neck alone, straight-alpha RGBA uint8."""
    relief = _canvas(_HEAD_WINDOW, fineness * _OVERSAMPLED, yaw)
    _skull(relief, person)
    _features(relief, person)
    _hair(relief, person)
    _hat(relief, person)
    if person.glasses:
        _glasses(relief)
    return _lit(relief, _occlusion(relief, fineness))


def face_outline(yaw: float) -> Floats:
    """Return points float32 [N, 2] (x right, y down, metres from the head's origin) round what a viewer sees of the face."""
    y = np.linspace(FACE[0], FACE[1], 15, dtype=np.float32)
    middle = (FACE[0] + FACE[1]) / 2
    share = np.sqrt(np.clip(1 - ((y - middle) / (FACE[1] - middle)) ** 2, 0, 1))
    points = []
    for angle in np.radians(np.linspace(-80, 80, 17)):
        radius = np.stack([0.074 * np.sin(angle) * share, y, 0.03 + 0.062 * np.cos(angle) * share], axis=-1)
        points.append(radius)
    nose = np.array([[0, 0.035, 0.112]])
    cloud = np.concatenate([*points, nose]).astype(np.float32) @ _turn(yaw).T
    return np.asarray(cloud[:, :2], np.float32)


def _turn(yaw: float) -> NDArray[np.float32]:
    """Figure to viewer, float32 [3, 3]: yaw turns the face to the viewer's right."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    around = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return around.astype(np.float32)


def _canvas(window: tuple[float, float, float, float], pixels_per_metre: float, yaw: float) -> _Relief:
    left, top, right, bottom = window
    columns, rows = (2 * round(size * pixels_per_metre / 2) for size in (right - left, bottom - top))
    x = (left + (np.arange(columns) + 0.5) / pixels_per_metre).astype(np.float32)
    y = (top + (np.arange(rows) + 0.5) / pixels_per_metre).astype(np.float32)
    across, down = np.meshgrid(x, y)
    return _Relief(across, down, _turn(yaw))


def _ellipsoid(relief: _Relief, centre: Vector, radii: Vector) -> Floats:
    """Return the height float32 [h, w] of an ellipsoid of the figure's frame towards the viewer; far below where it is not."""
    middle = relief.turn @ np.array(centre, np.float32)
    axes = relief.turn / np.array(radii, np.float32)
    form = axes @ axes.T
    x, y = relief.x - middle[0], relief.y - middle[1]
    b = form[0, 2] * x + form[1, 2] * y
    c = form[0, 0] * x * x + 2 * form[0, 1] * x * y + form[1, 1] * y * y - 1
    root = b * b - form[2, 2] * c
    height = (-b + np.sqrt(np.maximum(root, 0))) / form[2, 2] + middle[2]
    return np.where(root > 0, height, np.float32(_NOWHERE)).astype(np.float32)


def _limb(relief: _Relief, start: Vector, end: Vector, radii: tuple[float, float]) -> Floats:
    """Return the height of a tapered round bar."""
    first, last = (relief.turn @ np.array(point, np.float32) for point in (start, end))
    axis = last - first
    length = max(float(axis[0] ** 2 + axis[1] ** 2), 1e-8)
    share = np.clip(((relief.x - first[0]) * axis[0] + (relief.y - first[1]) * axis[1]) / length, 0, 1)
    radius = radii[0] + (radii[1] - radii[0]) * share
    x, y = relief.x - first[0] - share * axis[0], relief.y - first[1] - share * axis[1]
    room = radius * radius - x * x - y * y
    height = first[2] + share * axis[2] + np.sqrt(np.maximum(room, 0))
    return np.where(room > 0, height, np.float32(_NOWHERE)).astype(np.float32)


def _skull(relief: _Relief, person: Person) -> None:
    skin, jaw = person.skin, person.jaw
    relief.add(_limb(relief, (0, 0.07, -0.022), (0, 0.24, -0.04), (0.05, 0.054)), skin)
    for side in (-1.0, 1.0):
        relief.add(_ellipsoid(relief, (side * 0.076, 0.012, -0.012), (0.012, 0.032, 0.02)), skin)
    relief.add(_ellipsoid(relief, (0, -0.035, -0.008), (0.076, 0.094, 0.094)), skin, 0.01)
    relief.add(_ellipsoid(relief, (0, 0.03, 0.012), (0.064 * jaw, 0.084, 0.076)), skin, 0.03)
    relief.add(_ellipsoid(relief, (0, 0.092, 0.05), (0.03 * jaw, 0.022, 0.03)), skin, 0.03)
    for side in (-1.0, 1.0):
        relief.add(_ellipsoid(relief, (side * 0.034, 0.03, 0.036), (0.036, 0.036, 0.034)), skin, 0.05)
        relief.add(_ellipsoid(relief, (side * 0.028, -0.024, 0.07), (0.027, 0.009, 0.014)), skin, 0.012)
        relief.add(_ellipsoid(relief, (side * 0.012, 0.037, 0.088), (0.010, 0.009, 0.012)), skin, 0.008)
    relief.add(_limb(relief, (0, -0.012, 0.076), (0, 0.034, 0.098), (0.008, 0.0125)), skin, 0.012)
    relief.add(_ellipsoid(relief, (0, 0.061, 0.076), (0.024, 0.007, 0.013)), skin, 0.008)
    relief.add(_ellipsoid(relief, (0, 0.071, 0.075), (0.022, 0.008, 0.013)), skin, 0.008)


def _spot(p: Floats, centre: tuple[float, float], size: tuple[float, float], power: float = 1.0) -> Floats:
    """A soft spot on the front of the face, 0..1; the higher the power the harder its edge."""
    square = ((p[..., 0] - centre[0]) / size[0]) ** 2 + ((p[..., 1] - centre[1]) / size[1]) ** 2
    front = np.clip((p[..., 2] - 0.02) / 0.02, 0, 1)
    return np.asarray(np.exp(-(np.minimum(square, 16.0) ** power)) * front, np.float32)


def _paint(relief: _Relief, cover: Floats, colour: Colour | NDArray[Any]) -> None:
    relief.colour += cover[..., None] * (np.asarray(colour, np.float32) - relief.colour)


def _features(relief: _Relief, person: Person) -> None:
    p = relief.local(relief.z)
    skin = np.array(person.skin)
    blush = np.clip(skin * (1.08, 0.72, 0.7), 0, 1)
    for side in (-1.0, 1.0):
        _paint(relief, 0.4 * _spot(p, (side * 0.042, 0.036), (0.024, 0.02)), blush)
        _eye(relief, p, person, side)
    _paint(relief, 0.35 * _spot(p, (0, 0.036), (0.02, 0.012)), blush)
    for side in (-1.0, 1.0):
        _paint(relief, 0.85 * _spot(p, (side * 0.0085, 0.0455), (0.005, 0.003), 1.5), skin * 0.12)
    _paint(relief, 0.4 * _spot(p, (0, 0.052), (0.014, 0.006)), skin * 0.5)
    _mouth(relief, p, person)
    if person.beard:
        _beard(relief, p, person)


def _eye(relief: _Relief, p: Floats, person: Person, side: float) -> None:
    skin = np.array(person.skin)
    x, y = side * 0.0315, 0.0
    _paint(relief, 0.62 * _spot(p, (x, y - 0.002), (0.023, 0.015), 1.3), skin * 0.38)
    bend = p.copy()
    bend[..., 1] += 6.0 * (bend[..., 0] - x) ** 2 * np.sign(y + 0.0005 - bend[..., 1])
    _paint(relief, _spot(bend, (x, y), (0.0150, 0.0068), 3), (0.68, 0.66, 0.64))
    _paint(relief, _spot(bend, (x, y - 0.0004), (0.0068, 0.0068), 3), person.eye_colour)
    _paint(relief, _spot(p, (x, y - 0.0006), (0.0034, 0.0034), 2), (0.01, 0.01, 0.01))
    _paint(relief, 0.8 * _spot(p, (x + 0.0022, y - 0.0028), (0.0016, 0.0016), 2), (1, 1, 1))
    lid = p.copy()
    lid[..., 1] += 9.0 * (lid[..., 0] - x) ** 2
    _paint(relief, 0.9 * _spot(lid, (x, y - 0.0062), (0.0165, 0.0024), 2), (0.02, 0.014, 0.012))
    brow = p.copy()
    brow[..., 1] += 5.0 * (brow[..., 0] - x * 1.06) ** 2
    _paint(relief, 0.88 * _spot(brow, (x * 1.06, -0.0215), (0.021, 0.0045), 2), np.array(person.hair) * 0.55)


def _mouth(relief: _Relief, p: Floats, person: Person) -> None:
    lips = np.clip(np.array(person.skin) * (0.86, 0.5, 0.5), 0, 1)
    curve = p.copy()
    curve[..., 1] += (6.0 * person.smile) * curve[..., 0] ** 2
    width = 0.024 + 0.004 * max(person.smile, 0)
    _paint(relief, 0.85 * _spot(curve, (0, 0.0665), (width, 0.0095), 2), lips)
    _paint(relief, 0.9 * _spot(curve, (0, 0.0662), (width, 0.0022), 2), (0.05, 0.02, 0.02))
    if person.smile > 0.6:
        _paint(relief, _spot(curve, (0, 0.0668), (width * 0.68, 0.0036), 3), (0.75, 0.73, 0.68))
    _paint(relief, 0.35 * _spot(p, (0, 0.081), (0.016, 0.004)), np.array(person.skin) * 0.45)


def _beard(relief: _Relief, p: Floats, person: Person) -> None:
    cheeks = np.clip((p[..., 1] - 0.035) / 0.016, 0, 1)
    sides = np.clip((np.abs(p[..., 0]) - 0.03) / 0.02, 0, 1)
    upper = _spot(p, (0, 0.053), (0.026, 0.006), 2)
    cover = (
        np.maximum(cheeks * np.maximum(sides, p[..., 1] > 0.078), upper)
        * (p[..., 1] < np.where(p[..., 2] > 0.04, 0.13, 0.085))
        * (p[..., 2] > -0.01)
    )
    mouth = _spot(p, (0, 0.067), (0.027, 0.011), 3)
    _paint(relief, (person.beard * cover * (1 - mouth)).astype(np.float32), np.array(person.hair) * 0.8)


def _hairline(p: Floats, low: float) -> NDArray[np.bool_]:
    """Where hair may grow: above a line that falls from the forehead over the ears to the nape."""
    line = -0.078 + np.clip(0.078 - p[..., 2], 0, 0.2) * 0.85 + low + 0.9 * np.maximum(0, 0.03 - np.abs(p[..., 0])) * 0.15
    return np.asarray(p[..., 1] < line)


def _hair(relief: _Relief, person: Person) -> None:
    if person.hair_style == "bald":
        return
    long = person.hair_style == "long"
    shells = [((0.0, -0.044, -0.016), (0.083, 0.099, 0.1), 0.0)]
    if long:
        shells.append(((0.0, 0.045, -0.045), (0.092, 0.14, 0.066), 0.3))
    if person.hair_style == "bun":
        shells.append(((0.0, -0.1, -0.1), (0.04, 0.04, 0.04), 1.0))
    for centre, radii, low in shells:
        z = _ellipsoid(relief, centre, radii)
        grows = _hairline(relief.local(z), low)
        relief.add(np.where(grows, z, np.float32(_NOWHERE)).astype(np.float32), _strands(relief, z, person.hair))


def _strands(relief: _Relief, z: Floats, colour: Colour) -> Floats:
    p = relief.local(z)
    wave = 1 + 0.22 * np.sin(900 * p[..., 0] + 260 * p[..., 1]) * np.sin(310 * p[..., 2] - 130 * p[..., 1] + 700 * p[..., 0])
    return np.asarray(np.array(colour) * wave[..., None], np.float32)


def _hat(relief: _Relief, person: Person) -> None:
    if not person.hat:
        return
    z = _ellipsoid(relief, (0, -0.05, -0.012), (0.088, 0.102, 0.105))
    p = relief.local(z)
    edge = -0.062 if person.hat == "cap" else -0.05 + 0.25 * np.clip(0.06 - p[..., 2], 0, 1)
    relief.add(np.where(p[..., 1] < edge, z, np.float32(_NOWHERE)).astype(np.float32), person.hat_colour)
    if person.hat == "cap":
        relief.add(_ellipsoid(relief, (0, -0.062, 0.105), (0.07, 0.008, 0.062)), tuple(0.8 * c for c in person.hat_colour))  # type: ignore[arg-type]


def _glasses(relief: _Relief) -> None:
    p = relief.local(relief.z)
    for side in (-1.0, 1.0):
        outer = _spot(p, (side * 0.032, 0.003), (0.026, 0.02), 6)
        inner = _spot(p, (side * 0.032, 0.003), (0.022, 0.016), 6)
        _paint(relief, np.clip(outer - inner, 0, 1), (0.02, 0.02, 0.02))
        _paint(relief, 0.12 * inner, (0.7, 0.75, 0.8))
    _paint(relief, _spot(p, (0, 0.0), (0.008, 0.0025), 3), (0.02, 0.02, 0.02))


def _occlusion(relief: _Relief, fineness: int) -> Floats:
    """Darken what lies in hollows: under the chin, beside the nose, below the brow."""
    z = np.where(relief.z > _NOWHERE / 2, relief.z, np.float32(-0.15))
    shade = np.ones_like(z)
    for sigma, strength in ((6.0, 9.0), (20.0, 5.0)):
        hollow = cv2.GaussianBlur(z, (0, 0), sigma * fineness / 420) - z
        shade *= np.exp(-strength * np.clip(hollow, 0, 0.06))
    return shade.astype(np.float32)


def _lit(relief: _Relief, shade: Floats) -> Image:
    """Light the height field and return it at half its size, straight-alpha RGBA uint8."""
    solid = relief.z > _NOWHERE / 2
    floor = np.where(solid, relief.z, relief.z[solid].min() if solid.any() else 0).astype(np.float32)
    step = float(relief.x[0, 1] - relief.x[0, 0])
    soft = cv2.GaussianBlur(floor, (0, 0), max(0.4, 0.002 / step))
    slope_down, slope_right = np.gradient(soft, step)
    normal = np.stack([-slope_right, -slope_down, np.ones_like(soft)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    key = np.clip(normal @ (_KEY_LIGHT / np.linalg.norm(_KEY_LIGHT)), 0, None)
    sky = 0.5 - 0.5 * normal[..., 1]
    light = 0.22 + 0.42 * sky + 0.62 * key + 0.1 * normal[..., 2]
    linear = np.clip(relief.colour * (light * shade)[..., None], 0, 1)
    encoded = np.power(linear, np.float32(1 / 2.2)) * 255
    rgba = np.dstack([encoded * solid[..., None], solid * np.float32(255)])
    small = cv2.resize(rgba, None, fx=1 / _OVERSAMPLED, fy=1 / _OVERSAMPLED, interpolation=cv2.INTER_AREA)
    straight = small[..., :3] * (255 / np.maximum(small[..., 3:], 1))
    return np.asarray(np.clip(np.dstack([straight, small[..., 3]]) + 0.5, 0, 255), np.uint8)


def _body(person: Person, yaw: float, fineness: int) -> Image:
    tall, wide = person.height, 0.17 * person.build
    relief = _canvas((-0.5, -tall - _ROOM_ABOVE, 0.5, 0.0), fineness * _OVERSAMPLED, yaw)
    for z, colour, blend in _parts(relief, person, tall, wide):
        relief.add(z, colour, blend)
    return _lit(relief, _folds(relief))


def _parts(relief: _Relief, person: Person, tall: float, wide: float) -> Iterable[tuple[Floats, Colour, float]]:
    """From the feet up."""
    hip, shoulder = -0.52 * tall, -0.82 * tall
    for side in (-1.0, 1.0):
        swing = side * person.stride
        foot = (side * 0.1, -0.05, swing)
        yield (
            _limb(relief, (foot[0], -0.045, swing - 0.05), (foot[0] * 1.1, -0.04, swing + 0.14), (0.045, 0.042)),
            person.shoes,
            0,
        )
        knee = (side * 0.1, -0.28 * tall, swing * 0.6 + 0.02)
        yield _limb(relief, knee, foot, (0.066, 0.05)), person.trousers, 0.02
        yield _limb(relief, (side * 0.085, hip + 0.02, 0), knee, (0.095 * person.build, 0.068)), person.trousers, 0.02
    yield _ellipsoid(relief, (0, hip - 0.02, 0), (wide, 0.13, 0.12 * person.build)), person.trousers, 0.03
    yield _ellipsoid(relief, (0, (hip + shoulder) / 2 - 0.02, 0), (wide * 1.02, 0.27, 0.125 * person.build)), person.top, 0.02
    yield _ellipsoid(relief, (0, shoulder + 0.11, 0), (wide * 1.15, 0.18, 0.12 * person.build)), person.top, 0.05
    yield _limb(relief, (-wide, shoulder + 0.015, 0), (wide, shoulder + 0.015, 0), (0.07, 0.07)), person.top, 0.05
    for side in (-1.0, 1.0):
        swing = -side * person.stride
        elbow = (side * (wide + 0.085), -0.62 * tall, swing * 0.3 - 0.02)
        wrist = (side * (wide + 0.08), -0.47 * tall, swing * 0.9 + 0.06)
        yield _limb(relief, (side * (wide + 0.02), shoulder + 0.03, 0), elbow, (0.062, 0.048)), person.top, 0.03
        yield _limb(relief, elbow, wrist, (0.047, 0.035)), person.top, 0.02
        yield _limb(relief, wrist, (wrist[0], wrist[1] + 0.1, wrist[2] + 0.02), (0.034, 0.026)), person.skin, 0.01
    yield _limb(relief, (0, shoulder - 0.1, -0.01), (0, shoulder + 0.02, -0.01), (0.06, 0.075)), person.skin, 0.02


def _folds(relief: _Relief) -> Floats:
    """Cloth is not smooth."""
    x, y = relief.x, relief.y
    waves = 0.05 * np.sin(23 * y + 9 * x) * np.sin(31 * x - 7 * y + 1.3) + 0.03 * np.sin(71 * y + 13 * x)
    return np.asarray(1 + waves, np.float32)
