"""Known cameras, written in every format by hand, and where OpenCV itself says that they see points."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from console.rigs import importers
from console.rigs.importers import Axes, Format, LensModel, Wish
from panoveil.contracts.rig import BrownConrady, KannalaBrandt, Lens, Rig
from panoveil.pixels import lenses

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """x_lens = Rodrigues(rvec) x_rig + tvec; `k` is fx, fy, cx, cy with (0, 0) the centre of the top left pixel."""

    name: str
    size: tuple[int, int]
    k: tuple[float, float, float, float]
    d: tuple[float, ...]
    fisheye: bool
    rvec: tuple[float, float, float]
    tvec: tuple[float, float, float]

    @property
    def rotation(self) -> Matrix:
        return np.asarray(cv2.Rodrigues(np.array(self.rvec))[0], np.float64)

    @property
    def transform(self) -> Matrix:
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = self.rotation, self.tvec
        return transform

    @property
    def matrix(self) -> Matrix:
        fx, fy, cx, cy = self.k
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def pixels(self, points: Matrix) -> Matrix:
        """Return where OpenCV says that points [N, 3] of the rig frame are seen: [N, 2]."""
        turn, move, coefficients = np.array(self.rvec), np.array(self.tvec), np.array(self.d)
        if self.fisheye:
            found, _ = cv2.fisheye.projectPoints(points[None], turn, move, self.matrix, coefficients)
            return np.asarray(found[0], np.float64)
        found, _ = cv2.projectPoints(points, turn, move, self.matrix, coefficients)
        return np.asarray(found[:, 0], np.float64)


def _placed(camera: Camera, rvec: tuple[float, float, float], centre: tuple[float, float, float]) -> Camera:
    turned = replace(camera, rvec=rvec)
    x, y, z = (-turned.rotation @ np.array(centre)).tolist()
    return replace(turned, tvec=(x, y, z))


def _three(camera: Camera) -> tuple[Camera, ...]:
    """Return three of a kind; the first is the frame, and the origin lies amid them."""
    second = _placed(replace(camera, name="cam1", k=(301, 305, 317.25, 244.5)), (0.1, -1.2, 0.2), (0.3, 0.1, -0.2))
    third = _placed(replace(camera, name="cam2", size=(640, 482)), (-0.2, 1.4, 0.1), (-0.3, -0.1, 0.2))
    return camera, second, third


_HERE = (0.0, 0.0, 0.0)
PINHOLES = _three(
    Camera("cam0", (640, 480), (300, 303, 322.5, 238.25), (-0.11, 0.03, 0.002, -0.003), fisheye=False, rvec=_HERE, tvec=_HERE)
)
FISHEYES = _three(
    Camera("cam0", (640, 480), (202, 200, 322.5, 238.25), (0.02, -0.01, 0.003, -0.0005), fisheye=True, rvec=_HERE, tvec=_HERE)
)


def _ours(camera: Camera) -> Lens:
    fx, fy, cx, cy = camera.k
    k1, k2, third, fourth = camera.d
    model = (
        KannalaBrandt(fx=fx, fy=fy, cx=cx, cy=cy, k1=k1, k2=k2, k3=third, k4=fourth)
        if camera.fisheye
        else BrownConrady(fx=fx, fy=fy, cx=cx, cy=cy, k1=k1, k2=k2, p1=third, p2=fourth)
    )
    turn, width, height = camera.rotation.T, *camera.size
    position = (-turn @ np.array(camera.tvec)).tolist()
    return Lens(name=camera.name, width=width, height=height, intrinsics=model, rotation=turn.tolist(), position=position)


RIG = Rig(rig_id="truth", height_above_ground=1.9, lenses=tuple(map(_ours, (*PINHOLES[:2], replace(FISHEYES[2], name="cam2")))))


def deviation(rig: Rig, cameras: Sequence[Camera], seed: int = 1) -> float:
    """Return the largest distance in pixels between the rig and OpenCV, over points 1 to 30 m off that the images show."""
    generator = np.random.default_rng(seed)
    rays = generator.normal(size=(20_000, 3))
    points = rays / np.linalg.norm(rays, axis=1, keepdims=True) * generator.uniform(1, 30, (len(rays), 1))
    return max(_lens_deviation(lens, camera, points) for lens, camera in zip(rig.lenses, cameras, strict=True))


def _lens_deviation(lens: Lens, camera: Camera, points: Matrix) -> float:
    assert (lens.width, lens.height) == camera.size
    ahead = (points @ camera.rotation.T + camera.tvec)[:, 2] > 0.15  # OpenCV itself divides by z
    expected = camera.pixels(points[ahead])
    shown = ((expected > 0) & (expected < np.array(camera.size) - 1)).all(axis=1)
    found, visible = lenses.project(lens.intrinsics, (points[ahead] - lens.position) @ np.asarray(lens.rotation))
    shown &= _unfolded(camera, points[ahead])
    assert shown.sum() > 300
    assert visible[shown].all()
    return float(np.linalg.norm(found - expected, axis=1)[shown].max())


def _unfolded(camera: Camera, points: Matrix) -> NDArray[np.bool_]:
    """Beyond where a pinhole's polynomial turns OpenCV goes on; nobody sees there."""
    turned = points @ camera.rotation.T + camera.tvec
    angle = np.arctan2(np.hypot(turned[:, 0], turned[:, 1]), turned[:, 2])
    return np.asarray(angle < (1.3 if camera.fisheye else 0.95))


