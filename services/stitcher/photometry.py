"""Light: what a lens did to it, and what its automatic exposure did, undone.

Gains multiply light, not grey levels: where a rig's lenses have a response, it is undone before and applied again after.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.contracts.rig import Rig, Vec3
from panoveil.pixels import light
from services.stitcher import finish

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]

IDENTITY: Vec3 = (0.0, 0.0, 0.0)

_DARK, _BRIGHT = 8.0, 247.0
_FEWEST_PIXELS = 20
_LARGEST_LOG_GAIN = float(np.log(2.0))
_EXPECTED = 0.1
"""Standard deviation of a lens's log gain about what is predicted of it."""

_ALIKE = 16
"""Neighbouring pixels of the small panorama err alike: so many count as one."""

_FLOOR = 0.003
"""No overlap tells a log gain better than this."""

_KNEE, _PEAK = 220.0, 300.0
_LIFTED_FROM = 180.0


def rig_gains(rig: Rig) -> NDArray[np.float64]:
    """Return what each lens's channels must be multiplied by to undo the rig's calibrated gain, float64 [L, 3]."""
    return 1 / np.array([lens.photometry.gain for lens in rig.lenses], np.float64)


def rig_response(rig: Rig) -> Vec3:
    """Return the response that the panorama gets: the lenses' mean, which rises as each of them does."""
    first, second, third = np.mean([lens.photometry.response for lens in rig.lenses], axis=0).tolist()
    return first, second, third


def usable(sampled: Floats) -> NDArray[np.bool_]:
    """Return which pixels [..., 3] as a sensor gave them, 0-255, are neither clipped nor lost in the dark, bool [...]."""
    return np.asarray(np.all((sampled > _DARK) & (sampled < _BRIGHT), axis=-1))


def exposure_gains(views: Floats, seen: NDArray[np.bool_], predicted: Floats | None = None) -> NDArray[np.float64]:
    """Return gains float64 [L, 3] that make lenses agree where they overlap.

    `views` [L, h, w, 3] show the same equirectangular grid through every lens, linear in light, `seen` bool [L, h, w] where they can be
    trusted. An overlap speaks as loudly as its pixels agree with one another (median and median absolute deviation of log ratios); a
    lens that no overlap speaks of gets its `predicted` gain [L, 3], 1 where none is. The gains' mean (of logarithms, over what each lens
    sees) is 1, so the panorama stays as bright and as coloured as it was.
    """
    logs = np.log(np.maximum(views, 1))
    rows, ratios = [], []
    for one, other in itertools.combinations(range(len(views)), 2):
        both = seen[one] & seen[other]
        if both.sum() >= _FEWEST_PIXELS:
            rows.append(_difference(one, other, len(views)))
            ratios.append(_ratio(logs[other][both] - logs[one][both]))
    expected = np.zeros((len(views), 3)) if predicted is None else np.log(predicted)
    return np.exp(np.clip(_anchored(_solved(rows, ratios, expected), seen), -_LARGEST_LOG_GAIN, _LARGEST_LOG_GAIN))


def _difference(one: int, other: int, count: int) -> Floats:
    row = np.zeros(count)
    row[one], row[other] = 1, -1
    return row


def _ratio(logs: Floats) -> tuple[Floats, Floats]:
    """Return the median [3] of log ratios [n, 3] and its variance [3]; for normal errors a median's is pi/2 times a mean's."""
    median = np.median(logs, axis=0)
    spread = 1.4826 * np.median(np.abs(logs - median), axis=0)
    return median, spread**2 * (np.pi / 2 * _ALIKE / len(logs)) + _FLOOR**2


