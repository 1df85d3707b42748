"""A picture that is looked at in many sizes: each is made once, whoever asks for it."""

import threading
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


class Shrinking:
    """A picture uint8 [H, W, 3], whole and shrunk by whole numbers; several threads may ask at once."""

    def __init__(self, picture: Picture) -> None:
        """Nothing is shrunk before it is asked for."""
        self._sizes = {1: picture}
        self._making = threading.Lock()

    def by(self, factor: int) -> Picture:
        """Return the picture uint8 [H // factor, W // factor, 3], averaged over squares of factor x factor pixels.

        What is left over at the right and at the bottom is in no square: pixel (x, y) begins at (x, y) x factor, whatever the size.
        """
        with self._making:
            return self._by(factor)

    def _by(self, factor: int) -> Picture:
        if factor not in self._sizes:
            self._sizes[factor] = _halved(self._by(factor // 2)) if factor % 2 == 0 else _averaged(self._sizes[1], factor)
        return self._sizes[factor]


def _halved(picture: Picture) -> Picture:
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    return cast("Picture", cv2.resize(picture[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA))


def _averaged(picture: Picture, odd: int) -> Picture:
    """Average every square round its middle: a box filter, of which only the middles are kept, takes OpenCV half of what resizing does."""
    height, width = picture.shape[0] // odd, picture.shape[1] // odd
    middles = cv2.blur(picture, (odd, odd))[odd // 2 :: odd, odd // 2 :: odd]
    return cast("Picture", np.ascontiguousarray(middles[:height, :width]))
