"""A picture that is looked at in many sizes: each is made once, whoever asks for it."""

import threading
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


class Shrinking:
    """A picture uint8 [H, W, 3], whole, halved, and halved again; several threads may ask at once."""

    def __init__(self, picture: Picture) -> None:
        """Nothing is shrunk before it is asked for."""
        self._sizes = [picture]
        self._making = threading.Lock()

    def halved(self, times: int) -> Picture:
        """Return the picture uint8 [H // 2^times, W // 2^times, 3], averaged over squares.

        What is left over at the right and at the bottom is in no square: pixel (x, y) begins at (x, y) x 2^times, whatever the size.
        """
        with self._making:
            while len(self._sizes) <= times:
                self._sizes.append(_halved(self._sizes[-1]))
            return self._sizes[times]


def _halved(picture: Picture) -> Picture:
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    return cast("Picture", cv2.resize(picture[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA))
