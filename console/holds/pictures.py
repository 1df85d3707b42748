"""A held panorama for a person's eyes: what was hidden is hidden, what was left is outlined and shown enlarged. It shows sealed pixels."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from console.holds.cases import Case, Find
from console.recipes.pictures import crop
from panoveil.blobs import Blobs
from panoveil.contracts.audit import Hold
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.keys import BlobRef
from panoveil.contracts.limits import LARGEST_PICTURE
from panoveil.contracts.messages import PanoramaBox
from panoveil.contracts.reasons import Reason
from panoveil.pixels import jpeg
from services.anonymizer.obfuscate import obfuscated
from services.anonymizer.regions import Extent, from_box, grown

WARNING = (
    "It shows pixels that are sealed, whole and unpublished: personal data. Only you may read the file; "
    "look, decide, delete it, and send it to nobody."
)
LEGEND = "What was left is yellow, with its number, and enlarged along the bottom; what is hidden is outlined in green."
_WIDEST, _QUALITY = 4096, 92
_LEFT, _HIDDEN, _BLACK = (255, 220, 0), (60, 200, 60), (0, 0, 0)

Picture = NDArray[np.uint8]


async def write(case: Case, blobs: Blobs, file: Path) -> None:
    """Write the picture of a case's last hold, for its owner's eyes only (mode 0600)."""
    audited = case.hold.inputs[0]
    data = await blobs.get(BlobRef(audited.bucket, audited.key), LARGEST_PICTURE)
    if hashlib.sha256(data).hexdigest() != audited.sha256:
        raise Rejected(Reason.HASH_MISMATCH, audited.key)
    shown = await asyncio.to_thread(_drawn_of, data, case)
    _write_for_owner(file, jpeg.encode(shown, _QUALITY))


def _drawn_of(data: bytes, case: Case) -> Picture:
    return drawn(jpeg.decode(data), case.hold, case.finds(case.hold))


def drawn(panorama: Picture, hold: Hold, finds: Sequence[Find]) -> Picture:
    """Return a panorama uint8 [H, W, 3] RGB as the last round hid it, at most 4096 pixels wide, over a strip of what it left."""
    extent = Extent.of(panorama, panorama=True)
    rects = tuple(grown(from_box(box, extent), hold.recipe.margin, extent) for box in hold.regions)
    hidden = obfuscated(panorama, rects, hold.recipe.obfuscator, extent)
    width = min(extent.width, _WIDEST)
    shown = np.asarray(cv2.resize(hidden, (width, width // 2), interpolation=cv2.INTER_AREA), np.uint8)
    for box in hold.regions:
        _outline(shown, box, _HIDDEN, "")
    for one in finds:
        _outline(shown, one.box, _LEFT, str(one.number))
    return np.vstack([shown, *_strips([_enlarged(hidden, one) for one in finds], width)])


def _outline(picture: Picture, box: PanoramaBox, colour: tuple[int, int, int], text: str) -> None:
    """Draw a box, where it crosses the edge on both sides of it, and write beside it."""
    extent = Extent.of(picture, panorama=True)
    region = from_box(box, extent)
    for turn in (0, -extent.width) if region.x1 > extent.width else (0,):
        corners = [(round(x + turn), round(y)) for x, y in ((region.x0, region.y0), (region.x1, region.y1))]
        cv2.rectangle(picture, corners[0], corners[1], colour, 2)
    _label(picture, text, (round(min(region.x0, extent.width - 40)), round(max(region.y0 - 6, 22))), colour)


def _enlarged(picture: Picture, find: Find) -> Picture:
    shown = crop(picture, find.box, _LEFT)
    _label(shown, str(find.number), (10, 34), _LEFT)
    return shown


def _label(picture: Picture, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    for ink, thickness in ((_BLACK, 5), (colour, 2)):
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.9, ink, thickness, cv2.LINE_AA)


def _strips(crops: Sequence[Picture], width: int) -> list[Picture]:
    """Lay crops in rows as wide as the panorama; a panorama narrower than a crop has them shrunk."""
    if not crops:
        return []
    side = min(crops[0].shape[0], width)
    fitting = [np.asarray(cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA), np.uint8) for one in crops]
    each = width // side
    return [_row(fitting[start : start + each], width) for start in range(0, len(fitting), each)]


def _row(crops: Sequence[Picture], width: int) -> Picture:
    row = np.zeros((crops[0].shape[0], width, 3), np.uint8)
    row[:, : sum(one.shape[1] for one in crops)] = np.hstack(crops)
    return row


def _write_for_owner(file: Path, data: bytes) -> None:
    """Write a file that nobody else may read, from its first byte on; what lies there was somebody's, so it stays."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
