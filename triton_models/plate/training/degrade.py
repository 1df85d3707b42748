"""What cameras, weather and compression do to a picture."""

import cv2
import numpy as np

from .arrays import Floats, Pixels

NIGHT = 0.12
GREY = 110.0


def degrade(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Apply a random chain of exposure, colour, blur, noise and compression."""
    seen = _exposed(rng, image.astype(np.float32))
    seen = _blurred(rng, seen)
    seen = _noisy(rng, seen)
    return _compressed(rng, np.clip(seen, 0, 255).astype(np.uint8))


def without_cast(image: Pixels) -> Pixels:
    """Make the mean colour grey, keeping the brightness."""
    means = image.reshape(-1, 3).mean(axis=0) + 3
    return np.asarray(np.clip(image * (means.mean() / means), 0, 255), np.uint8)


def _exposed(rng: np.random.Generator, image: Floats) -> Floats:
    """Change exposure, contrast, gamma and white balance."""
    gamma = float(np.exp(rng.normal(0, 0.2)))
    gain = float(np.exp(rng.normal(0, 0.22))) * (rng.uniform(0.2, 0.5) if rng.random() < NIGHT else 1.0)
    balance = np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
    curve = 255 * (np.linspace(0, 1, 256) ** gamma)
    contrast = float(rng.uniform(0.75, 1.2))
    lut = ((curve - GREY) * contrast + GREY) * gain
    table = np.clip(lut[:, None] * balance + rng.normal(0, 6), 0, 255).astype(np.float32)
    index = np.clip(image, 0, 255).astype(np.uint8)
    return np.stack([table[index[..., channel], channel] for channel in range(3)], axis=-1)


def _blurred(rng: np.random.Generator, image: Floats) -> Floats:
    """Blur by the lens, by motion, or sharpen as cameras do."""
    dice = rng.random()
    if dice < 0.35:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.3))), np.float32)
    if dice < 0.45:
        return np.asarray(cv2.filter2D(image, -1, _streak(rng)), np.float32)
    if dice < 0.65:
        soft = cv2.GaussianBlur(image, (0, 0), 1.0)
        return np.asarray(image + rng.uniform(0.2, 1.0) * (image - soft), np.float32)
    return image


def _streak(rng: np.random.Generator) -> Floats:
    """Kernel of a short movement in a random direction."""
    size = int(rng.choice([3, 5, 7]))
    kernel = np.zeros((size, size), np.float32)
    slope = float(rng.normal(0, 0.3))
    centre = size // 2
    for step in range(size):
        kernel[int(np.clip(round(centre + slope * (step - centre)), 0, size - 1)), step] = 1
    return np.asarray((kernel if rng.random() < 0.8 else kernel.T) / kernel.sum(), np.float32)


def _noisy(rng: np.random.Generator, image: Floats) -> Floats:
    """Add sensor noise to half of the pictures."""
    if rng.random() < 0.5:
        return image
    strength = float(rng.uniform(1, 9))
    height, width = image.shape[:2]
    tile = rng.standard_normal((height, width, 1), np.float32) * strength
    return np.asarray(image + tile, np.float32)


def _compressed(rng: np.random.Generator, image: Pixels) -> Pixels:
    """Send most pictures through JPEG."""
    if rng.random() < 0.3:
        return image
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 97))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8)
