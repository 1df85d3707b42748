"""A folder a lens with `calibration.json`: `resolution` and `params_ds`, a double sphere camera (Usenko et al. 2018).

Where `vignette_circle.json` lies beside it, the lens images nothing outside that circle. The vignette's polynomial is not read: what
its radius is divided by is written nowhere.
"""

import math
from collections.abc import Mapping
from typing import Any

from console.rigs.importers import _models
from console.rigs.importers._draft import Camera, Draft, Format, Wish
from console.rigs.importers._text import image_size, numbers
from panoveil.contracts.rig import BrownConrady, KannalaBrandt


def recognised(document: Any) -> bool:
    """Say whether a document is such a calibration."""
    return isinstance(document, dict) and isinstance(document.get("params_ds"), dict)


def draft(documents: Mapping[str, dict[str, Any]], circles: Mapping[str, dict[str, Any]], wish: Wish) -> Draft:
    """Read calibrations and circles by lens name."""
    cameras = tuple(_camera(name, document, circles.get(name), wish) for name, document in documents.items())
    return Draft(
        Format.DOUBLE_SPHERE, cameras, notices=("the vignette's polynomial was not read: its radius has no stated unit",)
    )


def _camera(name: str, document: Mapping[str, Any], circle: Mapping[str, Any] | None, wish: Wish) -> Camera:
    where = f"camera {name}"
    size = image_size(where, document.get("resolution"))
    return Camera(name, size, _intrinsics(_models.Source(where, size, wish), document["params_ds"], circle), None)


def _intrinsics(
    source: _models.Source, params: Mapping[str, Any], circle: Mapping[str, Any] | None
) -> BrownConrady | KannalaBrandt:
    fx, fy, cx, cy, alpha, xi = (_of(source, params, key) for key in ("fx", "fy", "cx", "cy", "alpha", "Xi"))
    within = math.inf
    if circle is not None:
        x, y, radius = (_of(source, circle, key) for key in ("cx", "cy", "r"))
        within = radius - math.hypot(x - cx, y - cy)
    return _models.double_sphere(source, (fx, fy, cx, cy), xi, alpha, within)


def _of(source: _models.Source, values: Mapping[str, Any], key: str) -> float:
    return float(numbers(source.where, key, values.get(key), (1,))[0])
