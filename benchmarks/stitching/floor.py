"""The least that any stitcher does with OpenCV and libjpeg-turbo: decode, sample every pixel of the panorama once, encode.

Each lens fills the upright sector of the panorama that is nearest to it, through its own fixed-point map; nothing is corrected, mixed
or matched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, jpeg, lenses

Image = NDArray[np.uint8]

_STRIP = 64
_COARSE = 2048


@dataclass(frozen=True, slots=True)
class Sector:
    """Columns of the panorama, first to before last, that a lens fills: `fixed` int16 [H, w, 2], `fraction` uint16 [H, w]."""

    lens: str
    first: int
    last: int
    fixed: NDArray[np.int16]
    fraction: NDArray[np.uint16]


class Floor:
    """A floor to stand on for one rig and one width of panorama."""

    def __init__(self, rig: Rig, width: int, quality: int) -> None:
        self._sectors = _sectors(rig, width)
        self._panorama = np.zeros((width // 2, width, 3), np.uint8)
        self._quality = quality

    def work(self, frames: Mapping[str, bytes]) -> bytes:
        """Do it, in this thread."""
        images = {name: jpeg.decode(data) for name, data in frames.items()}
        self.sample(images)
        return jpeg.encode_patchable(self._panorama, self._quality)

    def sample(self, images: Mapping[str, Image]) -> Image:
        """Fill the panorama in strips that stay in the processor's cache."""
        for top in range(0, len(self._panorama), _STRIP):
            rows = slice(top, top + _STRIP)
            for each in self._sectors:
                target = self._panorama[rows, each.first : each.last]
                cv2.remap(images[each.lens], each.fixed[rows], each.fraction[rows], cv2.INTER_LINEAR, dst=target)
        return self._panorama


def _sectors(rig: Rig, width: int) -> list[Sector]:
    yaws = np.array([equirect.to_angles(np.asarray(lens.rotation)[:, 2])[0] for lens in rig.lenses])
    columns = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    apart = np.abs((columns - yaws[:, None] + np.pi) % (2 * np.pi) - np.pi)
    owner = apart.argmin(axis=0)
    cuts = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), width]
    return [_sector(rig.lenses[int(owner[first])], first, last, width) for first, last in pairwise(cuts)]


def _sector(lens: Lens, first: int, last: int, width: int) -> Sector:
    """Work the map out on a coarse grid and raise it; what the lens does not see is drawn from its border."""
    step = max(1, width // _COARSE)
    rows, columns = np.arange(-step, width // 2 + 2 * step, step), np.arange(first - step, last + 2 * step, step)
    yaw = ((columns + 0.5) / width - 0.5) * 2 * np.pi
    pitch = (0.5 - (rows + 0.5) / (width // 2)) * np.pi
    rays = equirect.to_rays(yaw[None, :], pitch[:, None]) @ np.asarray(lens.rotation, np.float32)
    pixels, _ = lenses.project(lens.intrinsics, rays)
    pixels = np.clip(pixels, 0, np.array([lens.width - 1, lens.height - 1])).astype(np.float32)
    matrix = np.array([[1 / step, 0, 1], [0, 1 / step, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    raised = cv2.warpAffine(pixels, matrix, (last - first, width // 2), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    fixed, fraction = cv2.convertMaps(raised[..., 0], raised[..., 1], cv2.CV_16SC2)
    return Sector(lens.name, first, last, np.asarray(fixed, np.int16), np.asarray(fraction, np.uint16))
