"""JPEG at the door: strict in, RGB inside.

libjpeg mends damaged files in silence and OpenCV lets it; a frame with its lower half missing would be stitched as if whole.
libjpeg-turbo's own decoder (simplejpeg) reports what it mended, and it does not turn the image by its EXIF orientation.
"""

from dataclasses import replace

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.pixels.baseline import layout
from panoveil.pixels.outline import MAX_PIXELS, outline
from panoveil.pixels.spread import Spread, one_by_one

RESTART = 8
"""MCUs between two restart markers in what `encode_patchable` writes: they cost a hundredth of the file, and no time."""

_BAND = 1024
"""Rows encoded at a time: a multiple of 16 x 64, so that a band always ends with a whole interval, and with RST7 due."""


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return the whole image, uint8 [H, W, 3] RGB, as stored (EXIF orientation is not applied).

    `Rejected(CORRUPT_FRAME)` where the data is truncated, damaged or no JPEG, `Rejected(UNSAFE_FRAME)` where decoding it would cost
    more than a picture does; no decoder sees that.
    """
    outline(data)
    try:
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except ValueError as error:
        raise _corrupt(error) from error
    return image


def dimensions(data: bytes) -> tuple[int, int]:
    """Return (width, height) from the header alone, of a beginning of a file too, or raise `Rejected(CORRUPT_FRAME)`."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError) as error:  # KeyError: of a subsampling that the header does not get to
        raise _corrupt(error) from error
    if width * height > MAX_PIXELS:
        raise Rejected(Reason.CORRUPT_FRAME, f"the header claims {width} x {height} pixels")
    return width, height


def encode(image: NDArray[np.uint8], quality: int) -> bytes:
    """Return uint8 [H, W, 3] RGB as a baseline JPEG, 4:2:0, without any metadata."""
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, colorspace="RGB", colorsubsampling="420")
    return data


def encode_patchable(image: NDArray[np.uint8], quality: int, spread: Spread = one_by_one) -> bytes:
    """Return the same with restart markers, which let `patch` replace some of its blocks without touching the others.

    `spread` may encode bands in other threads.
    """
    height = image.shape[0]
    bands = [b""] * -(-height // _BAND)

    def encode_band(number: int) -> None:
        bands[number] = _encoded_band(image[number * _BAND : (number + 1) * _BAND], quality)

    spread(encode_band, range(len(bands)))
    first = layout(bands[0])
    start = int(first.segments[0, 0])
    return replace(first, height=height).header() + b"\xff\xd7".join(band[start:-2] for band in bands) + bands[0][-2:]


def _encoded_band(rows: NDArray[np.uint8], quality: int) -> bytes:
    blue_first = cv2.cvtColor(rows, cv2.COLOR_RGB2BGR)
    settings = {
        cv2.IMWRITE_JPEG_QUALITY: quality,
        cv2.IMWRITE_JPEG_RST_INTERVAL: RESTART,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    }
    return cv2.imencode(".jpg", blue_first, [value for pair in settings.items() for value in pair])[1].tobytes()


def _corrupt(error: Exception) -> Rejected:
    return Rejected(Reason.CORRUPT_FRAME, "no JPEG" if isinstance(error, KeyError) else str(error))
