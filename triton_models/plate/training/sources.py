"""Read the pictures that crops are cut from."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .arrays import NO_BOXES, Boxes, Pixels, corners_of, grow, stack

log = logging.getLogger(__name__)

RIDE = "plates/train_day_ride_1"
PANORAMAS = {
    "panoramas/gopro_max_walk": ("geovisio_1", "geovisio_2", "geovisio_3", "geovisio_4"),
    "panoramas/survey_vehicles": (
        "3d16947c-4e96-44db-a972-5e474d5db4b7",
        "4e13d11f-bee3-4700-aaf4-1425942d2e69",
        "stra_1_1",
        "stra_3_2",
        "type2_origin",
    ),
}
"""Panoramas used in training; all others of these sets are kept for measuring false boxes."""

HORIZON = (0.2, 0.92)
"""Rows of a panorama, as shares of its height, from just above the horizon to the foot of the mast."""

ERASE_MARGIN = 0.12


@dataclass
class Frame:
    """A dash-cam picture with its plates, or a panorama with none."""

    name: str
    image: Pixels
    plates: Boxes
    unknown: Boxes
    blanks: list[tuple[int, int, Pixels]] = field(default_factory=list)

    def erased(self) -> Pixels:
        """Return a copy in which every plate has been painted over."""
        image = self.image.copy()
        for left, top, patch in self.blanks:
            image[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
        return image


@dataclass(frozen=True)
class Sources:
    """Everything crops are made of."""

    rides: list[Frame]
    panoramas: list[Frame]
    fonts: list[Path]


def load(data: Path, fonts: list[Path]) -> Sources:
    """Read the training ride and the training panoramas."""
    rides = [_with_blanks(frame) for frame in read_set(data / RIDE)]
    panoramas = [_panorama(frame) for folder, names in PANORAMAS.items() for frame in read_set(data / folder, names)]
    log.info("%d ride frames, %d panoramas, %d typefaces", len(rides), len(panoramas), len(fonts))
    return Sources(rides, panoramas, fonts)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSON-lines file."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def read_image(path: Path) -> Pixels:
    """Read a picture as uint8 RGB."""
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_set(folder: Path, names: tuple[str, ...] = ()) -> list[Frame]:
    """Read an annotated set, or those of its pictures whose stem is named."""
    rows = read_lines(folder / "annotations.jsonl")
    return [_frame(folder, row) for row in rows if not names or Path(row["image"]).stem in names]


def _frame(folder: Path, row: dict[str, Any]) -> Frame:
    image = read_image(folder / row["image"])
    unknown = stack(corners_of(row.get("ignore", [])), corners_of(row.get("faces", [])))
    return Frame(Path(row["image"]).stem, image, corners_of(row.get("plates", [])), unknown)


def _panorama(frame: Frame) -> Frame:
    """Keep the rows in which streets are."""
    height = frame.image.shape[0]
    top, bottom = (int(share * height) for share in HORIZON)
    shift = np.array([0, top, 0, top], np.float32)
    return Frame(frame.name, frame.image[top:bottom].copy(), NO_BOXES, frame.unknown - shift)


def _with_blanks(frame: Frame) -> Frame:
    """Prepare the patches that paint over each plate."""
    frame.blanks.extend(_blank(frame.image, box) for box in frame.plates)
    return frame


def _blank(image: Pixels, box: Boxes) -> tuple[int, int, Pixels]:
    """Fill one plate from its surroundings: left, top, and the patch to put there."""
    outer = grow(box[None], 0.5)[0].astype(int)
    left, top = max(int(outer[0]), 0), max(int(outer[1]), 0)
    part = image[top : outer[3], left : outer[2]]
    mask = np.zeros(part.shape[:2], np.uint8)
    x0, y0, x1, y1 = (grow(box[None], ERASE_MARGIN)[0] - (left, top, left, top)).astype(int)
    mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = 255
    return left, top, np.asarray(cv2.inpaint(part, mask, 4, cv2.INPAINT_TELEA), np.uint8)
