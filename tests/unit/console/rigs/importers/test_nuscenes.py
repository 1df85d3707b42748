import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.rigs import importers
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.messages import parse_manifest
from panoveil.pixels import jpeg

# Ego axes: x forward, y left, z up. The columns say where the camera's x (right), y (down) and z (ahead) point.
_AHEAD = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
_RIGHT = [[-1, 0, 0], [0, 0, -1], [0, -1, 0]]


def _camera(rotation: list[list[int]], place: tuple[float, float, float], name: str) -> dict[str, Any]:
    pose = [[*row, at] for row, at in zip(rotation, place, strict=True)]
    return {
        "img_path": f"{name}.jpg",
        "cam2img": [[40, 0, 31.5], [0, 40, 23.5], [0, 0, 1]],
        "cam2ego": [*pose, [0, 0, 0, 1]],
        "timestamp": 1532402927.6,
    }


@pytest.fixture(name="cameras")
def two_cameras() -> dict[str, Any]:
    return {"AHEAD": _camera(_AHEAD, (2, 0.5, 1.5), "ahead"), "RIGHT": _camera(_RIGHT, (1, -0.5, 1.7), "right")}


def _written(cameras: object, directory: Path) -> Path:
    (directory / "calibration.json").write_text(json.dumps(cameras))
    for name in ("ahead", "right"):
        (directory / f"{name}.jpg").write_bytes(jpeg.encode(np.full((48, 64, 3), 99, np.uint8), 90))
    return directory


def test_ego_axes_become_ours(cameras: dict[str, Any], tmp_path: Path) -> None:
    rig = importers.nuscenes_rig(_written(cameras, tmp_path))
    ahead, right = rig.lenses
    np.testing.assert_allclose(np.asarray(ahead.rotation), np.eye(3))
    np.testing.assert_allclose(np.asarray(right.rotation)[:, 2], (1, 0, 0))
    np.testing.assert_allclose(np.asarray(right.rotation)[:, 1], (0, 1, 0))


def test_the_origin_is_amid_the_lenses_and_over_the_road(cameras: dict[str, Any], tmp_path: Path) -> None:
    rig = importers.nuscenes_rig(_written(cameras, tmp_path))
    np.testing.assert_allclose(rig.lenses[0].position, (-0.5, 0.1, 0.5), atol=1e-9)
    np.testing.assert_allclose(rig.lenses[1].position, (0.5, -0.1, -0.5), atol=1e-9)
    assert rig.height_above_ground == pytest.approx(1.6)
    assert (rig.lenses[0].width, rig.lenses[0].height) == (64, 48)


def test_the_rig_id_follows_the_calibration(cameras: dict[str, Any], tmp_path: Path) -> None:
    first = importers.nuscenes_rig(_written(cameras, tmp_path)).rig_id
    assert importers.nuscenes_rig(tmp_path).rig_id == first
    cameras["AHEAD"]["cam2img"][0][0] = 41
    assert importers.nuscenes_rig(_written(cameras, tmp_path)).rig_id != first


def test_a_directory_becomes_a_drive(cameras: dict[str, Any], tmp_path: Path) -> None:
    source, out = _written(cameras, tmp_path), tmp_path / "drive"
    rig = importers.nuscenes_drive(source, out, "survey", "drive")
    manifest = parse_manifest((out / "000001" / "capture.json").read_bytes())
    assert importers.load_rig(out / "rig.json") == rig
    assert manifest.rig_id == rig.rig_id
    assert [frame.lens for frame in manifest.frames] == ["AHEAD", "RIGHT"]
    assert (out / "000001" / "AHEAD.jpg").read_bytes() == (source / "ahead.jpg").read_bytes()
    assert manifest.captured_at.year == 2018


def _spoiled(cameras: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    target: Any = cameras
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return cameras


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("AHEAD", "cam2img", 0, 0), float("nan"), "camera AHEAD: cam2img must be 3 x 3 finite numbers"),
        (("AHEAD", "cam2img"), [[1, 2], [3, 4]], "camera AHEAD: cam2img must be 3 x 3 finite numbers"),
        (("AHEAD", "cam2img"), "none", "camera AHEAD: cam2img is missing or no matrix"),
        (("AHEAD", "cam2img", 0, 0), 0, "camera AHEAD: its camera matrix is singular"),
        (("AHEAD", "cam2img", 0, 2), 131.5, "camera AHEAD: cam2img does not belong to an image of 64 x 48"),
        (("AHEAD", "cam2ego", 0, 2), 0, "lens AHEAD: its rotation is no rotation matrix"),
        (("AHEAD", "cam2ego"), np.zeros((4, 4)).tolist(), "lens AHEAD: its rotation is no rotation matrix"),
        (("AHEAD", "cam2ego"), np.diag([1, 1, -1, 1]).tolist(), "lens AHEAD: its rotation is no rotation matrix"),
        (("AHEAD", "img_path"), "gone.jpg", "gone.jpg cannot be read"),
        (("AHEAD", "img_path"), "calibration.json", "camera AHEAD: its image is no JPEG"),
        (("AHEAD",), 3, "must map camera names"),
    ],
)
def test_a_wrong_calibration_is_one_clear_sentence(
    cameras: dict[str, Any], tmp_path: Path, path: tuple[str | int, ...], value: object, sentence: str
) -> None:
    _written(_spoiled(cameras, path, value), tmp_path)
    with pytest.raises(Misconfigured, match=sentence) as caught:
        importers.nuscenes_rig(tmp_path)
    assert "\n" not in str(caught.value)


def test_cameras_below_the_road_are_refused(cameras: dict[str, Any], tmp_path: Path) -> None:
    for camera in cameras.values():
        camera["cam2ego"][2][3] = -1
    with pytest.raises(Misconfigured, match="height_above_ground"):
        importers.nuscenes_rig(_written(cameras, tmp_path))


def test_the_file_may_have_any_name(cameras: dict[str, Any], tmp_path: Path) -> None:
    _written(cameras, tmp_path)
    renamed = (tmp_path / "calibration.json").rename(tmp_path / "monday.json")
    rig = importers.load_rig(renamed)
    assert rig.rig_id.startswith("nuscenes-")
    assert importers.load_rig(tmp_path) == rig
