"""Light: what a lens did to it, and what its automatic exposure did, undone."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Rig

Floats = NDArray[np.floating[Any]]

_DARK, _BRIGHT = 8.0, 247.0
_FEWEST_PIXELS = 20
_LARGEST_LOG_GAIN = float(np.log(2.0))
_KNEE, _PEAK = 200.0, 280.0
_LIFTED_FROM = 180.0


def rig_gains(rig: Rig) -> NDArray[np.float64]:
    """Return what each lens's channels must be multiplied by to undo the rig's calibrated gain, float64 [L, 3]."""
    return 1 / np.array([lens.photometry.gain for lens in rig.lenses], np.float64)


def exposure_gains(views: Floats, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return gains float64 [L, 3] that make lenses agree where they overlap.

    `views` [L, h, w, 3], 0-255, show the same equirectangular grid through every lens, `seen` bool [L, h, w] where. The gains' mean
    (of logarithms, over what each lens sees) is 1, so the panorama stays as bright and as coloured as it was.
    """
    usable = seen & np.all((views > _DARK) & (views < _BRIGHT), axis=-1)
    logs = np.log(np.maximum(views, 1))
    rows, targets = [], []
    for one, other in itertools.combinations(range(len(views)), 2):
        both = usable[one] & usable[other]
        if both.sum() >= _FEWEST_PIXELS:
            trust = np.sqrt(both.sum())
            rows.append(trust * _difference(one, other, len(views)))
            targets.append(trust * np.median(logs[other][both] - logs[one][both], axis=0))
    return np.exp(np.clip(_anchored(rows, targets, seen), -_LARGEST_LOG_GAIN, _LARGEST_LOG_GAIN))


def _difference(one: int, other: int, count: int) -> Floats:
    row = np.zeros(count)
    row[one], row[other] = 1, -1
    return row


def _anchored(rows: list[Floats], targets: list[Floats], seen: NDArray[np.bool_]) -> Floats:
    """Solve for log gains [L, 3] whose mean over the rig is 0."""
    count = len(seen)
    if not rows:
        return np.zeros((count, 3))
    weakly = 1e-3 * np.eye(count) * np.sqrt(seen.sum(axis=(1, 2)).mean())
    solution, *_ = np.linalg.lstsq(np.vstack([*rows, weakly]), np.vstack([*targets, np.zeros((count, 3))]), rcond=None)
    area = seen.sum(axis=(1, 2)).astype(np.float64)
    anchored: Floats = solution - np.average(solution, axis=0, weights=np.maximum(area, 1))
    return anchored


def tone_curve(gain: float, sensed: Floats) -> NDArray[np.uint8]:
    """Return what sensed values (0-255, or more where vignetting was undone) become under `gain`.

    Nothing is pushed into clipping hard: what would exceed 255 is compressed above a knee. And what was clipped stays white: darkened
    by unequal gains it would turn into a colour that never was.
    """
    wanted = gain * sensed
    peak = min(_PEAK, max(255.0, float(wanted.max())))
    compressed = np.where(wanted > _KNEE, _KNEE + (wanted - _KNEE) * ((255 - _KNEE) / (peak - _KNEE)), wanted)
    nearly_clipped = np.clip((sensed - _LIFTED_FROM) / (255 - _LIFTED_FROM), 0, 1)
    lifted: Floats = compressed + 255 * max(0.0, 1 - gain) * nearly_clipped**2
    return np.rint(np.clip(lifted, 0, 255)).astype(np.uint8)


def curve_table(gains: Floats, shade_peak: float | None) -> NDArray[np.uint8] | None:
    """Return the look-up table uint8 [1, N, 3] that corrects a lens's pixels, or None where nothing is to be done.

    Without shading N is 256; with it N is 65536 and indexed by pixel x shade, shade being 255 for `shade_peak`.
    """
    if shade_peak is None and np.all(np.abs(gains - 1) < 1 / 512):
        return None
    domain = np.arange(256.0) if shade_peak is None else np.arange(65536.0) * (shade_peak / 255)
    return np.stack([tone_curve(float(gain), domain) for gain in gains], axis=-1)[None]