def _solved(rows: list[Floats], ratios: list[tuple[Floats, Floats]], expected: Floats) -> Floats:
    """Return the likeliest log gains [L, 3], channel by channel."""
    if not rows:
        return expected
    matrix, medians, variances = np.stack(rows), *(np.stack(part) for part in zip(*ratios, strict=True))
    solved = np.empty_like(expected)
    for channel in range(3):
        weighted = matrix.T / variances[:, channel]
        normal = weighted @ matrix + np.eye(len(expected)) / _EXPECTED**2
        solved[:, channel] = np.linalg.solve(normal, weighted @ medians[:, channel] + expected[:, channel] / _EXPECTED**2)
    return solved


def _anchored(logs: Floats, seen: NDArray[np.bool_]) -> Floats:
    area = seen.sum(axis=(1, 2)).astype(np.float64)
    anchored: Floats = logs - np.average(logs, axis=0, weights=np.maximum(area, 1))
    return anchored


def curves(factors: Floats, response: Vec3 = IDENTITY, tone: float = 0.0, shown: Vec3 | None = None) -> Image:
    """Return what the 256 values of a pixel become when their light is multiplied by `factors` [...], uint8 [..., 256].

    `response` is undone before and `shown`, the same unless told, applied after. Nothing is pushed into clipping hard: from a knee on
    light bends towards white, its slope falling evenly (a parabola). And what was clipped stays white: darkened by unequal gains it
    would turn into a colour that never was.
    """
    pixels = np.arange(256, dtype=np.float32)
    factor = np.asarray(factors, np.float32)[..., None]
    shown_light = light.respond(response if shown is None else shown, _bent(light.linear(response, pixels) * factor, factor))
    nearly_clipped = np.clip((pixels - _LIFTED_FROM) / (255 - _LIFTED_FROM), 0, 1) ** 2
    lifted = shown_light + (255 - shown_light[..., -1:]) * nearly_clipped
    return np.rint(finish.toned(lifted, tone)).astype(np.uint8)


def _bent(wanted: Floats, factor: Floats) -> Floats:
    """Bend light that a factor lifts beyond white: slope 1 at the knee, 255 where the brightest comes to lie or at `_PEAK`."""
    room = 255 - _KNEE
    reach = np.clip(255 * factor, 255, _PEAK) - _KNEE
    above = np.clip(wanted - _KNEE, 0, reach)
    bent: Floats = np.minimum(wanted, _KNEE) + above - (reach - room) / reach**2 * above**2
    return bent


def curve_table(
    gains: Floats, shade_peak: float | None, response: Vec3 = IDENTITY, tone: float = 0.0, shown: Vec3 | None = None
) -> Image | None:
    """Return the look-up table uint8 [1, N, 3] that corrects a lens's pixels, or None where nothing is to be done.

    Without shading N is 256; with it N is 65536 and indexed by shade << 8 | pixel, shade being 255 for `shade_peak`.
    """
    same = shown is None or shown == response
    if shade_peak is None and tone == 0 and same and np.all(np.abs(gains - 1) < 1 / 512):
        return None
    shades = np.ones(1) if shade_peak is None else np.arange(256) * (shade_peak / 255)
    return np.stack([curves(gain * shades, response, tone, shown).reshape(-1) for gain in gains], axis=-1)[None]


@dataclass(frozen=True, slots=True)
class Shade:
    """What undoes a lens's vignetting on every pixel of its (reduced) frame: uint16 [h, w], 256 times 0 to 255, which is `peak`."""

    pixels: NDArray[np.uint16]
    peak: float


def corrected(pixels: Image, shade: NDArray[np.uint16] | None, table: Image | None) -> Image:
    """Return pixels uint8 [h, w, 3] looked up in a `curve_table`; `shade` [h, w] is disregarded by one that was made without."""
    if table is None:
        return pixels
    index = pixels if shade is None or table.shape[1] == _LEVELS else _shaded(pixels, shade)
    return np.asarray(cv2.LUT(index, table), np.uint8)


def _shaded(pixels: Image, shade: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return shade + pixel, uint16 [h, w, 3]."""
    index = np.asarray(cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB), np.uint16)
    return np.bitwise_or(index, pixels, out=index)


_LEVELS = 256
