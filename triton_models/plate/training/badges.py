"""What cars wear beside their plates: makers' emblems and chrome lettering, straight on the body."""

from pathlib import Path

import cv2
import numpy as np

from .arrays import Boxes, Colour, Floats, Pixels, grow, touches
from .plates import random_word, stamp

FINER = 3
"""Badges are painted at this multiple of the picture's size and averaged down."""
LEAST, MOST = 4.0, 90.0
"""Pixels: heights of badges."""
FILLINGS: tuple[Colour, ...] = ((20, 50, 130), (20, 20, 22), (150, 25, 30), (60, 62, 66), (190, 192, 195))
MODELS = ("1.0", "1.6", "2.0", "16V", "TDI", "GTI", "4x4", "FLEX", "Turbo", "Hybrid", "V6", "LX", "SE", "Sport")


def pin(rng: np.random.Generator, image: Pixels, fonts: list[Path], plates: Boxes, keep_off: Boxes) -> None:
    """Put one to three badges into a picture, most of them above a plate if there is one; none touches the boxes given."""
    for _ in range(int(rng.integers(1, 4))):
        word = rng.random() < 0.6
        aspect = float(rng.uniform(1.2, 6.0) if word else rng.uniform(0.9, 2.2))
        x, y, height = _place(rng, image.shape[0], plates)
        half = (height * aspect / 2, height / 2)
        box = np.array([[x - half[0], y - half[1], x + half[0], y + half[1]]], np.float32)
        inside = box.min() >= 0 and box.max() <= image.shape[0] - 1
        if inside and not touches(grow(box, 0.1), keep_off).any():
            _paint(rng, image, fonts, box[0].astype(int), word=word)


def _place(rng: np.random.Generator, side: int, plates: Boxes) -> tuple[float, float, float]:
    """Choose a centre and a height."""
    if len(plates) == 0 or rng.random() < 0.2:
        height = np.exp(rng.uniform(np.log(LEAST), np.log(MOST / 2)))
        return float(rng.uniform(0, side)), float(rng.uniform(0, side)), float(height)
    x0, y0, x1, y1 = plates[int(rng.integers(len(plates)))]
    tall, wide = y1 - y0, x1 - x0
    height = np.clip(tall * rng.uniform(0.25, 1.1), LEAST, MOST)
    x, y = (x0 + x1) / 2 + wide * rng.uniform(-1.4, 1.4), (y0 + y1) / 2 - tall * rng.uniform(-0.5, 4.0)
    return float(x), float(y), float(height)


def _paint(
    rng: np.random.Generator, image: Pixels, fonts: list[Path], box: np.ndarray[tuple[int], np.dtype[np.int64]], *, word: bool
) -> None:
    """Paint a badge over what is there, in place."""
    x0, y0, x1, y1 = box.tolist()
    part = image[y0 : max(y1, y0 + 3), x0 : max(x1, x0 + 3)]
    size = (part.shape[1], part.shape[0])
    large = np.asarray(cv2.resize(part, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_LINEAR), np.uint8)
    metal = _metal(rng, part)
    font = fonts[int(rng.integers(len(fonts)))]
    if word:
        _letter(rng, large, font, metal)
    else:
        _emblem(rng, large, font, metal)
    part[:] = cv2.resize(_gleaming(rng, large), size, interpolation=cv2.INTER_AREA)


def _metal(rng: np.random.Generator, part: Pixels) -> Colour:
    """Choose a grey that stands out from the body, a little or a lot."""
    level, apart = float(part.mean()), float(rng.uniform(30, 130))
    lighter = level + apart < 250 and (level - apart < 5 or rng.random() < 0.6)
    grey = int(np.clip(level + apart if lighter else level - apart, 5, 250))
    return (grey, grey, grey)


def _letter(rng: np.random.Generator, large: Pixels, font: Path, metal: Colour) -> None:
    """Write a name or a model, with its shadow."""
    height, width = large.shape[:2]
    name = random_word(rng, 2, 8)
    text = str(rng.choice(MODELS)) if rng.random() < 0.4 else name.title() if rng.random() < 0.3 else name
    shade = tuple(int(c * 0.4) for c in large.reshape(-1, 3).mean(axis=0))
    edge = max(1, height // 14)
    stamp(large, text, font, (shade[0], shade[1], shade[2]), (edge, edge, width, height))
    stamp(large, text, font, metal, (0, 0, width - edge, height - edge))


def _emblem(rng: np.random.Generator, large: Pixels, font: Path, metal: Colour) -> None:
    """Draw a ring of metal with letters or bars in it."""
    height, width = large.shape[:2]
    centre, axes = (width // 2, height // 2), (width // 2 - 2, height // 2 - 2)
    cv2.ellipse(large, centre, axes, 0, 0, 360, metal, -1, cv2.LINE_AA)
    inner = (max(1, int(axes[0] * 0.85)), max(1, int(axes[1] * 0.85)))
    filling = FILLINGS[int(rng.integers(len(FILLINGS)))]
    cv2.ellipse(large, centre, inner, 0, 0, 360, filling, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        stamp(large, random_word(rng, 1, 5), font, metal, (width // 5, height // 4, width - width // 5, height - height // 4))
        return
    for _ in range(int(rng.integers(1, 4))):
        ends = [(int(v[0] * width), int(v[1] * height)) for v in rng.uniform(0.2, 0.8, (2, 2))]
        cv2.line(large, ends[0], ends[1], metal, max(1, height // 12), cv2.LINE_AA)


def _gleaming(rng: np.random.Generator, large: Pixels) -> Floats:
    """Shade from above to below, as bent metal does."""
    ramp = np.linspace(rng.uniform(0.85, 1.2), rng.uniform(0.8, 1.05), large.shape[0], dtype=np.float32)
    return np.asarray(np.clip(large * ramp[:, None, None], 0, 255), np.float32)
