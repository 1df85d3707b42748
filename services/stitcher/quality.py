"""How good a panorama is, in the numbers that messages carry."""

import itertools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.messages import QualityV1

Floats = NDArray[np.floating[Any]]

_LUMA = np.array([0.299, 0.587, 0.114])


def measure(panorama: NDArray[np.uint8], views: Floats, seen: NDArray[np.bool_]) -> QualityV1:
    """Measure a panorama uint8 [H, W, 3]; `views` [L, h, w, 3] are the corrected lens images on a small panorama, `seen` [L, h, w] where."""
    return QualityV1(
        sharpness=_sharpness(panorama),
        clipped_share=_clipped_share(panorama),
        overlap_difference=_overlap_difference(views, seen),
        coverage=coverage(seen),
    )


def coverage(seen: NDArray[np.bool_]) -> float:
    """Return the share of the sphere that some lens saw."""
    return float(np.average(seen.any(axis=0), weights=_areas(seen.shape[1:])))


def overlap(seen: NDArray[np.bool_]) -> float:
    """Return the share of the sphere that two lenses or more saw."""
    return float(np.average(seen.sum(axis=0) > 1, weights=_areas(seen.shape[1:])))


def _areas(shape: tuple[int, ...]) -> Floats:
    height, width = shape
    rows = np.cos((0.5 - (np.arange(height) + 0.5) / height) * np.pi)
    return np.repeat(rows[:, None], width, axis=1)


def _sharpness(panorama: NDArray[np.uint8]) -> float:
    """Look 15° up and down from the horizon, where the street is."""
    height = panorama.shape[0]
    street = cv2.cvtColor(panorama[height * 5 // 12 : height * 7 // 12], cv2.COLOR_RGB2GRAY)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(street, cv2.CV_16S))
    return float(deviation[0, 0] ** 2)


def _clipped_share(panorama: NDArray[np.uint8]) -> float:
    """Count on every eighth row and column pixels that are all black or have a channel at 255."""
    some = panorama[::8, ::8]
    highest = np.maximum(np.maximum(some[..., 0], some[..., 1]), some[..., 2])
    return float(np.mean((highest == 0) | (highest == 255)))  # noqa: PLR2004


def _overlap_difference(views: Floats, seen: NDArray[np.bool_]) -> float:
    lumas, seen = views[:, ::2, ::2] @ _LUMA.astype(np.float32), seen[:, ::2, ::2]
    areas = _areas(seen.shape[1:])
    total, area = 0.0, 0.0
    for one, other in itertools.combinations(range(len(views)), 2):
        both = areas * (seen[one] & seen[other])
        total += float(np.sum(np.abs(lumas[one] - lumas[other]) * both))
        area += float(both.sum())
    return total / area if area else 0.0
