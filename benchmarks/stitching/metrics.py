"""How far a panorama is from the truth, with an eye on the seams. All at the panorama's own resolution.

Nobody knows a capture's absolute exposure, so first every channel of a result is multiplied by the one gain that fits the truth best
(least squares over all pixels that a lens sees): the same courtesy for every method.

Which pixels belong to a seam is decided by the rig's geometry alone, the same for all methods; see `Regions`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stitching.colour import de2000, lab
from panoveil.contracts.rig import Lens, Rig
from panoveil.pixels import equirect, lenses

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]

BAND_DEGREES = 3.0
"""A pixel belongs to a seam's band where its angles to the two nearest optical axes differ by less than twice this."""

INTERIOR_DEGREES = 5.0
"""And to the interior where they differ by more than twice this."""

STEEPEST = 60.0
"""Degrees above and below the horizon up to which there are bands and an interior."""

NEAR, FAR = 2.5, 1000.0
"""Metres: a lens sees a pixel if it sees that ray's points at both distances."""

_GEOMETRY_WIDTH = 2048
_ROWS = 512
_HALO = 8
_SIGMA, _WINDOW = 1.5, 11
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_DE_SAMPLES = 3_000_000


@dataclass(frozen=True, slots=True)
class Regions:
    """Parts of a panorama, bool [H, W] each: `seen` by a lens, near a seam (`band`), far from any (`interior`)."""

    seen: Mask
    band: Mask
    interior: Mask


@dataclass(frozen=True, slots=True)
class Scores:
    """What was measured: dB, SSIM 0..1, mean |difference of luma gradients| in grey levels a pixel, CIEDE2000."""

    ws_psnr: float
    band_psnr: float
    band_ssim: float
    band_ssim_p5: float
    band_gradient: float
    interior_gradient: float
    interior_psnr: float
    interior_ssim: float
    de2000_mean: float
    de2000_p95: float
    gains: tuple[float, ...]

    @property
    def band_gradient_ratio(self) -> float:
        """The gradient error at the seams as a share of that elsewhere."""
        return self.band_gradient / self.interior_gradient


def regions(rig: Rig, width: int) -> Regions:
    """Return the regions of a panorama of `width`; worked out on a smaller one and raised."""
    small = min(width, _GEOMETRY_WIDTH)
    rays = equirect.rays(small)
    views = np.stack([_sees(lens, rays) for lens in rig.lenses])
    axes = np.array([np.asarray(lens.rotation)[:, 2] for lens in rig.lenses], np.float32)
    angles = np.where(views, np.degrees(np.arccos(np.clip(np.moveaxis(rays @ axes.T, -1, 0), -1, 1))), np.inf)
    nearest = np.sort(angles, axis=0)[:2] if len(angles) > 1 else np.stack([angles[0], np.full(rays.shape[:2], np.inf)])
    seen = np.isfinite(nearest[0])
    apart = np.full(seen.shape, np.inf)
    np.subtract(nearest[1], nearest[0], out=apart, where=seen)
    level = np.abs(np.degrees(equirect.to_angles(rays)[1])) <= STEEPEST
    band, interior = level & seen & (apart <= 2 * BAND_DEGREES), level & seen & (apart > 2 * INTERIOR_DEGREES)
    return Regions(*(_raised(mask, width) for mask in (seen, band, interior)))


def _sees(lens: Lens, rays: NDArray[np.float32]) -> Mask:
    return _on_sensor(lens, rays * np.float32(NEAR)) & _on_sensor(lens, rays * np.float32(FAR))


def _on_sensor(lens: Lens, points: Floats) -> Mask:
    apart = (points - np.asarray(lens.position, np.float32)) @ np.asarray(lens.rotation, np.float32)
    pixels, visible = lenses.project(lens.intrinsics, apart)
    inside = (pixels >= 0) & (pixels <= np.array([lens.width - 1, lens.height - 1]))
    return np.asarray(visible & inside.all(axis=-1))


