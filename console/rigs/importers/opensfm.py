"""OpenSfM's camera_models.json and rig_cameras.json.

Image coordinates are divided by the longer side and count from the image's middle ((w - 1) / 2, (h - 1) / 2). A rig camera's `rotation`
(angle-axis) and `translation` bring a point from the rig's frame into the camera's.
https://opensfm.org/docs/geometry.html and https://opensfm.org/docs/rig.html
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from console.rigs.importers import _models
from console.rigs.importers._draft import Axes, Camera, Draft, Format, Pose, Wish
from console.rigs.importers._text import image_size, numbers
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt

_SUPPORTED = "perspective, simple_radial, radial, brown, fisheye, fisheye_opencv"
_NOTICES = (
    "OpenSfM's rig frame was taken as level with z ahead; --turn says otherwise",
    "OpenSfM's lengths are metres only where it was given positions: they were taken as metres",
)


def recognised(document: Any) -> bool:
    """Say whether a document is camera_models.json or rig_cameras.json."""
    values = list(document.values()) if isinstance(document, dict) else []
    return bool(values) and all(
        isinstance(value, dict) and ("projection_type" in value or {"rotation", "translation"} <= value.keys())
        for value in values
    )


def draft(models: Mapping[str, Any], rig_cameras: Mapping[str, Any], wish: Wish) -> Draft:
    """Read both documents."""
    cameras = tuple(_camera(name, entry, models, wish) for name, entry in rig_cameras.items())
    return Draft(Format.OPENSFM, cameras, Axes.RIG, notices=_NOTICES)


def _camera(name: str, entry: Mapping[str, Any], models: Mapping[str, Any], wish: Wish) -> Camera:
    where = f"camera {name}"
    model = _model(where, name, entry, models)
    size = image_size(where, [model.get("width"), model.get("height")])
    turn = numbers(where, "rotation", entry.get("rotation"), (3,))
    move = numbers(where, "translation", entry.get("translation"), (3,))
    pose = Pose.from_camera(np.asarray(cv2.Rodrigues(turn)[0], np.float64), move)
    return Camera(name, size, _intrinsics(_models.Source(where, size, wish), model), pose)


def _model(where: str, name: str, entry: Mapping[str, Any], models: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the camera model an entry names; else the one of its own name, else the only one."""
    key = entry.get("camera", name if name in models or len(models) != 1 else next(iter(models)))
    model = models.get(str(key))
    if not isinstance(model, dict):
        raise Misconfigured(f"{where}: camera_models.json has no camera {key}")
    return model


def _intrinsics(source: _models.Source, model: Mapping[str, Any]) -> BrownConrady | KannalaBrandt:
    kind = str(model.get("projection_type", "perspective"))
    match kind:
        case "perspective" | "simple_radial" | "radial":
            return _models.pinhole(source, _matrix(source, model), [*_of(source, model, "k1", "k2"), 0, 0])
        case "brown":
            return _models.pinhole(source, _matrix(source, model), _of(source, model, "k1", "k2", "p1", "p2", "k3"))
        case "fisheye" | "fisheye_opencv":
            return _models.fisheye(source, _matrix(source, model), _of(source, model, "k1", "k2", "k3", "k4"))
    raise Misconfigured(f"{source.where}: OpenSfM's {kind} cannot be imported (these can: {_SUPPORTED})")


def _of(source: _models.Source, model: Mapping[str, Any], *names: str) -> list[float]:
    return [float(numbers(source.where, name, model.get(name, 0.0), (1,))[0]) for name in names]


def _matrix(source: _models.Source, model: Mapping[str, Any]) -> _models.Camera4:
    width, height = source.size
    longer = max(width, height)
    fx, fy = _of(source, model, "focal", "focal") if "focal" in model else _of(source, model, "focal_x", "focal_y")
    right, down = _of(source, model, "c_x", "c_y")
    return fx * longer, fy * longer, right * longer + (width - 1) / 2, down * longer + (height - 1) / 2
