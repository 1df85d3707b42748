"""Things in a street that look a little like number plates and are none."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from .arrays import Boxes, Colour, Pixels, grow, stack, touches
from .plates import stamp
from .pose import lay, random_pose

WORDS = (
    "Apotek", "BAGERI", "Hotel", "Café", "RESTAURANT", "Nørregade", "rue de la Gare", "PARKERING", "Udsalg", "OPEN", "BANK",
    "mutuelle", "Station", "Centrum", "Bageriet", "FRISØR", "NETTO", "Vesterbrogade", "Kiosk", "ZONE 30", "Taxi", "Til salg",
    "Rådhus", "sortie", "Place du Marché", "Pharmacie", "Bus", "SKOLE", "Boutique", "Pizzeria", "STOP", "Ring 3", "AUTO",
)  # fmt: skip
PALE: tuple[Colour, ...] = ((240, 240, 235), (225, 215, 180), (245, 220, 60), (200, 205, 210))
DEEP: tuple[Colour, ...] = ((25, 60, 140), (20, 20, 22), (120, 25, 30), (20, 90, 60), (70, 70, 75))

Maker = Callable[[np.random.Generator, list[Path]], Pixels]


def scatter(rng: np.random.Generator, image: Pixels, fonts: list[Path], count: int, keep_off: Boxes) -> None:
    """Lay up to `count` pieces of clutter into the picture, clear of the boxes given."""
    side = image.shape[0]
    for _ in range(count):
        piece = MAKERS[int(rng.integers(len(MAKERS)))](rng, fonts)
        height = float(np.exp(rng.uniform(np.log(6), np.log(70))))
        centre = (float(rng.uniform(0, side)), float(rng.uniform(0, side)))
        pose = random_pose(rng, piece.shape[1] / piece.shape[0], height).moved(centre)
        if not touches(grow(pose.box(), 0.1), stack(keep_off)).any():
            lay(image, piece, pose)


def _any(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _panel(rng: np.random.Generator, aspect: float, colour: Colour) -> Pixels:
    """Return a blank board, 80 px tall, slightly shaded, sometimes framed."""
    width = int(80 * aspect)
    shade = cv2.resize(rng.uniform(0.7, 1.05, (2, 2)).astype(np.float32), (width, 80))
    board = np.asarray(np.clip(np.asarray(colour, np.float32) * shade[..., None], 0, 255), np.uint8)
    if rng.random() < 0.5:
        cv2.rectangle(board, (2, 2), (width - 3, 77), _any(rng, DEEP), 3)
    return board


def _blank(rng: np.random.Generator, _fonts: list[Path]) -> Pixels:
    """Return an empty panel, dark or pale."""
    return _panel(rng, float(rng.uniform(0.6, 6)), _any(rng, PALE + DEEP))


def _street_name(rng: np.random.Generator, fonts: list[Path]) -> Pixels:
    """Return a word on a board, mostly pale on dark."""
    dark = rng.random() < 0.7
    word = str(rng.choice(WORDS))
    board = _panel(rng, float(rng.uniform(2.5, 7)), _any(rng, DEEP if dark else PALE))
    font = fonts[int(rng.integers(len(fonts)))]
    stamp(board, word, font, _any(rng, PALE if dark else DEEP), (12, 18, board.shape[1] - 12, 62))
    return board


def _notice(rng: np.random.Generator, fonts: list[Path]) -> Pixels:
    """Return a board with several lines of small words."""
    board = _panel(rng, float(rng.uniform(0.8, 2.5)), _any(rng, PALE + DEEP))
    ink = _any(rng, DEEP if board.mean() > 128 else PALE)
    rows = int(rng.integers(3, 6))
    for row in range(rows):
        top = 6 + row * 68 // rows
        right = int(board.shape[1] * rng.uniform(0.5, 0.95))
        stamp(board, " ".join(map(str, rng.choice(WORDS, 2))), fonts[0], ink, (8, top, right, top + 44 // rows))
    return board


def _arrow(rng: np.random.Generator, _fonts: list[Path]) -> Pixels:
    """Return a chevron or arrow sign."""
    dark = bool(rng.random() < 0.6)
    board = _panel(rng, float(rng.uniform(1, 4)), _any(rng, DEEP if dark else PALE))
    width, ink = board.shape[1], _any(rng, PALE if dark else DEEP)
    ends = [(int(0.15 * width), 40), (int(0.85 * width), 40)]
    first, last = ends if rng.random() < 0.5 else ends[::-1]
    cv2.arrowedLine(board, first, last, ink, int(rng.integers(6, 16)), cv2.LINE_AA, 0, 0.3)
    return board


def _stripes(rng: np.random.Generator, _fonts: list[Path]) -> Pixels:
    """Return a grille, a fence, a crossing or a row of windows."""
    board = _panel(rng, float(rng.uniform(1, 6)), _any(rng, PALE + DEEP))
    ink = _any(rng, DEEP + PALE)
    step = int(rng.integers(8, 40))
    if rng.random() < 0.5:
        for x in range(0, board.shape[1], step):
            cv2.rectangle(board, (x, 8), (x + step // 2, 72), ink, -1)
    else:
        for y in range(0, 80, step):
            cv2.rectangle(board, (4, y), (board.shape[1] - 4, y + step // 2), ink, -1)
    return board


def _windows(rng: np.random.Generator, _fonts: list[Path]) -> Pixels:
    """Return dark panes in a pale frame."""
    board = _panel(rng, float(rng.uniform(0.8, 4)), _any(rng, PALE))
    panes = int(rng.integers(2, 5))
    wide = board.shape[1] // panes
    for pane in range(panes):
        cv2.rectangle(board, (pane * wide + 6, 10), ((pane + 1) * wide - 6, 70), _any(rng, DEEP), -1)
    return board


def _lamp(rng: np.random.Generator, _fonts: list[Path]) -> Pixels:
    """Return a car's lamp: red, amber or white blocks."""
    tints: tuple[Colour, ...] = ((200, 20, 25), (240, 150, 40), (250, 250, 240), (255, 120, 140))
    board = _panel(rng, float(rng.uniform(0.8, 4)), _any(rng, tints))
    cv2.rectangle(board, (0, 0), (board.shape[1] // int(rng.integers(2, 5)), 80), _any(rng, tints), -1)
    return np.asarray(cv2.GaussianBlur(board, (0, 0), 5), np.uint8)


MAKERS: tuple[Maker, ...] = (_blank, _street_name, _street_name, _notice, _arrow, _stripes, _windows, _lamp)