def _raised(mask: Mask, width: int) -> Mask:
    return cv2.resize(mask.astype(np.uint8), (width, width // 2), interpolation=cv2.INTER_NEAREST) > 0


def scores(result: Image, truth: Image, where: Regions) -> Scores:
    """Compare a result with the truth, RGB uint8 [H, W, 3] both."""
    gains = alignment(result, truth, where.seen)
    sums = _Sums()
    for rows in _strips(len(truth)):
        sums.add(_Strip.of(result, truth, where, gains, rows))
    differences = _colour_differences(result, truth, where.seen, gains)
    return sums.scores(differences, gains)


def alignment(result: Image, truth: Image, seen: Mask) -> NDArray[np.float32]:
    """Return the gain float32 [3] of every channel by which the result comes nearest to the truth where a lens sees."""
    product, square = np.zeros(3), np.zeros(3)
    for row in range(0, len(truth), _ROWS):
        part = slice(row, row + _ROWS)
        ours, theirs = (image[part][seen[part]].astype(np.float32) for image in (result, truth))
        product += np.sum(ours * theirs, axis=0, dtype=np.float64)
        square += np.sum(ours * ours, axis=0, dtype=np.float64)
    return (product / np.maximum(square, 1)).astype(np.float32)


def _strips(height: int) -> Iterator[tuple[slice, slice]]:
    """Yield rows with a halo, and which of them count."""
    for top in range(0, height, _ROWS):
        first, last = max(0, top - _HALO), min(height, top + _ROWS + _HALO)
        yield slice(first, last), slice(top - first, min(top + _ROWS, height) - first)


@dataclass(frozen=True, slots=True)
class _Strip:
    """Some rows: the squared error averaged over the channels [h, w], SSIM [h, w], gradient error [h, w], regions, solid angle [h, 1]."""

    error: Floats
    similarity: Floats
    gradient: Floats
    where: Regions
    weight: Floats

    @classmethod
    def of(cls, result: Image, truth: Image, where: Regions, gains: Floats, rows: tuple[slice, slice]) -> "_Strip":
        outer, inner = rows
        ours, theirs = result[outer].astype(np.float32) * gains, truth[outer].astype(np.float32)
        error = ((ours - theirs) ** 2).mean(axis=-1)
        lumas = _wrapped(ours @ _LUMA), _wrapped(theirs @ _LUMA)
        own = range(outer.start + inner.start, outer.start + inner.stop)
        parts = Regions(*(mask[own.start : own.stop] for mask in (where.seen, where.band, where.interior)))
        weight = np.cos((0.5 - (np.arange(own.start, own.stop) + 0.5) / len(truth)) * np.pi)[:, None]
        core = np.s_[inner, _HALO:-_HALO]
        return cls(error[inner], ssim(*lumas)[core], gradient_error(*lumas)[core], parts, weight)


def _wrapped(luma: Floats) -> NDArray[np.float32]:
    return np.pad(luma, ((0, 0), (_HALO, _HALO)), mode="wrap").astype(np.float32)


def ssim(one: NDArray[np.float32], other: NDArray[np.float32]) -> Floats:
    """Return the structural similarity [H, W] of two lumas 0..255 (Wang 2004: Gaussian window of 11 pixels, sigma 1.5)."""
    mean_1, mean_2 = _smooth(one), _smooth(other)
    variance_1, variance_2 = _smooth(one * one) - mean_1 * mean_1, _smooth(other * other) - mean_2 * mean_2
    covariance = _smooth(one * other) - mean_1 * mean_2
    alike = (2 * mean_1 * mean_2 + _C1) * (2 * covariance + _C2)
    together: Floats = alike / ((mean_1 * mean_1 + mean_2 * mean_2 + _C1) * (variance_1 + variance_2 + _C2))
    return together


def _smooth(image: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA), np.float32)


def gradient_error(one: NDArray[np.float32], other: NDArray[np.float32]) -> Floats:
    """Return |gradient of one - gradient of the other| [H, W], central differences, grey levels a pixel."""
    difference = one - other
    kernel = np.array([[-0.5, 0, 0.5]], np.float32)
    across = cv2.filter2D(difference, cv2.CV_32F, kernel)
    down = cv2.filter2D(difference, cv2.CV_32F, kernel.T)
    return np.asarray(cv2.magnitude(across, down), np.float32)


@dataclass(slots=True)
class _Sums:
    """What the strips add up to."""

    error: float = 0.0
    weight: float = 0.0
    band: list[NDArray[np.float32]] = field(default_factory=list)
    interior: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))

    def add(self, strip: _Strip) -> None:
        weight = strip.weight * strip.where.seen
        self.error += float((strip.error * weight).sum(dtype=np.float64))
        self.weight += float(weight.sum())
        layers = (strip.error, strip.similarity, strip.gradient)
        self.band.append(np.stack([layer[strip.where.band] for layer in layers]))
        inside = strip.where.interior
        self.interior += [*(layer[inside].sum(dtype=np.float64) for layer in layers), inside.sum()]

    def scores(self, differences: Floats, gains: Floats) -> Scores:
        error, similarity, gradient = np.concatenate(self.band, axis=1)
        inner_error, inner_similarity, inner_gradient = self.interior[:3] / self.interior[3]
        return Scores(
            ws_psnr=psnr(self.error / self.weight),
            band_psnr=psnr(float(error.mean(dtype=np.float64))),
            band_ssim=float(similarity.mean(dtype=np.float64)),
            band_ssim_p5=float(np.percentile(similarity, 5)),
            band_gradient=float(gradient.mean(dtype=np.float64)),
            interior_gradient=float(inner_gradient),
            interior_psnr=psnr(float(inner_error)),
            interior_ssim=float(inner_similarity),
            de2000_mean=float(differences.mean()),
            de2000_p95=float(np.percentile(differences, 95)),
            gains=tuple(round(float(gain), 4) for gain in gains),
        )


def psnr(squared_error: float) -> float:
    """Return dB of a mean squared error in grey levels of 0..255; 100 where there is none."""
    return float(min(100.0, 10 * np.log10(255**2 / max(squared_error, 1e-12))))


def _colour_differences(result: Image, truth: Image, seen: Mask, gains: Floats) -> Floats:
    """Return CIEDE2000 of single pixels, unaveraged: of all that are seen, or of every n-th by row and column in a large panorama.

    Rows are drawn by their solid angle, so a pixel near the pole counts for as little as it shows.
    """
    step = max(1, round((seen.size / _DE_SAMPLES) ** 0.5))
    parts = np.s_[step // 2 :: step, step // 2 :: step]
    there = seen[parts] & _by_solid_angle(seen[parts].shape)
    ours = np.clip(result[parts][there].astype(np.float32) * gains, 0, 255)
    return np.asarray(de2000(lab(ours), lab(truth[parts][there].astype(np.float32))))


def _by_solid_angle(shape: tuple[int, int]) -> Mask:
    """Return bool [h, w]: in every row as many, evenly spread, as the row is long on the sphere."""
    share = np.cos((0.5 - (np.arange(shape[0]) + 0.5) / shape[0]) * np.pi)[:, None]
    number = np.arange(shape[1])[None, :]
    return np.floor((number + 1) * share) > np.floor(number * share)
