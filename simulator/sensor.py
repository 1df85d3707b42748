"""What a lens and its sensor do to light: lateral colour, exposure, gain, vignetting, slight blur, response, noise. Pure, and seeded."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Lens
from panoveil.pixels import light

Image = NDArray[np.uint8]

_STARTS = 1 << 20


@dataclass(frozen=True, slots=True)
class Sensor:
    """How a sensor degrades a picture; noise in grey levels of 0..255."""

    exposure: float = 1.0
    read_noise: float = 1.0
    shot_noise: float = 0.12
    blur: float = 0.45


def exposures(names: tuple[str, ...], seed: int, spread: float = 0.05) -> dict[str, float]:
    """Return each lens's own exposure for one capture: what automatic exposure leaves for the stitcher to match."""
    draws = np.random.default_rng(seed).normal(0, spread, len(names))
    return {name: float(np.exp(np.clip(draw, -2.5 * spread, 2.5 * spread))) for name, draw in zip(names, draws, strict=True)}


def sense(image: Image, lens: Lens, sensor: Sensor, seed: int) -> Image:
    """Return what the lens records, RGB uint8 [H, W, 3], of a rendered picture of the same form.

    sensed = true x exposure x gain x vignetting of the rig's photometry, then blur, then the response, then noise whose variance is
    read_noise^2 + shot_noise x signal. Red and blue are where the lens's lateral colour puts them.
    """
    signal = _fringed(image, lens) * shading(lens)[..., None]
    signal *= np.array(lens.photometry.gain, np.float32) * np.float32(sensor.exposure)
    if sensor.blur > 0:
        signal = cv2.GaussianBlur(signal, (0, 0), sensor.blur).astype(np.float32, copy=False)
    if any(lens.photometry.response):
        signal = light.respond(lens.photometry.response, signal).astype(np.float32, copy=False)
    deviation = cv2.sqrt(signal * np.float32(sensor.shot_noise) + np.float32(sensor.read_noise**2))
    sensed = signal + deviation * _noise(signal.shape, seed)
    return np.asarray(cv2.convertScaleAbs(np.maximum(sensed, 0)), np.uint8)


def _fringed(image: Image, lens: Lens) -> NDArray[np.float32]:
    """Return the picture as float32 with red and blue moved along their radii, by cubic interpolation."""
    moved = image.astype(np.float32)
    for channel, shift in ((0, lens.chromatic.red), (2, lens.chromatic.blue)):
        if any(shift):
            places = _places(lens, shift)
            moved[..., channel] = cv2.remap(
                image[..., channel].astype(np.float32), places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )  # type: ignore[call-overload]
    return moved


def _places(lens: Lens, shift: tuple[float, float]) -> NDArray[np.float32]:
    """Return where in the true picture each pixel of a moved channel comes from, float32 [H, W, 2]."""
    pixels = np.stack(np.meshgrid(np.arange(lens.width), np.arange(lens.height)), axis=-1).astype(np.float64)
    centre = np.array([lens.intrinsics.cx, lens.intrinsics.cy])
    factor = light.shrunk(shift, light.square_radius(lens, pixels))
    return np.asarray((pixels - centre) * factor[..., None] + centre, np.float32)


def _noise(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Normal noise: a stretch of one long sequence, from a place that the seed says. Fresh noise would cost more than the picture."""
    size = int(np.prod(shape))
    start = int(np.random.default_rng(seed).integers(_STARTS))
    return _noises(size + _STARTS)[start : start + size].reshape(shape)


@lru_cache(maxsize=2)
def _noises(size: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(size, np.float32)


@lru_cache(maxsize=16)
def shading(lens: Lens) -> NDArray[np.float32]:
    """Return the fall-off 1 + v1 r^2 + v2 r^4 + v3 r^6 of every pixel, float32 [H, W]."""
    across = np.arange(lens.width, dtype=np.float32) - np.float32(lens.intrinsics.cx)
    down = np.arange(lens.height, dtype=np.float32) - np.float32(lens.intrinsics.cy)
    square = (across[None, :] ** 2 + down[:, None] ** 2) / np.float32((lens.width**2 + lens.height**2) / 4)
    first, second, third = (np.float32(value) for value in lens.photometry.vignetting)
    return np.asarray(1 + square * (first + square * (second + square * third)), np.float32)
