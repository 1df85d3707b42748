"""Published panoramas side by side where boxes were gained or lost. Only what is published is shown: nothing sealed is read."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from console.recipes.boxes import width
from console.recipes.diff import Change, Diff
from panoveil.blobs import Blobs
from panoveil.contracts.keys import BlobRef, Bucket
from panoveil.contracts.messages import PanoramaBox, PanoramaPublished
from panoveil.pixels import jpeg

_AROUND = 4.0
"""A crop is so many times its box's size, and at least `_LEAST` pixels."""
_LEAST, _SHOWN, _GAP, _QUALITY = 96, 480, 8, 92
_GAINED, _LOST, _WHITE = (60, 200, 60), (230, 60, 60), (255, 255, 255)

Picture = NDArray[np.uint8]


async def write(found: Diff, blobs: Blobs, folder: Path, most: int) -> int:
    """Write at most so many pictures, before on the left and after on the right; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for change in found.changes:
        if count < most and (change.gained or change.lost) and change.before and change.after:
            before, after = [await _picture(one, blobs) for one in (change.before, change.after)]
            count += await asyncio.to_thread(_write, change, before, after, folder, most - count)
    return count


async def _picture(publication: PanoramaPublished, blobs: Blobs) -> Picture:
    data = await blobs.get(BlobRef(Bucket.PUBLISHED, publication.key))
    return await asyncio.to_thread(jpeg.decode, data)


def _write(change: Change, before: Picture, after: Picture, folder: Path, most: int) -> int:
    count = 0
    for (way, number, box), _ in zip(_boxes(change), range(most), strict=False):
        shown = side_by_side(before, after, box, _GAINED if way == "gained" else _LOST)
        name = f"{change.capture_id.drive}-{change.capture_id.capture}-{way}-{number}-{box.kind}.jpg"
        (folder / name).write_bytes(jpeg.encode(shown, _QUALITY))
        count += 1
    return count


def _boxes(change: Change) -> Iterator[tuple[str, int, PanoramaBox]]:
    for way, found in (("gained", change.gained), ("lost", change.lost)):
        for number, box in enumerate(found, 1):
            yield way, number, box


def side_by_side(before: Picture, after: Picture, box: PanoramaBox, colour: tuple[int, int, int]) -> Picture:
    """Return crops of two panoramas round a box, [480, 968, 3] RGB, with the box drawn."""
    crops = [crop(picture, box, colour) for picture in (before, after)]
    gap = np.full((_SHOWN, _GAP, 3), _WHITE, np.uint8)
    return np.hstack([crops[0], gap, crops[1]])


def crop(picture: Picture, box: PanoramaBox, colour: tuple[int, int, int]) -> Picture:
    """Return a panorama's surroundings of a box, [480, 480, 3] RGB, with the box drawn; also where it wraps round ±180°."""
    height, across = picture.shape[:2]
    half_width, half_height = width(box) / 720 * across, (box.north - box.south) / 360 * height
    x = (box.west + width(box) / 2 + 180) / 360 * across
    y = (90 - (box.north + box.south) / 2) / 180 * height
    reach = min(max(_LEAST / 2, _AROUND * max(half_width, half_height)), height / 2)
    columns = np.arange(round(x - reach), round(x + reach)) % across
    rows = np.clip(np.arange(round(y - reach), round(y + reach)), 0, height - 1)
    shown = cv2.resize(picture[np.ix_(rows, columns)], (_SHOWN, _SHOWN), interpolation=cv2.INTER_CUBIC)
    scale = _SHOWN / (2 * reach)
    corner = [round(_SHOWN / 2 - half * scale) for half in (half_width, half_height)]
    other = [round(_SHOWN / 2 + half * scale) for half in (half_width, half_height)]
    cv2.rectangle(shown, corner, other, colour, 2)
    return np.asarray(shown, np.uint8)
