"""The picture as it came: every round of obfuscation starts from it, and replaces no more of its JPEG than it has to."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.recipe import Obfuscator
from panoveil.pixels import jpeg
from panoveil.pixels.baseline import Layout, Unpatchable, layout
from panoveil.pixels.patch import patched
from services.anonymizer.obfuscate import obfuscated_units
from services.anonymizer.regions import Extent, Rect


@dataclass(frozen=True, slots=True)
class Original:
    """A picture uint8 [H, W, 3] RGB and a JPEG of it whose blocks can be replaced.

    `encoded_anew` says that the JPEG is not the file the picture came from: there was none, or it could not be patched.
    """

    picture: NDArray[np.uint8]
    jpeg: bytes
    layout: Layout
    encoded_anew: bool

    @classmethod
    def of(cls, picture: NDArray[np.uint8], source: bytes | None, quality: int) -> Self:
        """Take the file the picture was decoded from, or, where it is None or cannot be patched, encode the picture with `quality`."""
        if source is not None:
            try:
                return cls(picture, source, layout(source), encoded_anew=False)
            except Unpatchable:
                pass
        data = jpeg.encode_patchable(picture, quality)
        return cls(picture, data, layout(data), encoded_anew=True)

    def obfuscated(self, rects: tuple[Rect, ...], style: Obfuscator, extent: Extent) -> bytes:
        """Return the JPEG without metadata and with every MCU replaced that a rectangle or the softening round it touches.

        Every coefficient of every other MCU stays. So do pixels, but for one row or column round the replaced MCUs, where decoders
        interpolate colours.
        """
        shown, units = obfuscated_units(self.picture, rects, style, extent, self.layout.unit)
        return patched(self.jpeg, self.layout, shown, units)
