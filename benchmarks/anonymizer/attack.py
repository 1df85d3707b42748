"""The known-filter attack: a reader is trained on what our own obfuscation leaves, margin included, and has to read what it hid.

Plates and faces are drawn, put on a sheet, stored as the stitcher stores panoramas, hidden by the code that the service runs,
published, decoded. The reader sees each rectangle and a rim round it, always at the same place of the JPEG's grid: it could not have
it easier. It is a ridge classifier. Whatever it reads beyond chance has come through.

What lies beyond a box is not the filter's to hide (hair, clothes, the colour of a car): it is drawn anew for every trial, without any
relation to what is inside.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any, Literal, Protocol, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import Obfuscator
from panoveil.pixels import jpeg
from panoveil.pixels.baseline import layout
from services.anonymizer.original import Original
from services.anonymizer.regions import Extent, Rect, Region, grown
from simulator import people

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Style = Obfuscator | Literal["none"]
Hiding = Callable[[Picture, bytes, tuple[Rect, ...], Extent], bytes]
"""Decoded sheet, its JPEG, rectangles, extent → the JPEG that would be published."""

STYLES: tuple[Style, ...] = (*get_args(Obfuscator), "none")
HEIGHTS = (16, 24, 40)
"""Pixels: from the smallest plate a reader can make out to one right beside the car."""

TOLERANCE = 0.03
"""By how much accuracy may differ from chance."""

MARGIN, QUALITY = 0.2, 92
"""Of the default recipes."""

_RIM, _GRID, _PER_ROW = 8, 16, 8
_PENALTIES = (0.03, 0.3, 3.0)
_ROWS, _COLOUR_ROWS = 24, 8
_SYMBOLS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"
_DIGITS, _FONT = 5, cv2.FontFace("sans")
_IDENTITIES, _YAWS = 20, (-0.5, -0.25, 0.0, 0.25, 0.5)


def section(options: argparse.Namespace) -> dict[str, Any]:
    """Attack every style at every height. `attack_accuracy` is the best a reader got on plates, at whatever height."""
    table: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    subjects: tuple[tuple[str, Subject], ...] = (("plates", Plates()), ("faces", Faces()))
    for name, subject in subjects:
        for style in STYLES:
            for height in HEIGHTS:
                found = attack(subject, style, height, options.learn, options.trials).as_json()
                table.setdefault(name, {}).setdefault(style, {})[f"{height} px"] = found
                print(f"{name} {style} {height} px: {found['accuracy']:.3f}", file=sys.stderr, flush=True)
    return {
        "attack_accuracy": _best(table["plates"]),
        "attack_accuracy_faces": _best(table["faces"]),
        "attack_chance": {"plates": 1 / Plates().choices, "faces": 1 / Faces().choices},
        "attack": table,
    }


def _best(table: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    return {style: max(each["accuracy"] for each in heights.values()) for style, heights in table.items()}


class Subject(Protocol):
    """Something to hide: `answers` questions about each, one of `choices` answers to every question."""

    @property
    def answers(self) -> int:
        """How many questions there are."""
        ...

    @property
    def choices(self) -> int:
        """How many answers to each."""
        ...

    def size(self, height: int) -> tuple[int, int]:
        """Return (width, height) of its box in pixels."""
        ...

    def draw(self, rng: np.random.Generator, background: Picture) -> tuple[Picture, list[int]]:
        """Return it on a background uint8 [H, W, 3] of its box's size, and the right answers."""
        ...


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often a reader was right in so many trials, with its 95 % interval (Wilson)."""

    right: int
    trials: int
    chance: float

    @property
    def share(self) -> float:
        """Accuracy, 0..1."""
        return self.right / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Between which the accuracy lies with 95 % confidence."""
        z = 1.96
        middle = (self.share + z * z / 2 / self.trials) / (1 + z * z / self.trials)
        spread = (
            z / (1 + z * z / self.trials) * math.sqrt(self.share * (1 - self.share) / self.trials + (z / 2 / self.trials) ** 2)
        )
        return middle - spread, middle + spread

    @property
    def is_at_chance(self) -> bool:
        """Whether nothing came through, as far as this many trials can tell."""
        return abs(self.share - self.chance) <= TOLERANCE

    def as_json(self) -> dict[str, float]:
        """Return the figures."""
        low, high = self.interval
        return {
            "accuracy": round(self.share, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "chance": self.chance,
            "trials": self.trials,
        }


@dataclass(frozen=True, slots=True)
class Plates:
    """European plates `AA 99 999`; the questions are the five digits."""

    answers: int = _DIGITS
    choices: int = 10

    def size(self, height: int) -> tuple[int, int]:
        """As 520 mm to 112 mm."""
        return round(height * 520 / 112), height

    def draw(self, rng: np.random.Generator, background: Picture) -> tuple[Picture, list[int]]:
        """Draw four times as fine and shrink; light, dirt and focus vary."""
        digits = rng.integers(0, 10, _DIGITS).tolist()
        letters = [10 + int(each) for each in rng.integers(0, len(_SYMBOLS) - 10, 2)]
        fine, width = (4 * side for side in background.shape[:2])
        plate = np.full((fine, width), float(rng.uniform(190, 245)), np.float32)
        plate[:, : width // 11] = rng.uniform(40, 90)
        pitch = (width * 0.85) / 8.6
        left = width * 0.12
        for slot, symbol in zip((0, 1, 2.3, 3.3, 4.6, 5.6, 6.6), (*letters, *digits), strict=True):
            glyph = cv2.resize(_glyph(symbol), (round(pitch * 0.86), round(fine * 0.7)), interpolation=cv2.INTER_AREA)
            y, x = round(fine * 0.15), round(left + slot * pitch)
            plate[y : y + glyph.shape[0], x : x + glyph.shape[1]] *= 1 - 0.9 * glyph / 255
        shrunk = cv2.resize(plate, background.shape[1::-1], interpolation=cv2.INTER_AREA)
        return _seen(rng, np.repeat(np.asarray(shrunk, np.float32)[..., None], 3, axis=2)), digits


@dataclass(frozen=True, slots=True)
class Faces:
    """Drawn people; the question is which of twenty it is."""

    answers: int = 1
    choices: int = _IDENTITIES

    def size(self, height: int) -> tuple[int, int]:
        """As a face is from the hairline to the chin."""
        return round(height * 0.75), height

    def draw(self, rng: np.random.Generator, background: Picture) -> tuple[Picture, list[int]]:
        """Turn the head a little, light it anew, and cut it to the box: what sticks out would be seen anyway."""
        person, yaw = int(rng.integers(_IDENTITIES)), int(rng.integers(len(_YAWS)))
        face = cv2.resize(_face(person, yaw), background.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
        cover = face[..., 3:] / 255
        return _seen(rng, np.asarray(face[..., :3] * cover + background * (1 - cover), np.float32)), [person]


def attack(subject: Subject, style: Style, height: int, learn: int, trials: int, seed: int = 1) -> Accuracy:
    """Train on `learn` subjects of a height in pixels, hidden with a style, and read at least `trials` answers of others."""
    return attack_hiding(subject, hiding(style), height, learn, trials, seed)


def attack_hiding(subject: Subject, hide: Hiding, height: int, learn: int, trials: int, seed: int = 1) -> Accuracy:
    """Return the same for any way of hiding."""
    rng = np.random.default_rng(seed)
    needed = learn + math.ceil(trials / subject.answers)
    features, labels = _collected(_seen_by_reader(subject, hide, height, rng), needed)
    right = sum(_read(features, labels[:, answer], subject.choices, learn) for answer in range(subject.answers))
    return Accuracy(right, (len(features) - learn) * subject.answers, 1 / subject.choices)


def hiding(style: Style) -> Hiding:
    """Return what the service does with a style; `none` publishes the sheet as it is."""

    def hide(picture: Picture, data: bytes, rects: tuple[Rect, ...], extent: Extent) -> bytes:
        return data if style == "none" else Original.of(picture, data, QUALITY).obfuscated(rects, style, extent)

    return hide


def _collected(sheets: Iterator[tuple[Floats, Labels]], needed: int) -> tuple[Floats, Labels]:
    features: list[Floats] = []
    labels: list[Labels] = []
    while sum(map(len, features)) < needed:
        some, their = next(sheets)
        features.append(some)
        labels.append(their)
    return np.concatenate(features)[:needed], np.concatenate(labels)[:needed]


def _seen_by_reader(subject: Subject, hide: Hiding, height: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Labels]]:
    """Yield, sheet by sheet, what the reader sees of every rectangle [n, features], and the right answers [n, answers]."""
    for _ in count():
        sheet, boxes, labels = _sheet(subject, height, rng)
        data = jpeg.encode_patchable(sheet, QUALITY)
        extent = Extent.of(sheet, panorama=False)
        rects = tuple(grown(box, MARGIN, extent, layout(data).unit) for box in boxes)
        published = jpeg.decode(hide(jpeg.decode(data), data, rects, extent))
        yield np.stack([_features(published, rect) for rect in rects]), labels


def _sheet(subject: Subject, height: int, rng: np.random.Generator) -> tuple[Picture, list[Region], Labels]:
    """Return a picture of sixty-four subjects, far enough apart, their boxes and the right answers."""
    width, height = subject.size(height)
    room = [_GRID * math.ceil((side * (1 + 3 * MARGIN) + 6 * _RIM) / _GRID) for side in (width, height)]
    sheet = _background(rng, room[0] * _PER_ROW, room[1] * _PER_ROW)
    boxes, labels = [], []
    for cell in range(_PER_ROW * _PER_ROW):
        x = cell % _PER_ROW * room[0] + (room[0] - width) // 2
        y = cell // _PER_ROW * room[1] + (room[1] - height) // 2
        part = sheet[y : y + height, x : x + width]
        part[:], answers = subject.draw(rng, part)
        boxes.append(Region("plate", 1.0, x, y, x + width, y + height))
        labels.append(answers)
    return sheet, boxes, np.array(labels)


def _background(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Dull, smooth and nearly without noise: nothing for a leak to drown in."""
    coarse = rng.uniform(80, 180, (height // 32, width // 32, 1)) + rng.uniform(-8, 8, (height // 32, width // 32, 3))
    smooth = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((smooth + rng.normal(0, 1.5, smooth.shape)).clip(0, 255), np.uint8)


def _seen(rng: np.random.Generator, picture: Floats) -> Picture:
    """Return it in some light, a little out of focus, with a sensor's noise."""
    lit = picture * rng.uniform(0.6, 1.05) * rng.uniform(0.93, 1.07, 3) + rng.uniform(-6, 6)
    blurred = cv2.GaussianBlur(lit.astype(np.float32), (0, 0), float(rng.uniform(0.3, 0.7)))
    return np.asarray((blurred + rng.normal(0, 2.5, blurred.shape)).clip(0, 255), np.uint8)


@lru_cache(maxsize=40)
def _glyph(symbol: int) -> Picture:
    canvas = np.zeros((120, 120, 3), np.uint8)
    cv2.putText(canvas, _SYMBOLS[symbol], (20, 100), (255, 255, 255), _FONT, 100, 620)
    return np.ascontiguousarray(canvas[np.ix_(canvas[..., 0].any(axis=1), canvas[..., 0].any(axis=0))][..., 0])


@lru_cache(maxsize=_IDENTITIES * len(_YAWS))
def _face(person: int, yaw: int) -> Picture:
    fineness = 320
    whole = people.head(people.someone(np.random.default_rng((11, person))), _YAWS[yaw], fineness)
    middle = whole.shape[1] // 2
    top, bottom = (round((edge + 0.18) * fineness) for edge in people.FACE)
    half = round(0.375 * (bottom - top))
    return np.ascontiguousarray(whole[top:bottom, middle - half : middle + half])


def _features(picture: Picture, rect: Rect) -> Floats:
    """Return what is in the rectangle and round it: brightness finely, colours coarsely."""
    part = picture[rect.y0 - _RIM : rect.y1 + _RIM, rect.x0 - _RIM : rect.x1 + _RIM]
    colours = cv2.cvtColor(part, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    aspect = part.shape[1] / part.shape[0]
    rows = min(_ROWS, part.shape[0])
    bright = cv2.resize(colours[..., 0], (round(rows * aspect), rows), interpolation=cv2.INTER_AREA)
    tint = cv2.resize(colours[..., 1:], (round(_COLOUR_ROWS * aspect), _COLOUR_ROWS), interpolation=cv2.INTER_AREA)
    return np.concatenate([bright.ravel(), tint.ravel()]).astype(np.float32)


def _read(features: Floats, labels: Labels, choices: int, learn: int) -> int:
    """Return how many of the labels after the first `learn` a ridge classifier gets right; its penalty is chosen within those."""
    known = features[:learn]
    standard = (features - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-3)
    held = learn * 4 // 5
    kernel = np.asarray(standard @ standard[:learn].T / standard.shape[1], np.float64)
    wanted = np.eye(choices)[labels[:learn]] - 1 / choices
    best = max(_PENALTIES, key=lambda penalty: _right(kernel[:learn], labels[:learn], wanted[:held], penalty))
    return _right(kernel, labels, wanted, best)


def _right(kernel: NDArray[np.float64], labels: Labels, wanted: NDArray[np.float64], penalty: float) -> int:
    learn = len(wanted)
    weights = np.linalg.solve(kernel[:learn, :learn] + penalty * np.eye(learn), wanted)
    return int((np.argmax(kernel[learn:, :learn] @ weights, axis=1) == labels[learn:]).sum())
