"""Calibrations of other houses, turned into our rigs; and one instant of such a data set, turned into a drive folder."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from console.rigs import show
from panoveil.contracts.errors import Misconfigured, Rejected
from panoveil.contracts.messages import CaptureManifest, FrameEntry, Pose
from panoveil.contracts.rig import BrownConrady, Lens, Rig
from panoveil.pixels import jpeg

Matrix = NDArray[np.float64]

_EGO_TO_RIG = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""Ego (x forward, y left, z up) to rig (x right, y down, z forward)."""

_ORTHONORMAL_WITHIN = 1e-3
_MIDDLE = 0.25
_SOMEWHERE = Pose(latitude=1.29, longitude=103.79, accuracy=5000)
"""The calibration names no place: the data set's city, to within kilometres."""


def load_rig(path: Path) -> Rig:
    """Read a rig: our own JSON, or a directory or `calibration.json` in nuScenes' style. `Misconfigured` says what is wrong."""
    if path.is_dir() or path.name == "calibration.json":
        return nuscenes_rig(path if path.is_dir() else path.parent)
    return panoveil_rig(path)


def panoveil_rig(path: Path) -> Rig:
    """Read our own rig JSON and check that its rotations turn and its lenses see."""
    try:
        rig = Rig.model_validate_json(_read(path))
    except ValidationError as error:
        raise Misconfigured(f"{path.name} is no rig: {_first(error)}") from error
    return checked(rig)


def nuscenes_rig(directory: Path) -> Rig:
    """Read `calibration.json` (per camera: `cam2img` 3x3, `cam2ego` 4x4, `img_path`) beside its images.

    The rig's origin is the mean of the lenses' places; its height is the origin's height over the ego frame's ground.
    """
    cameras = _calibration(directory)
    placed = {name: _pose(name, camera) for name, camera in cameras.items()}
    centre = np.mean([place for _, place in placed.values()], axis=0)
    lenses = tuple(
        _lens(name, camera, directory, placed[name][0], placed[name][1] - centre) for name, camera in sorted(cameras.items())
    )
    digest = hashlib.sha256(repr([lens.model_dump() for lens in lenses]).encode()).hexdigest()[:8]
    try:
        return checked(Rig(rig_id=f"nuscenes-{digest}", height_above_ground=float(-centre[1]), lenses=lenses))
    except ValidationError as error:
        raise Misconfigured(f"calibration.json makes no rig: {_first(error)}") from error


def checked(rig: Rig) -> Rig:
    """Return the rig, or raise `Misconfigured` where a lens's rotation is none or the lens sees nothing."""
    for lens in rig.lenses:
        _check_rotation(lens.name, np.asarray(lens.rotation))
    for lens, seen in zip(rig.lenses, show.seen_by(rig), strict=True):
        if not seen.any():
            raise Misconfigured(
                f"lens {lens.name} sees nothing: its intrinsics do not belong to a {lens.width} x {lens.height} image"
            )
    return rig


def nuscenes_drive(directory: Path, out: Path, survey: str, drive: str) -> Rig:
    """Write one instant of a nuScenes-style directory as a drive folder and return its rig.

    `out` gets `rig.json`, `000001/<lens>.jpg` (the same bytes) and, last, `000001/capture.json`.
    """
    rig = nuscenes_rig(directory)
    cameras = _calibration(directory)
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


def _calibration(directory: Path) -> dict[str, Any]:
    path = directory / "calibration.json"
    try:
        cameras = json.loads(_read(path))
    except ValueError as error:
        raise Misconfigured(f"{path.name} is not JSON: {error}") from error
    if not isinstance(cameras, dict) or not cameras or not all(isinstance(camera, dict) for camera in cameras.values()):
        raise Misconfigured(f"{path.name} must map camera names to their calibration")
    return cameras


def _lens(name: str, camera: dict[str, Any], directory: Path, rotation: Matrix, position: Matrix) -> Lens:
    matrix = _matrix(name, camera, "cam2img", (3, 3))
    width, height = _image_size(name, camera, directory)
    _check_centre(name, matrix, (width, height))
    try:
        intrinsics = BrownConrady(fx=matrix[0, 0], fy=matrix[1, 1], cx=matrix[0, 2], cy=matrix[1, 2])
        return Lens(
            name=name, width=width, height=height, intrinsics=intrinsics, rotation=rotation.tolist(), position=position.tolist()
        )
    except ValidationError as error:
        raise Misconfigured(f"camera {name}: {_first(error)}") from error


def _image_size(name: str, camera: dict[str, Any], directory: Path) -> tuple[int, int]:
    try:
        return jpeg.dimensions(_read(_image(name, camera, directory)))
    except Rejected as error:
        raise Misconfigured(f"camera {name}: its image is no JPEG: {error.detail}") from error


def _image(name: str, camera: dict[str, Any], directory: Path) -> Path:
    return directory / Path(str(camera.get("img_path", f"{name}.jpg"))).name


def _check_centre(name: str, matrix: Matrix, size: tuple[int, int]) -> None:
    """A calibration made for another image size shows in a principal point far off the middle."""
    off_centre = np.abs(matrix[:2, 2] / size - 0.5)
    if not (off_centre < _MIDDLE).all():
        raise Misconfigured(f"camera {name}: cam2img does not belong to an image of {size[0]} x {size[1]} pixels")


def _pose(name: str, camera: dict[str, Any]) -> tuple[Matrix, Matrix]:
    """Return a camera's rotation [3, 3] and place [3] in the rig's axes, still from the ego frame's origin."""
    pose = _matrix(name, camera, "cam2ego", (4, 4))
    rotation = _EGO_TO_RIG @ pose[:3, :3]
    _check_rotation(name, rotation)
    return rotation, _EGO_TO_RIG @ pose[:3, 3]


def _matrix(name: str, camera: dict[str, Any], field: str, shape: tuple[int, int]) -> Matrix:
    try:
        matrix = np.asarray(camera[field], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise Misconfigured(f"camera {name}: {field} is missing or no matrix") from error
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise Misconfigured(f"camera {name}: {field} must be {shape[0]} x {shape[1]} finite numbers")
    return matrix


def _check_rotation(name: str, rotation: Matrix) -> None:
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=_ORTHONORMAL_WITHIN) or np.linalg.det(rotation) < 0:
        raise Misconfigured(f"lens {name}: its rotation is no rotation matrix (orthonormal, determinant +1)")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path.name} cannot be read: {error.strerror}") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
