"""Find what a young detector gets wrong in the training pictures."""

import logging

import cv2
import numpy as np
import torch
from torch import Tensor

from .arrays import Boxes, Floats, Pixels, grow, stack, touches
from .deploy import Served
from .network import faster
from .scenes import HardNegative
from .sources import Frame, Sources

log = logging.getLogger(__name__)

TILE = 1024
DOUBTFUL = 0.08
LIKELY = 0.35
MOST_A_PANORAMA = 150
SCALES = (0.5, 1.0, 2.0)
"""Scales at which panoramas are mined: those of the views that will show them to the finished detector."""
MIDDLE = (0.25, 0.6)
"""Rows of a panorama's band, as shares of its height, that are mined enlarged: the street, not the sky and not the road."""
ROAD = (0.35, 0.85)
"""Rows of a dash-cam frame, as shares of its height, in which plates are."""


def mine(served: Served, sources: Sources) -> list[HardNegative]:
    """Collect false boxes of the panoramas; set aside, in the frames, plates that nobody labelled."""
    for frame in sources.rides:
        _set_aside(served, frame)
    hard = [miss for index, frame in enumerate(sources.panoramas) for miss in _mistakes(served, index, frame)]
    log.info("%d hard negatives", len(hard))
    return hard


def _mistakes(served: Served, index: int, frame: Frame) -> list[HardNegative]:
    """List the strongest false boxes of a panorama at every scale."""
    return [miss for scale in SCALES for miss in _mistakes_at(served, index, frame, scale)]


def _mistakes_at(served: Served, index: int, frame: Frame, scale: float) -> list[HardNegative]:
    rows = MIDDLE if scale > 1 else (0.0, 1.0)
    top, bottom = (int(share * frame.image.shape[0]) for share in rows)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = np.asarray(cv2.resize(frame.image[top:bottom], None, fx=scale, fy=scale, interpolation=how), np.uint8)
    boxes, scores = detect(served, shown)
    boxes = np.asarray(boxes / scale + np.array([0, top, 0, top]), np.float32)
    wrong = (scores > DOUBTFUL) & ~touches(boxes, frame.unknown)
    order = np.argsort(-scores[wrong])[:MOST_A_PANORAMA]
    return [HardNegative(index, (float(b[0] + b[2]) / 2, float(b[1] + b[3]) / 2), scale) for b in boxes[wrong][order]]


def _set_aside(served: Served, frame: Frame) -> None:
    """Mark likely plates of a frame that its labels lack as unknown."""
    top, bottom = (int(share * frame.image.shape[0]) for share in ROAD)
    boxes, scores = detect(served, frame.image[top:bottom])
    boxes += np.array([0, top, 0, top], np.float32)
    extra = (scores > LIKELY) & ~touches(boxes, stack(frame.plates, frame.unknown))
    frame.unknown = stack(frame.unknown, grow(boxes[extra], 0.2))


def detect(served: Served, image: Pixels) -> tuple[Boxes, Floats]:
    """Run over a picture in tiles: boxes [count, 4] and scores [count]."""
    found: list[Boxes] = []
    sure: list[Floats] = []
    for top in range(0, image.shape[0], TILE):
        for left in range(0, image.shape[1], TILE):
            boxes, scores = _tile(served, image[top : top + TILE, left : left + TILE])
            found.append(boxes + np.array([left, top, left, top], np.float32))
            sure.append(scores)
    return np.concatenate(found), np.concatenate(sure)


@torch.inference_mode()
def _tile(served: Served, tile: Pixels) -> tuple[Boxes, Floats]:
    """Run over one tile, padded to multiples of 32."""
    height, width = tile.shape[:2]
    padded = np.pad(tile, ((0, -height % 32), (0, -width % 32), (0, 0)))
    with faster():
        boxes, scores = (_numpy(part[0]) for part in served(torch.from_numpy(padded[None])))
    return boxes[scores > 0], scores[scores > 0]


def _numpy(tensor: Tensor) -> Floats:
    return np.asarray(tensor.float().numpy(), np.float32)
