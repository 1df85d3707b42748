"""Compose training crops: real rides, synthetic plates and streets without any."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .arrays import NO_BOXES, Boxes, Pixels, Scene, areas, stack
from .badges import pin
from .clutter import scatter
from .degrade import degrade, without_cast
from .plates import random_plate
from .pose import Pose, lay, random_pose
from .sources import Frame, Sources

SIDE = 256
SMALLEST, LARGEST = 6.5, 68.0
TOO_SMALL = 5.0
TOO_HIDDEN = 0.45
UPSAMPLED = 0.32
SLANTED, STEEPEST = 0.35, 0.9
CLUTTERED = 0.2
BADGED = 0.3
CALM = 0.75


@dataclass(frozen=True)
class HardNegative:
    """A place in a training panorama where a younger detector was wrong."""

    panorama: int
    centre: tuple[float, float]
    scale: float


@dataclass(frozen=True)
class Kitchen:
    """What a crop is cooked from."""

    sources: Sources
    hard: list[HardNegative]

    @property
    def fonts(self) -> list[Path]:
        """Typefaces of the synthetic plates."""
        return self.sources.fonts


Recipe = Callable[[np.random.Generator, Kitchen, int], Scene]


def random_scene(rng: np.random.Generator, kitchen: Kitchen) -> Scene:
    """Cook one crop of 256 x 256, degraded, some of them enlarged twofold as small plates are."""
    side = SIDE // 2 if rng.random() < UPSAMPLED else SIDE
    raw = RECIPES[int(rng.choice(len(RECIPES), p=SHARES))](rng, kitchen, side)
    scene = _sorted(_slanted(rng, raw, side) if rng.random() < SLANTED else raw, side)
    if rng.random() < BADGED:
        pin(rng, scene.image, kitchen.fonts, scene.plates, stack(scene.plates, scene.unknown))
    if rng.random() < CLUTTERED:
        scatter(rng, scene.image, kitchen.fonts, 2, stack(scene.plates, scene.unknown))
    image = degrade(rng, scene.image)
    return Scene(image, scene.plates, scene.unknown) if side == SIDE else _doubled(rng, image, scene)


def _slanted(rng: np.random.Generator, scene: Scene, side: int) -> Scene:
    """Shear a scene vertically by up to 0.9, as near things beside the car look from above."""
    slope = float(rng.uniform(-STEEPEST, STEEPEST))
    shear = np.array([[1, 0, 0], [slope, 1, -slope * side / 2]], np.float32)
    image = np.asarray(cv2.warpAffine(scene.image, shear, (side, side), borderMode=cv2.BORDER_REFLECT_101), np.uint8)
    return Scene(image, _sheared(scene.plates, slope, side), _sheared(scene.unknown, slope, side))


def _sheared(boxes: Boxes, slope: float, side: int) -> Boxes:
    """Return the upright boxes around sheared ones."""
    ends = np.stack([boxes[:, 0], boxes[:, 2]]) * slope - slope * side / 2
    low, high = boxes[:, 1] + ends.min(axis=0), boxes[:, 3] + ends.max(axis=0)
    return np.stack([boxes[:, 0], low, boxes[:, 2], high], axis=1).astype(np.float32)


def _doubled(rng: np.random.Generator, image: Pixels, scene: Scene) -> Scene:
    how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    large = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=how), np.uint8)
    return Scene(large, scene.plates * 2, scene.unknown * 2)


def _sorted(scene: Scene, side: int) -> Scene:
    """Clip boxes to the crop and set aside those too small or too hidden to demand."""
    clipped = np.clip(scene.plates, 0, side)
    whole, seen = areas(scene.plates), areas(clipped)
    clear = (seen >= TOO_HIDDEN * whole) & (clipped[:, 3] - clipped[:, 1] >= TOO_SMALL)
    unknown = np.clip(stack(scene.unknown, clipped[~clear]), 0, side)
    return Scene(scene.image, clipped[clear], unknown[areas(unknown) > 1])


def _height(rng: np.random.Generator, side: int) -> float:
    """Draw a plate height, log-uniform in pixels."""
    most = LARGEST if side == SIDE else LARGEST / 2
    return float(np.exp(rng.uniform(np.log(SMALLEST), np.log(most))))


def _window(image: Pixels, corner: tuple[float, float], scale: float, fill: Pixels) -> Pixels:
    """Cut a square out of a picture at a scale; what lies beyond the picture is taken from `fill`."""
    side = fill.shape[0]
    left, top = corner
    span = side / scale
    x0, y0 = max(round(left), 0), max(round(top), 0)
    x1, y1 = min(round(left + span), image.shape[1]), min(round(top + span), image.shape[0])
    u0, v0, u1, v1 = (round(v) for v in ((x0 - left) * scale, (y0 - top) * scale, (x1 - left) * scale, (y1 - top) * scale))
    if u1 <= u0 or v1 <= v0:
        return fill
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = cv2.resize(image[y0:y1, x0:x1], (u1 - u0, v1 - v0), interpolation=how)
    canvas = fill.copy()
    u0, v0 = max(u0, 0), max(v0, 0)
    room = canvas[v0:v1, u0:u1]
    room[:] = part[: room.shape[0], : room.shape[1]]
    return canvas


def _place(rng: np.random.Generator, length: int, span: float, target: float) -> float:
    """Choose where a window of `span` starts so that it holds `target`, inside the picture if it can be."""
    start = target - span * rng.uniform(0.1, 0.9)
    return float(np.clip(start, 0, length - span)) if span < length else float(rng.uniform(length - span, 0))


def street(rng: np.random.Generator, kitchen: Kitchen, side: int) -> Scene:
    """Cut a crop without plates from a panorama; two in five around a known mistake."""
    if kitchen.hard and rng.random() < 0.4:
        return _mistake(rng, kitchen, side)
    panoramas = kitchen.sources.panoramas
    frame = panoramas[int(rng.integers(len(panoramas)))]
    scale = float(np.exp(rng.uniform(np.log(0.3), np.log(2.2))))
    height, width = frame.image.shape[:2]
    target = (float(rng.uniform(0, width)), float(rng.uniform(0.1, 0.9) * height))
    return _cut(rng, frame, target, scale, side)


def _mistake(rng: np.random.Generator, kitchen: Kitchen, side: int) -> Scene:
    hard = kitchen.hard[int(rng.integers(len(kitchen.hard)))]
    frame = kitchen.sources.panoramas[hard.panorama]
    return _cut(rng, frame, hard.centre, hard.scale * float(rng.uniform(0.7, 1.4)), side)


def _cut(rng: np.random.Generator, frame: Frame, target: tuple[float, float], scale: float, side: int) -> Scene:
    """Cut a window of a panorama that holds the target."""
    height, width = frame.image.shape[:2]
    scale = max(scale, 1.02 * side / height)
    corner = (_place(rng, width, side / scale, target[0]), _place(rng, height, side / scale, target[1]))
    image = _window(frame.image, corner, scale, np.zeros((side, side, 3), np.uint8))
    unknown = (frame.unknown - np.array(corner * 2, np.float32)) * scale
    if rng.random() < 0.5:
        return _turned(Scene(image, NO_BOXES, unknown), side)
    return Scene(image, NO_BOXES, unknown)


def _mirrored(boxes: Boxes, side: int) -> Boxes:
    return np.stack([side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]], axis=1)


def ride(rng: np.random.Generator, kitchen: Kitchen, side: int) -> Scene:
    """Cut a crop around a real plate of the ride."""
    frame = _some_ride(rng, kitchen)
    return _ride_view(rng, kitchen, frame, frame.image, side)


def _some_ride(rng: np.random.Generator, kitchen: Kitchen) -> Frame:
    rides = kitchen.sources.rides
    while True:
        frame = rides[int(rng.integers(len(rides)))]
        if len(frame.plates):
            return frame


def _ride_view(rng: np.random.Generator, kitchen: Kitchen, frame: Frame, image: Pixels, side: int) -> Scene:
    """Scale a frame so that one of its plates gets a random height, and cut around it."""
    box = frame.plates[int(rng.integers(len(frame.plates)))]
    scale = min(_height(rng, side) / float(box[3] - box[1]), 2.0)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    span, (height, width) = side / scale, image.shape[:2]
    corner = (_place(rng, width, span, float(x)), _place(rng, height, span, float(y)))
    fill = street(rng, kitchen, side).image
    cut = _window(image, corner, scale, fill)
    shift = np.array(corner * 2, np.float32)
    seen = without_cast(cut) if rng.random() < 0.75 else cut
    return Scene(seen, (frame.plates - shift) * scale, (frame.unknown - shift) * scale)


def replated(rng: np.random.Generator, kitchen: Kitchen, side: int) -> Scene:
    """Cut a crop of the ride whose plates were painted over, four in five with synthetic ones in their place."""
    frame = _some_ride(rng, kitchen)
    scene = _ride_view(rng, kitchen, frame, frame.erased(), side)
    if rng.random() < 0.5:
        scene = _turned(scene, side)
    if rng.random() < 0.2:
        return Scene(scene.image, NO_BOXES, scene.unknown)
    new = [_replace(rng, kitchen, scene.image, box) for box in scene.plates]
    return Scene(scene.image, stack(NO_BOXES, *new), scene.unknown)


def _turned(scene: Scene, side: int) -> Scene:
    """Mirror a picture that has no writing in it yet."""
    return Scene(scene.image[:, ::-1].copy(), _mirrored(scene.plates, side), _mirrored(scene.unknown, side))


def _replace(rng: np.random.Generator, kitchen: Kitchen, image: Pixels, box: Boxes) -> Boxes:
    """Lay a synthetic plate where a real one was, with its light; one in four is turned as the car is not."""
    plate = _lit(rng, random_plate(rng, kitchen.fonts), image)
    aspect = plate.shape[1] / plate.shape[0]
    height = max(float(box[3] - box[1]), 0.8 * float(box[2] - box[0]) / aspect) * float(rng.uniform(0.85, 1.15))
    pose = random_pose(rng, aspect, height, calm=rng.random() < CALM).moved(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    lay(image, plate, pose)
    return pose.box()


def _lit(rng: np.random.Generator, plate: Pixels, image: Pixels) -> Pixels:
    """Dim a plate towards the brightness of its surroundings."""
    level = float(image.mean())
    gain = np.clip((level + 60) / 190, 0.25, 1.15) * rng.uniform(0.75, 1.3)
    return np.asarray(np.clip(plate * gain, 0, 255), np.uint8)


def planted(rng: np.random.Generator, kitchen: Kitchen, side: int) -> Scene:
    """Lay one to three synthetic plates into a street, half of them on a crude car."""
    scene = street(rng, kitchen, side)
    plates: list[Boxes] = []
    for _ in range(int(rng.integers(1, 4))):
        plate = _lit(rng, random_plate(rng, kitchen.fonts), scene.image)
        pose = random_pose(rng, plate.shape[1] / plate.shape[0], _height(rng, side))
        centre = (float(rng.uniform(0, side)), float(rng.uniform(0, side)))
        pose = pose.moved(centre)
        if _crowded(pose, plates):
            continue
        if rng.random() < 0.5:
            _car(rng, scene.image, pose)
            plates = [box for box in plates if not _crowded(pose, [box])]
        lay(scene.image, plate, pose)
        plates.append(pose.box())
    return Scene(scene.image, stack(NO_BOXES, *plates), scene.unknown)


def _crowded(pose: Pose, plates: list[Boxes]) -> bool:
    """Whether a plate's car would come too near the plates already there."""
    x0, y0, x1, y1 = pose.box()[0]
    wide, tall = 2.0 * (x1 - x0), 4.0 * (y1 - y0)
    return any(b[0, 0] < x1 + wide and b[0, 2] > x0 - wide and b[0, 1] < y1 + tall and b[0, 3] > y0 - tall for b in plates)


