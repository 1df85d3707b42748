"""Colour differences as an eye sees them: sRGB to CIELAB (D65), CIEDE2000 as Sharma, Wu and Dalal (2005) spell it out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_25_TO_7 = 25.0**7
_TURN = 360.0
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]], np.float32
) / np.array([[0.95047], [1.0], [1.08883]], np.float32)
"""Linear sRGB to shares of D65's XYZ."""


def lab(rgb: Floats) -> NDArray[np.float32]:
    """Return CIELAB float32 [N, 3], L in 0..100, of sRGB [N, 3] in 0..255. OpenCV's own is off by up to .2."""
    coded = np.clip(np.asarray(rgb, np.float32) / 255, 0, 1)
    light: Floats = np.where(coded > 0.04045, np.power((coded + 0.055) / 1.055, 2.4), coded / 12.92)
    x, y, z = np.moveaxis(_bent(np.asarray(light @ _TO_XYZ.T, np.float32)), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def _bent(share: Floats) -> Floats:
    return np.where(share > (6 / 29) ** 3, np.cbrt(share), share * ((29 / 6) ** 2 / 3) + 4 / 29)


def de2000(one: Floats, other: Floats) -> Floats:
    """Return the CIEDE2000 differences [N] of CIELAB colours [N, 3]."""
    raise_a = 0.5 * (1 - _saturation((_chroma(one) + _chroma(other)) / 2))
    lightness, chroma, hue = _cylinder(one, raise_a)
    lightness_2, chroma_2, hue_2 = _cylinder(other, raise_a)
    turn = _turned(hue_2 - hue) * ((chroma * chroma_2) > 0)
    across = 2 * np.sqrt(chroma * chroma_2) * np.sin(np.radians(turn / 2))
    middle = _mean_hue(hue, hue_2, chroma * chroma_2)
    mean_chroma = (chroma + chroma_2) / 2
    light = (lightness_2 - lightness) / _light_weight((lightness + lightness_2) / 2)
    strong = (chroma_2 - chroma) / (1 + 0.045 * mean_chroma)
    hued = across / (1 + 0.015 * mean_chroma * _hue_weight(middle))
    rotation = -np.sin(np.radians(60 * np.exp(-(((middle - 275) / 25) ** 2)))) * 2 * _saturation(mean_chroma)
    total: Floats = np.sqrt(np.maximum(light**2 + strong**2 + hued**2 + rotation * strong * hued, 0))
    return total


def _chroma(colours: Floats) -> Floats:
    return np.asarray(np.hypot(colours[..., 1], colours[..., 2]))


def _saturation(chroma: Floats) -> Floats:
    seventh = chroma**7
    return np.asarray(np.sqrt(seventh / (seventh + _25_TO_7)))


def _cylinder(colours: Floats, raise_a: Floats) -> tuple[Floats, Floats, Floats]:
    """Return lightness, chroma and hue in degrees, greens and reds drawn apart a little where colours are weak."""
    a, b = colours[..., 1] * (1 + raise_a), colours[..., 2]
    return colours[..., 0], np.hypot(a, b), np.degrees(np.arctan2(b, a)) % _TURN


def _turned(degrees: Floats) -> Floats:
    """Return the angle in [-180, 180]; a half turn keeps its sign."""
    return np.where(degrees > 180, degrees - _TURN, np.where(degrees < -180, degrees + _TURN, degrees))


def _mean_hue(one: Floats, other: Floats, both: Floats) -> Floats:
    total = one + other
    wrapped = np.where(total < _TURN, (total + _TURN) / 2, (total - _TURN) / 2)
    mean = np.where(np.abs(one - other) <= 180, total / 2, wrapped)
    return np.where(both > 0, mean, total)


def _light_weight(lightness: Floats) -> Floats:
    square = (lightness - 50) ** 2
    return np.asarray(1 + 0.015 * square / np.sqrt(20 + square))


def _hue_weight(hue: Floats) -> Floats:
    terms = ((-0.17, 1, -30.0), (0.24, 2, 0.0), (0.32, 3, 6.0), (-0.20, 4, -63.0))
    return np.asarray(1 + sum(share * np.cos(np.radians(times * hue + offset)) for share, times, offset in terms))
