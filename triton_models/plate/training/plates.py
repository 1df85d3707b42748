"""Draw one synthetic number plate, seen from straight ahead."""

from pathlib import Path

import cv2
import numpy as np

from .arrays import Colour, Floats, Pixels
from .fonts import letters
from .styles import AMERICAN, BLUE, STYLES, Style

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
SCALE = 0.75
FRAMED, FRAMED_ABROAD = 0.15, 0.5
FRAMES: tuple[Colour, ...] = ((20, 20, 22), (45, 45, 48), (150, 152, 155), (205, 205, 208), (30, 50, 110))
WEIGHTS = np.array([style.weight for style in STYLES]) / sum(style.weight for style in STYLES)


def random_plate(rng: np.random.Generator, fonts: list[Path]) -> Pixels:
    """Draw a plate of a random country: uint8 [about 0.75 px a millimetre, RGB]."""
    style = STYLES[int(rng.choice(len(STYLES), p=WEIGHTS))]
    font = fonts[int(rng.integers(len(fonts)))]
    plate = _ground(rng, style)
    ink = style.inks[int(rng.integers(len(style.inks)))]
    _border(plate, style)
    left, top, right, bottom = _bands(plate, style, font)
    top, bottom = _small_print(rng, plate, style, font, ink, (top, bottom))
    _characters(rng, plate, _text(rng, style), font, ink, (left, top, right, bottom))
    _furniture(rng, plate)
    if rng.random() < (FRAMED_ABROAD if style.size == AMERICAN else FRAMED):
        _frame(rng, plate, font)
    return _weather(rng, plate)


def _ground(rng: np.random.Generator, style: Style) -> Pixels:
    """Fill the plate with its colour, or with a soft picture."""
    width, height = (int(side * SCALE) for side in style.size)
    colour = style.grounds[int(rng.integers(len(style.grounds)))]
    plate = np.full((height, width, 3), colour, np.uint8)
    return _picture(rng, plate) if style.pictorial else plate


def _picture(rng: np.random.Generator, plate: Pixels) -> Pixels:
    """Lay a smooth pattern of random pale colours over a plate."""
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(1, 6))
    patch = rng.integers(90, 255, (rows, columns, 3)).astype(np.uint8)
    size = (plate.shape[1], plate.shape[0])
    smooth = cv2.resize(patch, size, interpolation=cv2.INTER_CUBIC)
    share = float(rng.uniform(0.2, 0.7))
    return np.asarray(cv2.addWeighted(plate, 1 - share, smooth, share, 0), np.uint8)


def _text(rng: np.random.Generator, style: Style) -> str:
    """Fill one of the style's patterns with random characters."""
    pattern = style.patterns[int(rng.integers(len(style.patterns)))]
    letter = [LETTERS[int(i)] for i in rng.integers(len(LETTERS), size=len(pattern))]
    digit = [str(int(i)) for i in rng.integers(10, size=len(pattern))]
    swap = {"A": letter, "9": digit}
    return "".join(swap[sign][place] if sign in swap else sign for place, sign in enumerate(pattern))


def random_word(rng: np.random.Generator, least: int, most: int) -> str:
    """Return capitals, at least `least` and fewer than `most`."""
    return "".join(LETTERS[int(i)] for i in rng.integers(len(LETTERS), size=int(rng.integers(least, most))))


def _border(plate: Pixels, style: Style) -> None:
    if style.border is not None:
        height, width = plate.shape[:2]
        cv2.rectangle(plate, (2, 2), (width - 3, height - 3), style.border, 2)


