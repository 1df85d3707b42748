"""Side by side at every seam: the truth, enblend's panorama, ours."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stitching.metrics import Regions, alignment
from benchmarks.stitching.scenes import Scene

Image = NDArray[np.uint8]

_SIDE = 18.0
"""Degrees that a crop is wide."""

_LOWEST, _HIGHEST = -34.0, 14.0
_ROOM = 34


def write(folder: Path, scene: Scene, results: Mapping[str, Image], where: Regions) -> None:
    """Write `<scene>-<yaw>.png` a seam: crops of the truth and of every result, brought to the truth's brightness."""
    folder.mkdir(parents=True, exist_ok=True)
    gains = {name: alignment(image, scene.truth, where.seen) for name, image in results.items()}
    for yaw in seams(where):
        crops = {"truth": _crop(scene.truth, yaw).astype(np.float32)}
        crops |= {name: _crop(image, yaw) * gains[name] for name, image in results.items()}
        picture = np.concatenate([_labelled(name, crop) for name, crop in crops.items()], axis=1)
        cv2.imwrite(str(folder / f"{scene.name.replace(' ', '-')}-{round(yaw):+04d}.png"), picture[..., ::-1])


def seams(where: Regions) -> list[float]:
    """Return the yaws in (-180, 180] at which seams cross the horizon, from west to east."""
    row = where.band[len(where.band) // 2]
    start = int(np.flatnonzero(~row)[0])
    turned = np.concatenate([np.roll(row, -start), [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(turned, prepend=0)).reshape(-1, 2)
    yaws = [((first + end) / 2 + start) / len(row) * 360 - 180 for first, end in edges]
    return sorted(180 - (180 - float(yaw)) % 360 for yaw in yaws)


def _crop(image: Image, yaw: float) -> Image:
    height, width = image.shape[:2]
    columns = np.round((np.array([yaw - _SIDE / 2, yaw + _SIDE / 2]) / 360 + 0.5) * width).astype(int)
    rows = np.round((0.5 - np.array([_HIGHEST, _LOWEST]) / 180) * height).astype(int)
    return np.take(image[rows[0] : rows[1]], np.arange(*columns), axis=1, mode="wrap")


def _labelled(name: str, crop: NDArray[np.float32]) -> Image:
    picture = np.clip(np.rint(crop), 0, 255).astype(np.uint8)
    framed = cv2.copyMakeBorder(picture, _ROOM, 4, 4, 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    return np.asarray(
        cv2.putText(framed, name, (8, _ROOM - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 1, cv2.LINE_AA), np.uint8
    )
