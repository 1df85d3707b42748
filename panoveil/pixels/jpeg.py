"""JPEG at the door: strict in, RGB inside.

libjpeg mends damaged files in silence and OpenCV lets it; a frame with its lower half missing would be stitched as if whole.
libjpeg-turbo's own decoder (simplejpeg) reports what it mended, and it does not turn the image by its EXIF orientation.
"""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason

MAX_PIXELS = 200_000_000
"""More than any lens or panorama has: a header that claims more is damage, or an attack on memory."""


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return the whole image, uint8 [H, W, 3] RGB, as stored (EXIF orientation is not applied).

    `Rejected(CORRUPT_FRAME)` where the data is truncated, damaged, no JPEG or absurdly large.
    """
    dimensions(data)
    try:
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except ValueError as error:
        raise _corrupt(error) from error
    return image


def dimensions(data: bytes) -> tuple[int, int]:
    """Return (width, height) from the header alone, or raise `Rejected(CORRUPT_FRAME)`."""
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


def _corrupt(error: Exception) -> Rejected:
    return Rejected(Reason.CORRUPT_FRAME, "no JPEG" if isinstance(error, KeyError) else str(error))
