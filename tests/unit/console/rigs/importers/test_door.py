"""Which format a file is of, our own format, and what a person adds to a file."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from console.rigs import importers
from console.rigs.importers import Axes, Format, Wish
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import BrownConrady, Lens, Rig
from panoveil.pixels import jpeg
from simulator.rigs import demo_rig
from tests.unit.console.rigs.importers import truth


def _own(**changes: object) -> Rig:
    lens = Lens(
        name="front",
        width=64,
        height=48,
        intrinsics=BrownConrady(fx=40, fy=40, cx=31.5, cy=23.5),
        rotation=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    )
    return Rig(rig_id="own", lenses=(lens.model_copy(update=changes),))


def _written(rig: Rig, folder: Path) -> Path:
    (folder / "rig.json").write_text(rig.model_dump_json())
    return folder / "rig.json"


@pytest.mark.parametrize("rig", [_own(), demo_rig(1024), truth.RIG])
def test_our_own_rig_comes_back_as_it_was(rig: Rig, tmp_path: Path) -> None:
    path = _written(rig, tmp_path)
    assert importers.load_rig(path) == rig
    assert importers.load_rig(tmp_path) == rig
    assert importers.load_rig(path).model_dump_json() == path.read_text()


def test_our_own_rig_takes_wishes(tmp_path: Path) -> None:
    rig = importers.load_rig(_written(_own(), tmp_path), Wish(rig_id="other", height=3.0))
    assert (rig.rig_id, rig.height_above_ground) == ("other", 3.0)
    with pytest.raises(Misconfigured, match="height_above_ground"):
        importers.load_rig(tmp_path, Wish(height=-1))


@pytest.mark.parametrize(
    ("rig", "sentence"),
    [
        (_own(rotation=((2, 0, 0), (0, 1, 0), (0, 0, 1))), "lens front: its rotation is no rotation matrix"),
        (_own(rotation=((1, 0, 0), (0, 1, 0), (0, 0, -1))), "lens front: its rotation is no rotation matrix"),
        (_own(rotation=((0, 0, 0), (0, 0, 0), (0, 0, 0))), "lens front: its rotation is no rotation matrix"),
        (_own(intrinsics=BrownConrady(fx=40, fy=40, cx=-9000, cy=23)), "lens front sees nothing"),
    ],
)
def test_a_rig_that_cannot_work_is_refused(rig: Rig, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=sentence):
        importers.load_rig(_written(rig, tmp_path))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("rig.json", '{"rig_id": "x"}', "lenses: Field required"),
        ("rig.json", _own().model_dump_json().replace('"fx":40.0', '"fx":NaN'), "fx: Input should be a finite number"),
        ("rig.json", _own().model_dump_json().replace('"version":1', '"version":2'), "version"),
        ("calibration.json", "{", "is not JSON"),
        ("some.yaml", "a: [", "is not YAML"),
        ("some.yaml", "a: 3", "no known calibration is in there"),
        ("front.xml", "<?xml version='1.0'?>", r"front\.xml is XML, which is not read"),
        ("lens.cal", "Ladybug", "format of Ladybug .cal files is not published"),
        ("rig.json", "\0\xff", "is not JSON"),
    ],
)
def test_what_is_no_rig_is_one_sentence(name: str, text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Misconfigured, match=sentence) as caught:
        importers.load_rig(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="holds no calibration"):
        importers.load_rig(tmp_path)
    with pytest.raises(Misconfigured, match=r"gone\.json cannot be read"):
        importers.load_rig(tmp_path / "gone.json")
    (tmp_path / "picture.yaml").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(Misconfigured, match="is no text file"):
        importers.load_rig(tmp_path / "picture.yaml")


@pytest.mark.parametrize("kind", [Format.KALIBR, Format.OPENCV, Format.COLMAP, Format.OPENSFM, Format.HUGIN])
def test_a_format_is_known_by_its_content_not_its_name(kind: Format, tmp_path: Path) -> None:
    path = truth.write(kind, truth.PINHOLES, tmp_path)
    assert truth.load(kind, path).rig_id.startswith(kind)
    if kind not in {Format.OPENSFM, Format.COLMAP}:
        other = path.rename(tmp_path / ("misnamed" + path.suffix))
        assert truth.load(kind, other).rig_id.startswith(kind)
    if kind is Format.OPENCV:
        with pytest.raises(Misconfigured, match="is no rig"):
            importers.load_rig(tmp_path / ("misnamed" + path.suffix), Wish(format=Format.PANOVEIL))


def test_the_rig_id_follows_the_calibration_unless_told(tmp_path: Path) -> None:
    path = truth.write(Format.KALIBR, truth.PINHOLES, tmp_path)
    first = importers.load_rig(path).rig_id
    assert importers.load_rig(path).rig_id == first
    assert importers.load_rig(path, Wish(rig_id="car-7")).rig_id == "car-7"
    path.write_text(path.read_text().replace("[640, 480]", "[642, 480]"))
    assert importers.load_rig(path).rig_id != first


def test_a_height_that_nobody_knows_is_said(tmp_path: Path) -> None:
    path = truth.write(Format.KALIBR, truth.PINHOLES, tmp_path)
    imported = importers.import_rig(path)
    assert imported.rig.height_above_ground == 2.5
    assert any("2.5 m were taken as height" in notice for notice in imported.notices)
    told = importers.import_rig(path, Wish(height=2.1))
    assert told.rig.height_above_ground == 2.1
    assert not any("height" in notice for notice in told.notices)


def test_a_frame_can_be_turned_and_its_axes_named(tmp_path: Path) -> None:
    path = truth.write(Format.KALIBR, truth.PINHOLES, tmp_path)
    plain, turned = importers.load_rig(path), importers.load_rig(path, Wish(turn=(90, 0, 0)))
    ahead = np.asarray(plain.lenses[0].rotation)[:, 2]
    np.testing.assert_allclose(np.asarray(turned.lenses[0].rotation)[:, 2], (ahead[2], ahead[1], -ahead[0]), atol=1e-12)
    ego = importers.load_rig(path, Wish(axes=Axes.EGO))
    np.testing.assert_allclose(np.asarray(ego.lenses[0].rotation)[:, 2], (-ahead[1], -ahead[2], ahead[0]), atol=1e-12)


def test_names_can_be_given(tmp_path: Path) -> None:
    path = truth.write(Format.KALIBR, truth.PINHOLES, tmp_path)
    assert [lens.name for lens in importers.load_rig(path, Wish(names=("a", "b", "c"))).lenses] == ["a", "b", "c"]
    with pytest.raises(Misconfigured, match="gives 1 names, the file has 3 lenses"):
        importers.load_rig(path, Wish(names=("a",)))
    with pytest.raises(Misconfigured, match="share a name"):
        importers.load_rig(path, Wish(names=("a", "a", "b")))


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    path, images = _written(_own(), tmp_path), tmp_path / "images"
    images.mkdir()
    with pytest.raises(Misconfigured, match=r"lens front has no picture front\.jpg"):
        importers.import_rig(path, images=images)
    (images / "front.jpg").write_bytes(jpeg.encode(np.zeros((48, 64, 3), np.uint8), 90))
    assert importers.import_rig(path, images=images).rig == _own()
    (images / "front.jpg").unlink()
    cv2.imwrite(str(images / "front.png"), np.zeros((40, 64, 3), np.uint8))
    with pytest.raises(Misconfigured, match="calibrated for 64 x 48 pixels, its picture has 64 x 40"):
        importers.import_rig(path, images=images)


@pytest.mark.parametrize("text", ["yaw: 3", "front: {yaw: left}", "front: {gaw: 3}", "front: 3", "front: {position: [1, 2]}"])
def test_a_layout_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "layout.yaml").write_text(text)
    with pytest.raises(Misconfigured, match="layout"):
        importers.layout_of(tmp_path / "layout.yaml")


def test_a_layout_goes_before_the_file_and_must_name_its_lenses(tmp_path: Path) -> None:
    path = truth.write(Format.KALIBR, truth.PINHOLES, tmp_path)
    (tmp_path / "layout.json").write_text(json.dumps({f"cam{n}": {"yaw": 90 * n, "position": [n, 0, 0]} for n in range(3)}))
    rig = importers.load_rig(path, Wish(poses=importers.layout_of(tmp_path / "layout.json")))
    np.testing.assert_allclose(np.asarray(rig.lenses[1].rotation)[:, 2], (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose([lens.position for lens in rig.lenses], [(-1, 0, 0), (0, 0, 0), (1, 0, 0)], atol=1e-12)
    with pytest.raises(Misconfigured, match="the layout places cam0, front, the lenses are cam0, cam1, cam2"):
        importers.load_rig(path, Wish(poses=importers.poses_of_yaws("cam0=0,front=90")))