def write(kind: Format, cameras: Sequence[Camera], folder: Path) -> Path:
    """Write cameras in a format and return the file."""
    writers = {
        Format.KALIBR: _kalibr,
        Format.OPENCV: _opencv,
        Format.COLMAP: _colmap,
        Format.OPENSFM: _opensfm,
        Format.HUGIN: _hugin,
    }
    return writers[kind](cameras, folder)


def load(kind: Format, path: Path) -> Rig:
    """Import, saying what the format leaves open."""
    wish = Wish(axes=Axes.RIG, lens_model=LensModel.PINHOLE) if kind is Format.OPENCV else None
    return importers.load_rig(path, wish)


def _kalibr(cameras: Sequence[Camera], folder: Path) -> Path:
    lines = []
    for index, camera in enumerate(cameras):
        lines += [
            f"cam{index}:",
            "  camera_model: pinhole",
            f"  intrinsics: {list(camera.k)}",
            f"  distortion_model: {'equidistant' if camera.fisheye else 'radtan'}",
            f"  distortion_coeffs: {list(camera.d)}",
            f"  resolution: {list(camera.size)}",
            f"  rostopic: /cam{index}/image_raw",
        ]
        if index:
            step = camera.transform @ np.linalg.inv(cameras[index - 1].transform)
            lines += ["  T_cn_cnm1:", *(f"  - {row}" for row in step.tolist())]
    path = folder / "camchain.yaml"
    path.write_text("\n".join(lines))
    return path


def _opencv(cameras: Sequence[Camera], folder: Path) -> Path:
    path = folder / "calibration.yaml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for camera in cameras:
        storage.startWriteStruct(camera.name, cv2.FileNode_MAP)
        write_opencv(storage, camera)
        storage.endWriteStruct()
    storage.release()
    return path


def write_opencv(storage: cv2.FileStorage, camera: Camera) -> None:
    """Write a camera the way OpenCV's own calibration sample does, with its pose."""
    storage.write("image_width", camera.size[0])
    storage.write("image_height", camera.size[1])
    storage.write("camera_matrix", camera.matrix)
    storage.write("distortion_coefficients", np.array(camera.d))
    storage.write("rvec", np.array(camera.rvec))
    storage.write("tvec", np.array(camera.tvec))


def _colmap(cameras: Sequence[Camera], folder: Path) -> Path:
    entries: list[dict[str, Any]] = []
    for index, camera in enumerate(cameras):
        fx, fy, cx, cy = camera.k
        entry: dict[str, Any] = {
            "image_prefix": f"rig1/{camera.name}/",
            "camera_model_name": "OPENCV_FISHEYE" if camera.fisheye else "OPENCV",
            "camera_params": [fx, fy, cx + 0.5, cy + 0.5, *camera.d],
        }
        angle = float(np.linalg.norm(camera.rvec))
        axis = np.array(camera.rvec) / max(angle, 1e-12)
        turn = [float(np.cos(angle / 2)), *(axis * np.sin(angle / 2)).tolist()]
        pose = {"cam_from_rig_rotation": turn, "cam_from_rig_translation": list(camera.tvec)}
        entries.append(entry | (pose if index else {"ref_sensor": True}))
    (folder / "cameras.txt").write_text(
        "# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
        + "\n".join(f"{index + 1} PINHOLE {each.size[0]} {each.size[1]} 1 1 1 1" for index, each in enumerate(cameras))
    )
    path = folder / "rig_config.json"
    path.write_text(json.dumps([{"cameras": entries}]))
    return path


def _opensfm(cameras: Sequence[Camera], folder: Path) -> Path:
    models, rig_cameras = {}, {}
    for camera in cameras:
        width, height = camera.size
        longer = max(camera.size)
        fx, fy, cx, cy = camera.k
        names = ("k1", "k2", "k3", "k4") if camera.fisheye else ("k1", "k2", "p1", "p2")
        models[f"v2 {camera.name}"] = {
            "projection_type": "fisheye_opencv" if camera.fisheye else "brown",
            "width": width,
            "height": height,
            "focal_x": fx / longer,
            "focal_y": fy / longer,
            "c_x": (cx - (width - 1) / 2) / longer,
            "c_y": (cy - (height - 1) / 2) / longer,
            **dict(zip(names, camera.d, strict=True)),
        }
        pose = {"rotation": list(camera.rvec), "translation": list(camera.tvec)}
        rig_cameras[camera.name] = {"camera": f"v2 {camera.name}", **pose}
    (folder / "camera_models.json").write_text(json.dumps(models))
    path = folder / "rig_cameras.json"
    path.write_text(json.dumps(rig_cameras))
    return path


def _hugin(cameras: Sequence[Camera], folder: Path) -> Path:
    path = folder / "project.pto"
    lines = [f'i w640 h480 f0 v90 r0 p0 y{90 * index} n"{camera.name}.jpg"' for index, camera in enumerate(cameras)]
    path.write_text("\n".join(["# hugin project file", 'p f2 w2000 h1000 v360 n"TIFF_m"', *lines]))
    return path