def _car(rng: np.random.Generator, image: Pixels, pose: Pose) -> None:
    """Paint a crude car's back or front around a pose: body, bumper, window, lamps, recess."""
    x0, y0, x1, y1 = pose.box()[0]
    wide, tall = x1 - x0, min(y1 - y0, (x1 - x0) * 0.5)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    paint = rng.integers(15, 235) * np.clip(rng.normal(1, 0.15, 3), 0.5, 1.4)
    half, rise = wide * rng.uniform(1.2, 1.9), tall * rng.uniform(2.0, 5.0)
    _block(image, (x - half, y - rise, x + half, y + tall * rng.uniform(1.2, 3.5)), paint)
    _block(image, (x - half * 0.8, y - rise, x + half * 0.8, y - rise * 0.55), paint * 0.3)
    lamp = np.array([rng.uniform(90, 255), rng.uniform(0, 90), rng.uniform(0, 80)])
    for side in (-1, 1):
        edge = x + side * half * 0.82
        _block(image, (edge - wide * 0.2, y - tall * 1.4, edge + wide * 0.2, y - tall * 0.1), lamp)
    _block(image, (x - half, y + tall * 0.75, x + half, y + tall * 1.3), paint * rng.uniform(0.3, 1))
    _block(image, (x - wide * 0.62, y - tall * 0.75, x + wide * 0.62, y + tall * 0.72), paint * rng.uniform(0.3, 1.05))


