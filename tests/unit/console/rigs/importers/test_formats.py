"""Cameras written by hand, imported, and held against OpenCV's own projections."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.rigs import importers
from console.rigs.importers import Axes, Format, LensModel, Wish
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, KannalaBrandt
from tests.unit.console.rigs.importers import truth

WITHIN = 0.05
_FORMATS = [Format.KALIBR, Format.COLMAP, Format.OPENSFM]


@pytest.mark.parametrize("kind", [*_FORMATS, Format.OPENCV])
def test_pinholes_are_where_opencv_says(kind: Format, tmp_path: Path) -> None:
    assert truth.deviation(truth.load(kind, truth.write(kind, truth.PINHOLES, tmp_path)), truth.PINHOLES) < WITHIN


@pytest.mark.parametrize("kind", _FORMATS)
def test_fisheyes_are_where_opencv_says(kind: Format, tmp_path: Path) -> None:
    assert truth.deviation(truth.load(kind, truth.write(kind, truth.FISHEYES, tmp_path)), truth.FISHEYES) < WITHIN


@pytest.mark.parametrize("kind", _FORMATS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turn=st.tuples(*[st.floats(-1.7, 1.7)] * 3),
    k=st.tuples(st.floats(250, 400), st.floats(250, 400), st.floats(290, 350), st.floats(200, 280)),
    d=st.tuples(st.floats(-0.05, 0.05), st.floats(-0.01, 0.01), st.floats(-0.002, 0.002), st.floats(-0.002, 0.002)),
    fisheye=st.booleans(),
)
def test_any_camera_is_where_opencv_says(
    kind: Format,
    turn: tuple[float, float, float],
    k: tuple[float, float, float, float],
    d: tuple[float, float, float, float],
    fisheye: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    first = replace(truth.FISHEYES[0] if fisheye else truth.PINHOLES[0], k=k)
    second = replace(first, name="cam1", d=d, rvec=turn)
    assert truth.deviation(truth.load(kind, truth.write(kind, (first, second), tmp_path)), (first, second)) < WITHIN


def test_json_to_rig_to_json_is_the_same(tmp_path: Path) -> None:
    rig = truth.load(Format.KALIBR, truth.write(Format.KALIBR, truth.FISHEYES, tmp_path))
    (tmp_path / "rig.json").write_text(rig.model_dump_json(indent=1))
    again = importers.load_rig(tmp_path / "rig.json")
    assert again == rig
    assert again.model_dump_json(indent=1) == (tmp_path / "rig.json").read_text()


# --- OpenCV


def _lens_files(cameras: Sequence[truth.Camera], folder: Path, **extra: int) -> Path:
    for camera in cameras:
        storage = cv2.FileStorage(str(folder / f"{camera.name}.yaml"), cv2.FILE_STORAGE_WRITE)
        truth.write_opencv(storage, camera)
        for key, value in extra.items():
            storage.write(key, value)
        storage.release()
    return folder


def test_a_folder_of_opencv_files_is_a_rig(tmp_path: Path) -> None:
    folder = _lens_files(truth.FISHEYES, tmp_path, fisheye_model=1)
    rig = importers.load_rig(folder, Wish(axes=Axes.RIG))
    assert truth.deviation(rig, truth.FISHEYES) < WITHIN
    assert [lens.name for lens in rig.lenses] == ["cam0", "cam1", "cam2"]


def test_four_coefficients_could_be_either_model(tmp_path: Path) -> None:
    folder = _lens_files(truth.FISHEYES, tmp_path)
    with pytest.raises(Misconfigured, match="say --lens-model fisheye or pinhole"):
        importers.load_rig(folder, Wish(axes=Axes.RIG))
    rig = importers.load_rig(folder, Wish(axes=Axes.RIG, lens_model=LensModel.FISHEYE))
    assert truth.deviation(rig, truth.FISHEYES) < WITHIN


def test_axes_of_poses_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="say --axes ego"):
        importers.load_rig(_lens_files(truth.FISHEYES, tmp_path, fisheye_model=1))


def test_opencv_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "front.json"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    truth.write_opencv(storage, truth.PINHOLES[0])
    storage.release()
    rig = importers.load_rig(path, Wish(axes=Axes.RIG, lens_model=LensModel.PINHOLE))
    assert rig.lenses[0].name == "front"
    assert truth.deviation(rig, truth.PINHOLES[:1]) < WITHIN


_BARE = {"K": [[300, 0, 320], [0, 300, 240], [0, 0, 1]], "D": [0.01, 0.0, 0.0, 0.0], "resolution": [640, 480], "model": "fisheye"}


def _bare(folder: Path, **changes: object) -> Path:
    kept = {key: value for key, value in (_BARE | changes).items() if value is not None}
    (folder / "front.json").write_text(json.dumps(kept))
    return folder / "front.json"


def test_without_poses_a_layout_is_asked_for(tmp_path: Path) -> None:
    path = _bare(tmp_path)
    with pytest.raises(Misconfigured, match=r"does not say where its lenses look: give --yaws front=DEGREES .* or --layout FILE"):
        importers.load_rig(path)
    rig = importers.load_rig(path, Wish(poses=importers.poses_of_yaws("front=90")))
    np.testing.assert_allclose(np.asarray(rig.lenses[0].rotation)[:, 2], (1, 0, 0), atol=1e-12)


_SPOILED: list[tuple[dict[str, Any], str]] = [
    ({"K": [[0, 0, 320], [0, 300, 240], [0, 0, 1]]}, "camera front: its camera matrix is singular"),
    ({"K": np.zeros((3, 3)).tolist()}, "camera front: its camera matrix is no camera matrix"),
    (
        {"K": [[float("nan"), 0, 320], [0, 300, 240], [0, 0, 1]]},
        "camera front: its camera matrix holds a number that is not finite",
    ),
    ({"K": [[300, 9, 320], [0, 300, 240], [0, 0, 1]]}, "camera front: its camera matrix has skew"),
    ({"K": [[300, 0, 320]]}, "camera front: its camera matrix must be 3 x 3 numbers"),
    ({"K": "three hundred"}, "camera front: its camera matrix is not made of numbers"),
    ({"D": [float("inf"), 0, 0, 0]}, "camera front: distortion coefficients holds a number that is not finite"),
    ({"D": [0] * 7, "model": "pinhole"}, "OpenCV's pinhole model has 4, 5, 8, 12 or 14 coefficients, not 7"),
    ({"D": [0] * 5}, "OpenCV's fisheye model has 4 coefficients, not 5"),
    ({"D": [0.1, 0, 0, 0, 0, 0.1, 0, 0, 0, 0, 0, 0, 0.1, 0], "model": "pinhole"}, "camera front: a tilted sensor"),
    ({"D": [-1e7, 0, 0, 0], "model": "pinhole"}, "lens front sees nothing"),
    ({"D": [-1e7, 0, 0, 0]}, "lens front sees nothing"),
    ({"resolution": [1280, 960]}, r"principal point \(320\.0, 240\.0\) does not belong to an image of 1280 x 960"),
    ({"resolution": [0, 480]}, "camera front: 0 x 480 is no image size"),
    ({"resolution": None}, "camera front: its file does not say how large its images are"),
    ({"model": "mei"}, "camera front: the lens model mei cannot be imported"),
    ({"R": np.zeros((3, 3)).tolist()}, "lens front: its rotation is no rotation matrix"),
    ({"R": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "lens front: its rotation is no rotation matrix"),
    ({"R": [[2, 0, 0], [0, 1, 0], [0, 0, 0.5]]}, "lens front: its rotation is no rotation matrix"),
    ({"rvec": [0, float("nan"), 0]}, "camera front: rotation holds a number that is not finite"),
]


@pytest.mark.parametrize(("changes", "sentence"), _SPOILED)
def test_a_wrong_opencv_calibration_is_one_clear_sentence(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    posed = {"rvec", "R"} & changes.keys()
    wish = Wish(axes=Axes.RIG) if posed else Wish(poses=importers.poses_of_yaws("front=0"))
    with pytest.raises(Misconfigured, match=sentence) as caught:
        importers.load_rig(_bare(tmp_path, **changes), wish)
    assert "\n" not in str(caught.value)


def test_a_missing_size_comes_from_a_wish_or_the_pictures(tmp_path: Path) -> None:
    path, poses = _bare(tmp_path, resolution=None), importers.poses_of_yaws("front=0")
    assert importers.load_rig(path, Wish(poses=poses, size=(640, 480))).lenses[0].height == 480
    cv2.imwrite(str(tmp_path / "front.png"), np.zeros((482, 640, 3), np.uint8))
    assert importers.load_rig(path, Wish(poses=poses)).lenses[0].height == 482


def test_a_fisheye_ends_at_its_corner_or_where_a_person_says(tmp_path: Path) -> None:
    path, poses = _bare(tmp_path), importers.poses_of_yaws("front=0")
    corner = importers.load_rig(path, Wish(poses=poses)).lenses[0].intrinsics
    told = importers.load_rig(path, Wish(poses=poses, fov=120)).lenses[0].intrinsics
    assert isinstance(corner, KannalaBrandt)
    assert isinstance(told, KannalaBrandt)
    assert 1.2 < corner.max_theta < np.hypot(320.5, 240.5) / 300
    assert told.max_theta == pytest.approx(np.radians(60))


# --- refitted models

_RATIONAL = (0.11, 0.02, 0.001, -0.0008, 0.004, 0.22, 0.02, 0.01)


@pytest.mark.parametrize("coefficients", [_RATIONAL, (*_RATIONAL, 0.0002, -0.0001, 0.0001, 0.00005)])
def test_rational_and_thin_prism_are_refitted(coefficients: tuple[float, ...], tmp_path: Path) -> None:
    camera = replace(truth.PINHOLES[0], k=(500, 505, 322, 238), d=coefficients)
    path = _bare(tmp_path, K=camera.matrix.tolist(), D=list(coefficients), model="rational_polynomial", rvec=[0, 0, 0])
    rig = importers.load_rig(path, Wish(axes=Axes.RIG))
    assert isinstance(rig.lenses[0].intrinsics, BrownConrady)
    assert truth.deviation(rig, [camera]) < WITHIN


def test_what_our_models_cannot_say_is_refused_with_the_deviation(tmp_path: Path) -> None:
    path = _bare(tmp_path, D=[0.1, 0, 0, 0, 0, 0, 0, 0, 0.05, 0.05, 0.0, 0.08], model="pinhole", rvec=[0, 0, 0])
    with pytest.raises(Misconfigured, match=r"closest of ours is off by [\d.]+ px \(--within 0\.05\)"):
        importers.load_rig(path, Wish(axes=Axes.RIG))


# --- Kalibr


def _spoiled(kind: Format, folder: Path, *swaps: tuple[str, str]) -> Path:
    path = truth.write(kind, truth.PINHOLES, folder)
    text = path.read_text()
    for before, after in swaps:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("camera_model: pinhole", "camera_model: omni", "camera cam0: omni with radtan and 4 intrinsics cannot be imported"),
        ("camera_model: pinhole", "camera_model: eucm", "camera cam0: eucm with radtan"),
        ("radtan", "fov", "camera cam0: pinhole with fov"),
        ("T_cn_cnm1", "T_nothing", "camera cam1 has no T_cn_cnm1"),
        ("resolution: [640, 480]", "resolution: 640", "camera cam0: image size must be 2 numbers"),
        ("intrinsics: [300,", "intrinsics: [.nan,", "camera cam0: intrinsics holds a number that is not finite"),
        ("  - [0.0, 0.0, 0.0, 1.0]", "", "camera cam1: T_cn_cnm1 must be 4 x 4 numbers"),
        ("intrinsics: [300,", "intrinsics: [-300,", "camera cam0: its camera matrix is singular or mirrored"),
    ],
)
def test_a_wrong_camchain_is_one_clear_sentence(before: str, after: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=sentence):
        importers.load_rig(_spoiled(Format.KALIBR, tmp_path, (before, after)))


def test_without_a_chain_the_imu_tells(tmp_path: Path) -> None:
    imu = np.eye(4)
    imu[:3, :3], imu[:3, 3] = truth.PINHOLES[1].rotation, (1, 2, 3)
    text = truth.write(Format.KALIBR, truth.PINHOLES, tmp_path).read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("  T_cn", "  - ["))]
    for index, camera in enumerate(truth.PINHOLES):
        at = kept.index(f"cam{index}:") + 1
        kept[at:at] = [f"  T_cam_imu: {(camera.transform @ imu).tolist()}"]
    (tmp_path / "camchain.yaml").write_text("\n".join(kept))
    assert truth.deviation(importers.load_rig(tmp_path), truth.PINHOLES) < WITHIN


# --- COLMAP


def test_colmaps_first_pixel_is_half_a_pixel_off(tmp_path: Path) -> None:
    path = truth.write(Format.COLMAP, truth.PINHOLES, tmp_path)
    written = json.loads(path.read_text())[0]["cameras"][0]["camera_params"]
    lens = importers.load_rig(path).lenses[0].intrinsics
    assert (written[2] - lens.cx, written[3] - lens.cy) == (0.5, 0.5)


def _colmap(folder: Path, **changes: object) -> Path:
    path = truth.write(Format.COLMAP, truth.PINHOLES, folder)
    rigs = json.loads(path.read_text())
    rigs[0]["cameras"][1] = {key: value for key, value in (rigs[0]["cameras"][1] | changes).items() if value is not None}
    path.write_text(json.dumps(rigs))
    return path


@pytest.mark.parametrize(
    ("model", "params", "coefficients"),
    [
        ("SIMPLE_PINHOLE", [300, 320.5, 240.5], {}),
        ("PINHOLE", [300, 310, 320.5, 240.5], {}),
        ("SIMPLE_RADIAL", [300, 320.5, 240.5, 0.01], {"k1": 0.01}),
        ("RADIAL", [300, 320.5, 240.5, 0.01, 0.02], {"k1": 0.01, "k2": 0.02}),
        ("OPENCV", [300, 310, 320.5, 240.5, 0.01, 0.02, 0.003, 0.004], {"k1": 0.01, "k2": 0.02, "p1": 0.003, "p2": 0.004}),
        ("FULL_OPENCV", [300, 310, 320.5, 240.5, 0.01, 0.02, 0, 0, 0.005, 0, 0, 0], {"k1": 0.01, "k2": 0.02, "k3": 0.005}),
        ("RADIAL_FISHEYE", [300, 320.5, 240.5, 0.01, 0.02], {"k1": 0.01, "k2": 0.02}),
        ("SIMPLE_RADIAL_FISHEYE", [300, 320.5, 240.5, 0.01], {"k1": 0.01}),
    ],
)
def test_colmaps_models(model: str, params: list[float], coefficients: dict[str, float], tmp_path: Path) -> None:
    lens = importers.load_rig(_colmap(tmp_path, camera_model_name=model, camera_params=params)).lenses[1].intrinsics
    assert isinstance(lens, KannalaBrandt if "FISHEYE" in model else BrownConrady)
    expected = {
        "fx": params[0],
        "fy": 310 if len(params) % 4 == 0 and model != "SIMPLE_RADIAL" and "FISHEYE" not in model else 300,
    }
    found = lens.model_dump()
    assert {key: found[key] for key in (*expected, "cx", "cy", *coefficients)} == expected | {"cx": 320, "cy": 240} | coefficients


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"camera_model_name": "FOV"}, "camera cam1: FOV with 8 parameters cannot be imported"),
        ({"camera_params": [1, 2]}, "camera cam1: OPENCV with 2 parameters"),
        ({"cam_from_rig_rotation": [1, 1, 0, 0]}, "camera cam1: cam_from_rig_rotation is no unit quaternion"),
        ({"cam_from_rig_rotation": None}, "camera cam1: it is not the reference sensor and has no cam_from_rig_rotation"),
        ({"cam_from_rig_translation": [900, 0, 0]}, "lens cam0 is 300 m from the others' middle"),
        ({"camera_id": 9}, "camera cam1: rig_config.json does not say how large its images are"),
    ],
)
def test_a_wrong_rig_config_is_one_clear_sentence(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=sentence):
        importers.load_rig(_colmap(tmp_path, **changes))


def test_colmaps_intrinsics_may_stand_in_cameras_txt(tmp_path: Path) -> None:
    path = _colmap(tmp_path, camera_model_name=None, camera_params=None)
    (tmp_path / "cameras.txt").write_text(
        "# comment\n" + "\n".join(f"{n} PINHOLE 640 480 200 210 320.5 240.5" for n in (1, 2, 3))
    )
    assert importers.load_rig(path).lenses[1].intrinsics == BrownConrady(fx=200, fy=210, cx=320, cy=240)
    (tmp_path / "cameras.txt").write_text("1 PINHOLE wide")
    with pytest.raises(Misconfigured, match=r"cameras\.txt: a line is not"):
        importers.load_rig(path)


def test_two_rigs_are_one_too_many(tmp_path: Path) -> None:
    path = truth.write(Format.COLMAP, truth.PINHOLES, tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) * 2))
    with pytest.raises(Misconfigured, match="holds 2 rigs"):
        importers.load_rig(path)


# --- OpenSfM


@pytest.mark.parametrize(("kind", "model"), [("perspective", BrownConrady), ("fisheye", KannalaBrandt)])
def test_opensfms_one_focal_models(kind: str, model: type, tmp_path: Path) -> None:
    path = truth.write(Format.OPENSFM, truth.PINHOLES[:1], tmp_path)
    one = {"projection_type": kind, "width": 640, "height": 480, "focal": 0.5, "k1": 0.01, "k2": 0.02}
    (tmp_path / "camera_models.json").write_text(json.dumps({"only": one}))
    path.write_text(json.dumps({"front": {"rotation": [0, 0, 0], "translation": [0, 0, 0]}}))
    lens = importers.load_rig(path).lenses[0].intrinsics
    assert isinstance(lens, model)
    assert (lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2) == (320, 320, 319.5, 239.5, 0.01, 0.02)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"projection_type": "spherical"}, "camera cam0: OpenSfM's spherical cannot be imported"),
        ({"width": None}, "camera cam0: image size is missing"),
        ({"focal_x": "x"}, "camera cam0: focal_x is not made of numbers"),
        ({"focal_x": 0}, "camera cam0: its camera matrix is singular"),
    ],
)
def test_a_wrong_camera_model_is_one_clear_sentence(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    path = truth.write(Format.OPENSFM, truth.PINHOLES, tmp_path)
    models = json.loads((tmp_path / "camera_models.json").read_text())
    models["v2 cam0"] |= change
    (tmp_path / "camera_models.json").write_text(json.dumps(models))
    with pytest.raises(Misconfigured, match=sentence):
        importers.load_rig(path)


def test_a_camera_without_a_model_is_said(tmp_path: Path) -> None:
    path = truth.write(Format.OPENSFM, truth.PINHOLES, tmp_path)
    (tmp_path / "camera_models.json").write_text("{}")
    with pytest.raises(Misconfigured, match="has no camera v2 cam0"):
        importers.load_rig(path)
