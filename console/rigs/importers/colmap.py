"""COLMAP's rig_config.json, with cameras.txt beside it where there is one. The frame is the reference sensor's.

x_lens = cam_from_rig_rotation (quaternion w x y z) x_rig + cam_from_rig_translation. COLMAP's pixel (0.5, 0.5) is the centre of the
top left one, ours is (0, 0). https://colmap.github.io/rigs.html and https://colmap.github.io/cameras.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from console.rigs.importers import _models
from console.rigs.importers._draft import Axes, Camera, Draft, Format, Matrix, PictureSize, Pose, Wish
from console.rigs.importers._text import image_size, numbers
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt

_PINHOLES = {
    "SIMPLE_PINHOLE": (1, 0),
    "PINHOLE": (2, 0),
    "SIMPLE_RADIAL": (1, 1),
    "RADIAL": (1, 2),
    "OPENCV": (2, 4),
    "FULL_OPENCV": (2, 8),
}
_FISHEYES = {"SIMPLE_RADIAL_FISHEYE": (1, 1), "RADIAL_FISHEYE": (1, 2), "OPENCV_FISHEYE": (2, 4)}
"""How many focal lengths and distortion coefficients a model has, before and after its principal point."""

_UNIT = 1e-3


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of cameras.txt."""

    model: str
    size: tuple[int, int]
    params: tuple[float, ...]


def recognised(document: Any) -> bool:
    """Say whether a document is a list of rigs."""
    return isinstance(document, list) and bool(document) and isinstance(document[0], dict) and "cameras" in document[0]


def listed_cameras(text: str) -> dict[int, Listed]:
    """Read cameras.txt: `CAMERA_ID MODEL WIDTH HEIGHT PARAMS…` a line."""
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        return {int(row[0]): Listed(row[1], (int(row[2]), int(row[3])), tuple(map(float, row[4:]))) for row in rows}
    except (ValueError, IndexError) as error:
        raise Misconfigured(f"cameras.txt: a line is not CAMERA_ID MODEL WIDTH HEIGHT PARAMS ({error})") from error


def draft(document: list[dict[str, Any]], listed: Mapping[int, Listed], sizes: PictureSize, wish: Wish) -> Draft:
    """Read the one rig of a rig_config.json; `sizes` is asked where cameras.txt knows none."""
    if len(document) != 1:
        raise Misconfigured(f"rig_config.json holds {len(document)} rigs: keep the one to import")
    entries = document[0].get("cameras")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Misconfigured("rig_config.json: cameras must be a list of cameras")
    names = _names([str(entry.get("image_prefix", f"cam{index}")) for index, entry in enumerate(entries)])
    rows = [_row(index, entry, listed, len(entries)) for index, entry in enumerate(entries)]
    cameras = tuple(_camera(name, entry, row, sizes, wish) for name, entry, row in zip(names, entries, rows, strict=True))
    reference = next(
        (name for name, entry in zip(names, entries, strict=True) if entry.get("ref_sensor")), "the reference sensor"
    )
    return Draft(Format.COLMAP, cameras, Axes.RIG, notices=_notices(reference))


def _notices(reference: str) -> tuple[str, ...]:
    return (
        f"the frame is that of {reference}, taken as level and looking ahead; --turn says otherwise",
        "COLMAP's lengths have no unit of their own: they were taken as metres",
    )


def _names(prefixes: list[str]) -> list[str]:
    """Return the last folder of each prefix where these differ, else all of it."""
    short = [prefix.strip("/").split("/")[-1] for prefix in prefixes]
    return short if len(set(short)) == len(short) else [prefix.strip("/").replace("/", "-") for prefix in prefixes]


def _row(index: int, entry: Mapping[str, Any], listed: Mapping[int, Listed], count: int) -> Listed | None:
    """Return a camera's line in cameras.txt: by its id, else by its place where every camera has a line."""
    if "camera_id" in entry:
        return listed.get(int(entry["camera_id"]))
    return listed[sorted(listed)[index]] if len(listed) == count else None


def _camera(name: str, entry: Mapping[str, Any], row: Listed | None, sizes: PictureSize, wish: Wish) -> Camera:
    where = f"camera {name}"
    size = row.size if row else wish.size or sizes(name)
    if size is None:
        raise Misconfigured(
            f"{where}: rig_config.json does not say how large its images are:"
            " put COLMAP's cameras.txt beside it or give --size WIDTHxHEIGHT"
        )
    model, params = entry.get("camera_model_name"), entry.get("camera_params")
    if (model is None or params is None) and row is not None:
        model, params = row.model, row.params
    if model is None or params is None:
        raise Misconfigured(f"{where}: neither rig_config.json nor cameras.txt has its camera_model_name and camera_params")
    source = _models.Source(where, image_size(where, size), wish)
    return Camera(
        name, size, _intrinsics(source, str(model), numbers(where, "camera_params", params).tolist()), _pose(where, entry)
    )


def _intrinsics(source: _models.Source, model: str, params: list[float]) -> BrownConrady | KannalaBrandt:
    focals, count = (_PINHOLES | _FISHEYES).get(model, (0, 0))
    if not focals or len(params) != focals + 2 + count:
        supported = ", ".join(_PINHOLES | _FISHEYES)
        raise Misconfigured(f"{source.where}: {model} with {len(params)} parameters cannot be imported (these can: {supported})")
    cx, cy, *coefficients = params[focals:]
    matrix = (params[0], params[focals - 1], cx - 0.5, cy - 0.5)
    if model in _FISHEYES:
        return _models.fisheye(source, matrix, coefficients)
    return _models.pinhole(source, matrix, [*coefficients, 0, 0, 0, 0][: max(4, count)])


def _pose(where: str, entry: Mapping[str, Any]) -> Pose:
    if entry.get("ref_sensor"):
        return Pose(np.eye(3))
    if "cam_from_rig_rotation" not in entry:
        raise Misconfigured(f"{where}: it is not the reference sensor and has no cam_from_rig_rotation")
    quaternion = numbers(where, "cam_from_rig_rotation", entry["cam_from_rig_rotation"], (4,))
    move = numbers(where, "cam_from_rig_translation", entry.get("cam_from_rig_translation", (0, 0, 0)), (3,))
    return Pose.from_camera(_rotation(where, quaternion), move)


def _rotation(where: str, quaternion: Matrix) -> Matrix:
    norm = float(np.linalg.norm(quaternion))
    if abs(norm - 1) > _UNIT:
        raise Misconfigured(f"{where}: cam_from_rig_rotation is no unit quaternion (its length is {norm:.3g})")
    w, x, y, z = quaternion / norm
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + 2 * w * cross + 2 * cross @ cross, np.float64)