def _block(image: Pixels, box: tuple[float, float, float, float], colour: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """Fill a box with a soft vertical gradient."""
    height, width = image.shape[:2]
    x0, x1 = (int(np.clip(v, 0, width)) for v in (box[0], box[2]))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (box[1], box[3]))
    if x1 > x0 and y1 > y0:
        ramp = np.linspace(1.08, 0.8, y1 - y0)[:, None, None]
        image[y0:y1, x0:x1] = np.clip(ramp * colour, 0, 255).astype(np.uint8)


def transplanted(rng: np.random.Generator, kitchen: Kitchen, side: int) -> Scene:
    """Blend the real car around a real plate into a street, half of the time with a synthetic plate."""
    scene, frame = street(rng, kitchen, side), _some_ride(rng, kitchen)
    index = int(rng.integers(len(frame.plates)))
    box, real = frame.plates[index], bool(rng.random() < 0.5)
    part, corner = _surroundings(frame.image if real else frame.erased(), box)
    scale = min(_height(rng, side) / float(box[3] - box[1]), 2.0)
    size = (max(int(part.shape[1] * scale), 8), max(int(part.shape[0] * scale), 8))
    small = without_cast(np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8))
    inside = (box - np.array(corner * 2, np.float32)) * scale
    where = tuple(int(rng.uniform(0.08, 0.92) * side - (inside[i] + inside[i + 2]) / 2) for i in range(2))
    _blend(scene.image, _lit(rng, small, scene.image) if real else small, (where[0], where[1]))
    moved = inside + np.array(where * 2, np.float32)
    new = moved[None] if real else _replace(rng, kitchen, scene.image, moved)
    others = (np.delete(frame.plates, index, axis=0) - np.array(corner * 2, np.float32)) * scale + np.array(where * 2, np.float32)
    return Scene(scene.image, new.astype(np.float32), stack(scene.unknown, others))


