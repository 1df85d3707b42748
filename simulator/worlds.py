"""Photographed worlds: real panoramas, each seen as one capture by a rig that turns on the spot.

A panorama knows no distances, so every lens sees it from one and the same point: use a rig of `centred` lenses. Drawn people and
cars can be put in, at known places: they are the truth; who else is in the photographs is not known.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, jpeg
from simulator.extras import Extras
from simulator.rigs import matched_panorama_width
from simulator.stage import draw_things, mounted, remembered_rays, truths
from simulator.things import Thing
from simulator.truth import TrueObject
from simulator.views import Station, stand

Image = NDArray[np.uint8]

_SPACING = 10.0
_FINER = 1.3
_ROWS_AT_ONCE = 256


def centred(rig: Rig) -> Rig:
    """Return the rig with all lens centres at its origin, under an id of its own."""
    lenses = tuple(lens.model_copy(update={"position": (0.0, 0.0, 0.0)}) for lens in rig.lenses)
    return rig.model_copy(update={"rig_id": f"{rig.rig_id}-centred", "lenses": lenses})


class Photographs:
    """A world of the equirectangular JPEGs below a folder, in the order of their names."""

    def __init__(self, folder: Path, extras: Extras | None = None) -> None:
        """Put drawn people and cars into every panorama."""
        self.paths = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"}))
        self._extras = extras or Extras()
        self._panorama = lru_cache(maxsize=2)(self._read)
        self._things = lru_cache(maxsize=4)(self._place)

    def __len__(self) -> int:
        """How many captures there are."""
        return len(self.paths)

    def station(self, capture: int) -> Station:
        """Return where the rig stands: ten metres on from the panorama before."""
        if not 0 <= capture < len(self.paths):
            raise IndexError(f"there are {len(self.paths)} panoramas, there is no number {capture}")
        return Station(0.0, 0.0, capture * _SPACING)

    def frame(self, rig: Rig, lens: Lens, capture: int) -> Image:
        """Return what the lens would see through perfect glass, RGB uint8 [H, W, 3]; its position is disregarded."""
        width = matched_panorama_width(rig)
        frame = _resample(self._panorama(capture, width), remembered_rays(lens))
        station = mounted(rig, self.station(capture))
        view = stand(lens.model_copy(update={"position": (0.0, 0.0, 0.0)}), remembered_rays(lens), station)
        draw_things(frame, view, self._things(capture, width), station)
        return frame

    def truth(self, rig: Rig, capture: int, panorama_width: int) -> tuple[TrueObject, ...]:
        """Return the drawn faces and plates that could identify somebody."""
        things = self._things(capture, matched_panorama_width(rig))
        return truths(things, centred(rig), mounted(rig, self.station(capture)), panorama_width)

    def _read(self, capture: int, width: int) -> Image:
        """Decode a panorama, and shrink it where the lenses would skip pixels of it."""
        image = jpeg.decode(self.paths[capture].read_bytes())
        if image.shape[1] > _FINER * width:
            image = cv2.resize(image, (width, width // 2), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        return cv2.copyMakeBorder(image, 0, 0, _BORDER, _BORDER, cv2.BORDER_WRAP).astype(np.uint8, copy=False)

    def _place(self, capture: int, width: int) -> list[Thing]:
        return self._extras.placed(self.station(capture), capture, width)


_BORDER = 4


def _resample(bordered: Image, rays: NDArray[np.float32]) -> Image:
    """Look the rays float32 [H, W, 3] up in a panorama that carries `_BORDER` columns of its other side on each side."""
    frame = np.empty(rays.shape, np.uint8)
    width = bordered.shape[1] - 2 * _BORDER
    for row in range(0, rays.shape[0], _ROWS_AT_ONCE):
        pixels = equirect.to_pixels(rays[row : row + _ROWS_AT_ONCE], width) + np.array([_BORDER, 0], np.float32)
        band = cv2.remap(bordered, pixels, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        frame[row : row + _ROWS_AT_ONCE] = band
    return frame
