"""nuScenes-style calibrations, and one instant of such a data set turned into a drive folder."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from console.rigs.importers import _assemble, _models
from console.rigs.importers._draft import Axes, Camera, Draft, Format, Matrix, Pose, Wish
from console.rigs.importers._text import read
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.messages import CaptureManifest, FrameEntry
from panoveil.contracts.messages import Pose as Place
from panoveil.contracts.rig import Rig
from panoveil.pixels import jpeg

_MIDDLE = 0.25
_SOMEWHERE = Place(latitude=1.29, longitude=103.79, accuracy=5000)
"""The calibration names no place: the data set's city, to within kilometres."""


def recognised(document: Any) -> bool:
    """Say whether a document maps cameras to `cam2img` and `cam2ego`."""
    values = list(document.values()) if isinstance(document, dict) else []
    return bool(values) and any(isinstance(value, dict) and {"cam2img", "cam2ego"} & value.keys() for value in values)


def nuscenes_rig(directory: Path) -> Rig:
    """Read `calibration.json` (per camera: `cam2img` 3x3, `cam2ego` 4x4, `img_path`) beside its images.

    The rig's origin is the mean of the lenses' places; its height is the origin's height over the ego frame's ground.
    """
    return _assemble.assembled(draft(directory / "calibration.json"), Wish()).rig


def draft(path: Path) -> Draft:
    """Read the same from a file beside its images, as it stands."""
    cameras = _calibration(path)
    return Draft(
        Format.NUSCENES,
        tuple(_camera(name, camera, path.parent) for name, camera in sorted(cameras.items())),
        Axes.EGO,
        grounded=True,
    )


def nuscenes_drive(directory: Path, out: Path, survey: str, drive: str) -> Rig:
    """Write one instant of a nuScenes-style directory as a drive folder and return its rig.

    `out` gets `rig.json`, `000001/<lens>.jpg` (the same bytes) and, last, `000001/capture.json`.
    """
    rig = nuscenes_rig(directory)
    cameras = _calibration(directory / "calibration.json")
    capture = out / "000001"
    capture.mkdir(parents=True, exist_ok=True)
    (out / "rig.json").write_text(rig.model_dump_json(indent=1))
    entries = tuple(_copy_frame(_image(lens.name, cameras[lens.name], directory), capture, lens.name) for lens in rig.lenses)
    manifest = CaptureManifest(
        survey=survey,
        drive=drive,
        capture=capture.name,
        rig_id=rig.rig_id,
        captured_at=_when(cameras),
        pose=_SOMEWHERE,
        frames=entries,
    )
    (capture / "capture.json").write_text(manifest.model_dump_json(indent=1))
    return rig


def _copy_frame(source: Path, capture: Path, lens: str) -> FrameEntry:
    target = capture / f"{lens}.jpg"
    shutil.copyfile(source, target)
    return FrameEntry(lens=lens, file=target.name, sha256=hashlib.sha256(target.read_bytes()).hexdigest())


def _when(cameras: dict[str, Any]) -> datetime:
    stamps = [float(camera["timestamp"]) for camera in cameras.values() if "timestamp" in camera]
    return datetime.fromtimestamp(min(stamps, default=0.0), UTC)


def _calibration(path: Path) -> dict[str, Any]:
    try:
        cameras = json.loads(read(path))
    except ValueError as error:
        raise Misconfigured(f"{path.name} is not JSON: {error}") from error
    if not isinstance(cameras, dict) or not cameras or not all(isinstance(camera, dict) for camera in cameras.values()):
        raise Misconfigured(f"{path.name} must map camera names to their calibration")
    return cameras


def _camera(name: str, camera: dict[str, Any], directory: Path) -> Camera:
    matrix = _matrix(name, camera, "cam2img", (3, 3))
    pose = _matrix(name, camera, "cam2ego", (4, 4))
    size = _image_size(name, camera, directory)
    _check_centre(name, matrix, size)
    four = (float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]))
    lens = _models.pinhole(_models.Source(f"camera {name}", size), four)
    return Camera(name, size, lens, Pose(pose[:3, :3], pose[:3, 3]))


def _image_size(name: str, camera: dict[str, Any], directory: Path) -> tuple[int, int]:
    try:
        return jpeg.dimensions(read(_image(name, camera, directory)))
    except Rejected as error:
        raise Misconfigured(f"camera {name}: its image is no JPEG: {error.detail}") from error


def _image(name: str, camera: dict[str, Any], directory: Path) -> Path:
    return directory / Path(str(camera.get("img_path", f"{name}.jpg"))).name


def _check_centre(name: str, matrix: Matrix, size: tuple[int, int]) -> None:
    """A calibration made for another image size shows in a principal point far off the middle."""
    off_centre = np.abs(matrix[:2, 2] / size - 0.5)
    if not (off_centre < _MIDDLE).all():
        raise Misconfigured(f"camera {name}: cam2img does not belong to an image of {size[0]} x {size[1]} pixels")


def _matrix(name: str, camera: dict[str, Any], field: str, shape: tuple[int, int]) -> Matrix:
    try:
        matrix = np.asarray(camera[field], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise Misconfigured(f"camera {name}: {field} is missing or no matrix") from error
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise Misconfigured(f"camera {name}: {field} must be {shape[0]} x {shape[1]} finite numbers")
    return matrix
