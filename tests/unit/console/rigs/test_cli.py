import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from console.cli import app
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import Rig
from simulator.rigs import demo_rig

_CAMERA = """K: [[300, 0, 320], [0, 300, 240], [0, 0, 1]]
D: [0.01, 0, 0, 0]
"""


@pytest.fixture(name="rig_file")
def rig_in_a_file(tmp_path: Path) -> Path:
    (tmp_path / "rig.json").write_text(demo_rig(1024).model_dump_json())
    return tmp_path / "rig.json"


def _run(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_prints_and_draws(rig_file: Path, tmp_path: Path) -> None:
    text = _run("rig", "show", rig_file, "--picture", tmp_path / "map.png")
    assert "overlap at the horizon" in text
    assert "road, best lens" in text
    image = cv2.imread(str(tmp_path / "map.png"))
    assert image is not None
    assert image.shape == (720, 1440, 3)


def test_show_speaks_json(rig_file: Path) -> None:
    view = json.loads(_run("rig", "show", rig_file, "--json"))
    assert view["rig_id"] == "demo5-1024"
    assert len(view["pairs"]) == 5


def test_import_writes_our_json_without_a_pipeline(rig_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert "Imported car-7: 5 lenses." in _run("rig", "import", rig_file, "--rig-id", "car-7", "--height", 2.1, "--out", out)
    rig = Rig.model_validate_json(out.read_text())
    assert (rig.rig_id, rig.height_above_ground) == ("car-7", 2.1)
    assert rig.lenses == demo_rig(1024).lenses


def test_import_takes_what_a_file_does_not_say(tmp_path: Path) -> None:
    for name in ("front", "back"):
        (tmp_path / f"{name}.yaml").write_text(_CAMERA)
    out = tmp_path / "rig" / "out.json"
    out.parent.mkdir()
    said = ["--lens-model", "fisheye", "--size", "640x480", "--yaws", "front=0,back=180", "--fov", "150"]
    result = CliRunner().invoke(app, ["rig", "import", str(tmp_path), *said, "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "note: the file knows no road" in result.stderr
    assert "note" not in result.stdout
    assert [lens.name for lens in Rig.model_validate_json(out.read_text()).lenses] == ["back", "front"]


@pytest.mark.parametrize(
    "words",
    [
        ["--size", "640"],
        ["--size", "0x480"],
        ["--turn", "1,2"],
        ["--yaws", "a=0", "--layout", "x.json"],
        ["--format", "ladybug"],
    ],
)
def test_an_option_that_is_none_is_said(words: list[str], rig_file: Path) -> None:
    result = CliRunner().invoke(app, ["rig", "import", str(rig_file), *words])
    assert result.exit_code == 2
    assert words[0] in result.stderr


def test_what_is_wrong_with_a_calibration_stops_with_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "front.yaml").write_text(_CAMERA)
    result = CliRunner().invoke(app, ["rig", "import", str(tmp_path), "--out", str(tmp_path / "out.json")])
    assert isinstance(result.exception, Misconfigured)
    assert not (tmp_path / "out.json").exists()