def _surroundings(image: Pixels, box: Boxes) -> tuple[Pixels, tuple[int, int]]:
    """Cut the car around a plate: the picture and its upper left corner."""
    wide, tall = box[2] - box[0], box[3] - box[1]
    left, top = max(int(box[0] - 1.1 * wide), 0), max(int(box[1] - 4 * tall), 0)
    right, bottom = int(box[2] + 1.1 * wide), int(box[3] + 2.5 * tall)
    return image[top:bottom, left:right], (left, top)


def _blend(image: Pixels, part: Pixels, where: tuple[int, int]) -> None:
    """Paste with a feathered edge, in place."""
    tall, wide = part.shape[:2]
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.18 * n) for n in (tall, wide))
    share = np.clip(np.minimum(rows[:, None], columns[None]), 0, 1)[..., None]
    x, y = where
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + wide, image.shape[1]), min(y + tall, image.shape[0])
    inner = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
    image[y0:y1, x0:x1] = image[y0:y1, x0:x1] * (1 - share[inner]) + part[inner] * share[inner]


def empty(rng: np.random.Generator, kitchen: Kitchen, side: int) -> Scene:
    """Return a street without plates, half of the time with signs and lettering added."""
    scene = street(rng, kitchen, side)
    if rng.random() < 0.5:
        scatter(rng, scene.image, kitchen.fonts, int(rng.integers(2, 7)), scene.unknown)
    return scene


RECIPES: tuple[Recipe, ...] = (ride, replated, planted, transplanted, empty)
SHARES = (0.22, 0.23, 0.2, 0.15, 0.2)