def _bands(plate: Pixels, style: Style, font: Path) -> tuple[int, int, int, int]:
    """Paint the blue bands and return what remains for the characters: left, top, right, bottom."""
    height, width = plate.shape[:2]
    wide, tall = int(0.085 * style.size[0] * SCALE), int(0.22 * height)
    free = [4, 4, width - 4, height - 4]
    if style.band in {"left", "both"}:
        plate[:, :wide] = BLUE
        stamp(plate, style.mark, font, (238, 238, 234), (4, int(0.6 * height), wide - 4, height - 6))
        free[0] = wide + 2
    if style.band == "both":
        plate[:, width - wide :] = BLUE
        free[2] = width - wide - 2
    if style.band == "top":
        plate[:tall] = BLUE
        stamp(plate, style.mark, font, (238, 238, 234), (width // 3, 4, 2 * width // 3, tall - 3))
        free[1] = tall
    return free[0], free[1], free[2], free[3]


def _small_print(
    rng: np.random.Generator, plate: Pixels, style: Style, font: Path, ink: Colour, rows: tuple[int, int]
) -> tuple[int, int]:
    """Write the lines above and below the characters and return the rows left for those."""
    height, width = plate.shape[:2]
    top, bottom = rows
    if style.head:
        stamp(plate, str(rng.choice(style.head)), font, ink, (width // 4, 5, 3 * width // 4, int(0.19 * height)))
        top = int(0.2 * height)
    if style.foot and rng.random() < 0.7:
        stamp(plate, str(rng.choice(style.foot)), font, ink, (width // 4, int(0.86 * height), 3 * width // 4, height - 4))
        bottom = int(0.86 * height)
    return top, bottom


def _characters(
    rng: np.random.Generator, plate: Pixels, text: str, font: Path, ink: Colour, room: tuple[int, int, int, int]
) -> None:
    """Write the registration, one line or two, into the room left, top, right, bottom."""
    lines = text.split("/")
    left, top, right, bottom = room
    step = (bottom - top) / len(lines)
    across, down = rng.uniform(0.02, 0.09), rng.uniform(0.07, 0.16)
    for row, line in enumerate(lines):
        middle = rng.uniform(0.02, 0.25) if len(lines) > 1 and len(line) < 4 else across
        x0, x1 = left + middle * (right - left), right - middle * (right - left)
        y0, y1 = top + (row + down) * step, top + (row + 1 - down) * step
        stamp(plate, line, font, ink, (int(x0), int(y0), int(x1), int(y1)))


def stamp(plate: Pixels, text: str, font: Path, ink: Colour, room: tuple[int, int, int, int]) -> None:
    """Stretch text into the room left, top, right, bottom and paint it."""
    left, top, right, bottom = room
    if right - left < 2 or bottom - top < 2:
        return
    mask = cv2.resize(letters(text, font), (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    share = mask[..., None].astype(np.float32) / 255
    part = plate[top:bottom, left:right]
    plate[top:bottom, left:right] = part * (1 - share) + np.asarray(ink, np.float32) * share


def _furniture(rng: np.random.Generator, plate: Pixels) -> None:
    """Add screws, stickers or seals, and now and then a holder's lower strip."""
    height, width = plate.shape[:2]
    for x in (0.12, 0.88) if rng.random() < 0.4 else ():
        cv2.circle(plate, (int(x * width), int(rng.uniform(0.1, 0.9) * height)), 4, (90, 90, 90), -1)
    if rng.random() < 0.25:
        spot = (int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.15, 0.85) * height))
        cv2.circle(plate, spot, int(0.09 * height), [int(c) for c in rng.integers(40, 255, 3)], -1)
    if rng.random() < 0.2:
        plate[int(0.92 * height) :] = rng.integers(10, 60)


def _frame(rng: np.random.Generator, plate: Pixels, font: Path) -> None:
    """Lay a dealer's frame over the plate's edge, plain or with a name on its broader lower bar."""
    height, width = plate.shape[:2]
    paint = FRAMES[int(rng.integers(len(FRAMES)))]
    edge, top, bottom = (
        int(share * height) for share in (rng.uniform(0.02, 0.06), rng.uniform(0.02, 0.13), rng.uniform(0.04, 0.2))
    )
    plate[:top] = plate[height - bottom :] = paint
    plate[:, :edge] = plate[:, width - edge :] = paint
    if bottom > 0.1 * height:
        word = random_word(rng, 5, 12)
        ink = (20, 20, 22) if sum(paint) > 380 else (225, 225, 220)
        stamp(plate, word, font, ink, (width // 6, height - bottom + 2, 5 * width // 6, height - 2))


def _weather(rng: np.random.Generator, plate: Pixels) -> Pixels:
    """Shade, fade and dirty a plate."""
    height, width = plate.shape[:2]
    field = cv2.resize(rng.uniform(0.75, 1.1, (2, 3)).astype(np.float32), (width, height))
    shaded = plate.astype(np.float32) * field[..., None] * rng.uniform(0.55, 1.08)
    if rng.random() < 0.3:
        shaded = _dirt(rng, shaded)
    return np.asarray(np.clip(shaded, 0, 255), np.uint8)


def _dirt(rng: np.random.Generator, plate: Floats) -> Floats:
    """Spread soft brown over part of a plate."""
    height, width = plate.shape[:2]
    spread = cv2.resize(rng.uniform(-0.6, 0.6, (4, 9)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    share = np.clip(spread, 0, 0.6)[..., None]
    return np.asarray(plate * (1 - share) + np.asarray((95, 85, 70), np.float32) * share, np.float32)
