"""Number plates, drawn: no plate here was ever issued on purpose."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

LENGTH, HEIGHT = 0.52, 0.11
"""Metres of a one-line European plate."""

_PIXELS_PER_METRE = 1600
_FONT = cv2.FontFace("sans")
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_BLUE = (20, 62, 160)


@dataclass(frozen=True, slots=True)
class Style:
    """How a country's plates look; in `pattern` A is a letter, 9 a digit, anything else itself."""

    country: str
    pattern: str
    band: bool = True
    ground: Colour = (240, 241, 238)
    ink: Colour = (18, 18, 20)
    border: Colour = (30, 30, 32)


STYLES = (
    Style("DK", "AA 99 999"),
    Style("DK", "AA 99 999"),
    Style("DK", "AA 99 999", band=False, border=(196, 36, 40)),
    Style("D", "AA:AA 999"),
    Style("S", "AAA 99A"),
    Style("N", "AA 99999"),
    Style("PL", "AA 9999A"),
    Style("F", "AA-999-AA"),
    Style("NL", "99-AAA-9", ground=(246, 190, 34)),
)


def plate(rng: np.random.Generator) -> Image:
    """Return a random plate, RGB uint8 [176, 832, 3]."""
    style = STYLES[int(rng.integers(len(STYLES)))]
    text = "".join(_character(symbol, rng) for symbol in style.pattern)
    image = np.full((round(HEIGHT * _PIXELS_PER_METRE), round(LENGTH * _PIXELS_PER_METRE), 3), style.ground, np.uint8)
    band = _draw_band(image, style) if style.band else 0
    _draw_text(image, text, style, band)
    cv2.rectangle(image, (3, 3), (image.shape[1] - 4, image.shape[0] - 4), style.border, 5, cv2.LINE_AA)
    return _used(image, rng)


def _character(symbol: str, rng: np.random.Generator) -> str:
    if symbol == "A":
        return _LETTERS[int(rng.integers(len(_LETTERS)))]
    return str(int(rng.integers(10))) if symbol == "9" else symbol


def _draw_band(image: Image, style: Style) -> int:
    height: int = image.shape[0]
    width: int = round(height * 0.4)
    image[:, :width] = _BLUE
    for angle in np.arange(12) * np.pi / 6:
        star = (round(width / 2 + 0.27 * width * np.cos(angle)), round(height * 0.33 + 0.27 * width * np.sin(angle)))
        cv2.circle(image, star, 3, (250, 214, 60), -1, cv2.LINE_AA)
    size = 44 if len(style.country) < 2 else 36  # noqa: PLR2004 - two letters need room
    box = _text_box(style.country, size)
    cv2.putText(image, style.country, ((width - box[2]) // 2, round(height * 0.88)), (255, 255, 255), _FONT, size, 700)
    return width


def _draw_text(image: Image, text: str, style: Style, band: int) -> None:
    """Fit the text between the band and the border, squeezing it as condensed plate fonts are."""
    room = (image.shape[1] - band - 44, round(image.shape[0] * 0.66))
    size = 160
    box = _text_box(text, size)
    layer = np.zeros((box[3] + 8, box[2] + 8, 3), np.uint8)
    cv2.putText(layer, text, (4 - box[0], 4 - box[1]), (255, 255, 255), _FONT, size, 620)
    fitted = cv2.resize(layer[..., 0], room, interpolation=cv2.INTER_AREA)
    left, top = band + 22, (image.shape[0] - room[1]) // 2
    cover = (fitted / 255.0)[..., None]
    part = image[top : top + room[1], left : left + room[0]]
    part[:] = (part * (1 - cover) + np.array(style.ink) * cover).astype(np.uint8)


def _text_box(text: str, size: int) -> tuple[int, int, int, int]:
    left, top, width, height = cv2.getTextSize((4000, 1000), text, (0, 0), _FONT, size, 620)
    return left, top, width, height


def _used(image: Image, rng: np.random.Generator) -> Image:
    """Dirt, and a little unevenness of the light."""
    rows, columns = image.shape[:2]
    grime = cv2.GaussianBlur(rng.standard_normal((rows, columns)).astype(np.float32), (0, 0), 18)
    tilt = np.linspace(rng.uniform(0.94, 1.0), rng.uniform(0.94, 1.0), rows, dtype=np.float32)[:, None]
    light = np.clip(tilt * (1 - 0.5 * np.abs(grime)), 0.6, 1)
    return (image * light[..., None]).astype(np.uint8)
