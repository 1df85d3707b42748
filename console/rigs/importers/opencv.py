"""OpenCV's calibrations, YAML (FileStorage's dialect too) or JSON: a file a camera, or one document for all.

A camera is a mapping with a camera matrix and, mostly, distortion coefficients, an image size, and a pose `rvec`/`tvec` or `R`/`T`
with x_lens = R x_frame + T. ROS' camera_info files are of this kind.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from console.rigs.importers import _models
from console.rigs.importers._draft import Camera, Draft, Format, LensModel, PictureSize, Pose, Wish
from console.rigs.importers._text import camera_matrix, image_size, numbers
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt

_MATRIX = ("camera_matrix", "K", "cameraMatrix", "CameraMatrix", "intrinsic_matrix", "Camera_Matrix")
_COEFFICIENTS = (
    "distortion_coefficients",
    "dist_coeffs",
    "D",
    "distCoeffs",
    "DistCoeffs",
    "distortion",
    "Distortion_Coefficients",
)
_SIZE = ("resolution", "image_size", "imageSize", "img_size")
_MODEL = ("distortion_model", "camera_model", "model", "model_type")
_FISHEYE = {"fisheye", "equidistant", "kannala_brandt", "kannala-brandt", "opencv_fisheye"}
_PINHOLE = {"pinhole", "plumb_bob", "radtan", "rational_polynomial", "brown_conrady", "opencv"}
_ROTATION = ("rvec", "R", "rotation_matrix", "rotation")
_TRANSLATION = ("tvec", "T", "t", "translation")
_FISHEYE_COUNT = 4


def recognised(document: Any) -> bool:
    """Say whether a document holds a camera matrix where this module looks for one."""
    return isinstance(document, dict) and bool(_entries("", document))


def draft(documents: Mapping[str, dict[str, Any]], sizes: PictureSize, wish: Wish) -> Draft:
    """Read documents by lens name; `sizes` is asked where a document states no size."""
    entries: dict[str, dict[str, Any]] = {}
    for name, document in documents.items():
        entries |= _entries(name, document)
    cameras = tuple(_camera(name, entry, sizes, wish) for name, entry in entries.items())
    if not cameras:
        raise Misconfigured(f"{', '.join(documents)}: no camera matrix ({', '.join(_MATRIX)}) is in there")
    return Draft(Format.OPENCV, cameras, axes=None)


def _entries(name: str, document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the cameras of a document by name: itself, its values, or one `intrinsic` shared by many `extrinsic` poses."""
    if _of(document, _MATRIX) is not None:
        return {name: document}
    intrinsic, extrinsic = document.get("intrinsic"), document.get("extrinsic")
    if isinstance(intrinsic, dict) and isinstance(extrinsic, dict):
        return {str(lens): intrinsic | pose for lens, pose in extrinsic.items() if isinstance(pose, dict)}
    held = document.get("cameras", document)
    listed = held.items() if isinstance(held, dict) else ()
    return {str(lens): value for lens, value in listed if isinstance(value, dict) and _of(value, _MATRIX) is not None}


def _of(entry: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((entry[key] for key in keys if key in entry), None)


def _camera(name: str, entry: dict[str, Any], sizes: PictureSize, wish: Wish) -> Camera:
    where = f"camera {name}"
    size = _size(where, entry) or wish.size or sizes(name)
    if size is None:
        raise Misconfigured(f"{where}: its file does not say how large its images are: give --size WIDTHxHEIGHT or --images DIR")
    return Camera(name, size, _intrinsics(_models.Source(where, size, wish), entry, wish.lens_model), _pose(where, entry))


def _size(where: str, entry: Mapping[str, Any]) -> tuple[int, int] | None:
    value = _of(entry, _SIZE)
    if isinstance(value, dict) and {"width", "height"} <= value.keys():
        return image_size(where, [value["width"], value["height"]])
    if value is not None:
        return image_size(where, value)
    for across, down in (("image_width", "image_height"), ("width", "height"), ("Image_width", "Image_height")):
        if across in entry and down in entry:
            return image_size(where, [entry[across], entry[down]])
    return None


def _intrinsics(source: _models.Source, entry: Mapping[str, Any], wished: LensModel | None) -> BrownConrady | KannalaBrandt:
    matrix = camera_matrix(source.where, "its camera matrix", _of(entry, _MATRIX))
    stated = _of(entry, _COEFFICIENTS)
    coefficients = [] if stated is None else numbers(source.where, "distortion coefficients", stated).tolist()
    if _model(source.where, entry, len(coefficients), wished) is LensModel.FISHEYE:
        return _models.fisheye(source, matrix, coefficients)
    return _models.pinhole(source, matrix, coefficients)


def _model(where: str, entry: Mapping[str, Any], count: int, wished: LensModel | None) -> LensModel:
    """Return the model that a person or the file says; only four coefficients could be both."""
    if wished is not None:
        return wished
    if "fisheye_model" in entry:
        return LensModel.FISHEYE if int(entry["fisheye_model"]) else LensModel.PINHOLE
    named = str(_of(entry, _MODEL) or "").lower()
    if named in _FISHEYE | _PINHOLE:
        return LensModel.FISHEYE if named in _FISHEYE else LensModel.PINHOLE
    if named:
        raise Misconfigured(
            f"{where}: the lens model {named} cannot be imported (these can: {', '.join(sorted(_FISHEYE | _PINHOLE))})"
        )
    if count == _FISHEYE_COUNT:
        raise Misconfigured(
            f"{where}: its four coefficients could be OpenCV's fisheye or its pinhole model: say --lens-model fisheye or pinhole"
        )
    return LensModel.PINHOLE


def _pose(where: str, entry: Mapping[str, Any]) -> Pose | None:
    turn, move = _of(entry, _ROTATION), _of(entry, _TRANSLATION)
    if turn is None:
        return None
    values = numbers(where, "rotation", turn)
    rotation = cv2.Rodrigues(values)[0] if values.size == 3 else numbers(where, "rotation", turn, (3, 3))  # noqa: PLR2004
    translation = np.zeros(3) if move is None else numbers(where, "translation", move, (3,))
    return Pose.from_camera(np.asarray(rotation, np.float64), translation)
