"""Kalibr's camchain YAML: `cam0`, `cam1`, … with `T_cn_cnm1` from each camera to the next. The frame is cam0's.

https://github.com/ethz-asl/kalibr/wiki/yaml-formats
"""

import re
from typing import Any

import numpy as np

from console.rigs.importers import _models
from console.rigs.importers._draft import Axes, Camera, Draft, Format, Matrix, Pose, Wish
from console.rigs.importers._text import image_size, numbers
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt

_CAMERA = re.compile(r"cam(\d+)")
_SUPPORTED = "pinhole with radtan, equidistant or none, and ds"


def recognised(document: Any) -> bool:
    """Say whether a document is a camchain."""
    return isinstance(document, dict) and any(
        _CAMERA.fullmatch(str(key)) and isinstance(value, dict) and "camera_model" in value for key, value in document.items()
    )


def draft(document: dict[str, Any], wish: Wish) -> Draft:
    """Read a camchain. Translations are metres."""
    found = [(int(match[1]), name) for name in document if (match := _CAMERA.fullmatch(str(name)))]
    names = [name for _, name in sorted(found)]
    poses = _poses(names, document)
    cameras = tuple(_camera(name, document[name], pose, wish) for name, pose in zip(names, poses, strict=True))
    notice = f"the frame is that of {names[0]}, taken as level and looking ahead; --turn says otherwise"
    return Draft(Format.KALIBR, cameras, Axes.RIG, notices=(notice,))


def _camera(name: str, camera: dict[str, Any], pose: Pose, wish: Wish) -> Camera:
    where = f"camera {name}"
    size = image_size(where, camera.get("resolution"))
    return Camera(name, size, _intrinsics(_models.Source(where, size, wish), camera), pose)


def _intrinsics(source: _models.Source, camera: dict[str, Any]) -> BrownConrady | KannalaBrandt:
    model, distortion = str(camera.get("camera_model")), str(camera.get("distortion_model", "none"))
    values = numbers(source.where, "intrinsics", camera.get("intrinsics")).tolist()
    coefficients = numbers(source.where, "distortion_coeffs", camera.get("distortion_coeffs", [])).tolist()
    match model, distortion, values:
        case "pinhole", "radtan" | "none", [fx, fy, cx, cy]:
            return _models.pinhole(source, (fx, fy, cx, cy), coefficients)
        case "pinhole", "equidistant", [fx, fy, cx, cy]:
            return _models.fisheye(source, (fx, fy, cx, cy), coefficients)
        case "ds", "none", [xi, alpha, fx, fy, cx, cy]:
            return _models.double_sphere(source, (fx, fy, cx, cy), xi, alpha)
    raise Misconfigured(
        f"{source.where}: {model} with {distortion} and {len(values)} intrinsics cannot be imported (these can: {_SUPPORTED})"
    )


def _poses(names: list[str], document: dict[str, Any]) -> list[Pose]:
    chained: list[Matrix] = [np.eye(4)]
    for name in names[1:]:
        chained.append(_step(name, names[0], document, chained[-1]))
    return [Pose.from_camera(each[:3, :3], each[:3, 3]) for each in chained]


def _step(name: str, origin: str, document: dict[str, Any], before: Matrix) -> Matrix:
    """Return the transform [4, 4] from the first camera to this one, by the chain or, without one, through the IMU."""
    camera, start = document[name], document[origin]
    if "T_cn_cnm1" in camera:
        return numbers(f"camera {name}", "T_cn_cnm1", camera["T_cn_cnm1"], (4, 4)) @ before
    if "T_cam_imu" in camera and "T_cam_imu" in start:
        from_start = numbers(f"camera {origin}", "T_cam_imu", start["T_cam_imu"], (4, 4))
        if abs(np.linalg.det(from_start)) < 0.5:  # noqa: PLR2004  of a rotation it is 1
            raise Misconfigured(f"camera {origin}: T_cam_imu is singular")
        return numbers(f"camera {name}", "T_cam_imu", camera["T_cam_imu"], (4, 4)) @ np.linalg.inv(from_start)
    raise Misconfigured(f"camera {name} has no T_cn_cnm1 (nor T_cam_imu as {origin}): where it looks is not known")
