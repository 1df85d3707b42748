import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from console.cli import app
from console.rigs import calibrate, overlaps
from console.rigs.calibrate import Calibration
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Photometry, Rig
from panoveil.pixels import jpeg, light
from services.stitcher import tables
from services.stitcher.stitch import stitch
from simulator.drive import photograph
from simulator.rigs import demo_rig
from simulator.street import Street

WIDTH = 640
TRUTH = demo_rig(WIDTH)
BLANK = TRUTH.model_copy(
    update={"rig_id": "blank", "lenses": tuple(lens.model_copy(update={"photometry": Photometry()}) for lens in TRUTH.lenses)}
)


def _nothing(name: str, trouble: str) -> None:
    assert trouble == "", name


@pytest.fixture(name="drive", scope="module")
def a_street_photographed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    photograph(Street(3, 8, WIDTH), TRUTH, folder, "s", "d", 8, 3)
    (folder / "rig.json").write_text(BLANK.model_dump_json())
    return folder


@pytest.fixture(name="result", scope="module")
def calibrated(drive: Path) -> Calibration:
    return calibrate.calibrate(drive, None, 24, _nothing)


def test_fall_off_in_the_corner_is_found_within_two_hundredths(result: Calibration) -> None:
    corner = np.array([1.0])
    for found, true in zip(result.after.lenses, TRUTH.lenses, strict=True):
        assert light.fall_off(found.photometry.vignetting, corner) == pytest.approx(
            light.fall_off(true.photometry.vignetting, corner), abs=0.02
        )


def test_gains_of_channels_are_found_within_a_hundredth(result: Calibration) -> None:
    """The level of a lens is also its mean exposure of this drive; how its channels differ is not."""
    found, true = (np.log([lens.photometry.gain for lens in rig.lenses]) for rig in (result.after, TRUTH))
    left = (found - found.mean(axis=0)) - (true - true.mean(axis=0))
    assert left - left.mean(axis=1, keepdims=True) == pytest.approx(0, abs=0.01)
    assert left == pytest.approx(0, abs=0.05)


def test_no_response_is_invented(result: Calibration) -> None:
    levels = np.linspace(0, 255, 256)
    assert np.abs(light.respond(result.after.lenses[0].photometry.response, levels) - levels).max() < 2.5


def test_lenses_disagree_less(result: Calibration) -> None:
    assert result.disagreement_before > 0.03
    assert result.disagreement_after < 0.3 * result.disagreement_before


def test_panoramas_agree_better_with_the_estimated_rig(drive: Path, result: Calibration, tmp_path: Path) -> None:
    frames = {lens.name: jpeg.decode((drive / "000004" / f"{lens.name}.jpg").read_bytes()) for lens in TRUTH.lenses}
    recipe = StitchRecipe(width=512)
    before, after = (
        stitch(frames, rig, recipe, tables.load(rig, recipe, tmp_path)).quality.overlap_difference
        for rig in (BLANK, result.after)
    )
    assert after < 0.8 * before


def test_the_new_rig_has_a_name_of_its_own_and_the_old_geometry(result: Calibration) -> None:
    assert result.after.rig_id.startswith("blank-p")
    assert [lens.intrinsics for lens in result.after.lenses] == [lens.intrinsics for lens in BLANK.lenses]
    again = calibrate.renamed(result.after, tuple(Photometry() for _ in TRUTH.lenses))
    assert len(again.rig_id) == len(result.after.rig_id)
    assert again.rig_id != result.after.rig_id


def test_a_long_name_stays_within_what_a_rig_id_may_be() -> None:
    rig = BLANK.model_copy(update={"rig_id": "r" * 64})
    renamed = calibrate.renamed(rig, tuple(Photometry() for _ in TRUTH.lenses))
    assert Rig.model_validate(renamed.model_dump()) == renamed


def test_the_command_writes_a_rig_a_table_and_a_picture(drive: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "new.json", tmp_path / "fall-off.png"
    arguments = ["rig", "calibrate-photometry", str(drive), "--captures", "3", "--out", str(out), "--picture", str(picture)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert Rig.model_validate_json(out.read_text()).rig_id in told.output
    assert "power law" in told.output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_damaged_capture_is_told_of_and_left_out(drive: Path, tmp_path: Path) -> None:
    for name in ("000000", "000001", "000002", "000003"):
        (tmp_path / name).symlink_to(drive / name)
    (tmp_path / "000004").mkdir()
    (tmp_path / "000004" / "capture.json").write_text("{")
    troubles: dict[str, str] = {}
    captures = overlaps.chosen(tmp_path, 24)
    assert len(overlaps.sampled(captures, BLANK, troubles.__setitem__)) == 4
    assert "bad_manifest" in troubles["000004"]


def test_a_folder_without_a_rig_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no rig\.json"):
        calibrate.calibrate(tmp_path, None, 24, _nothing)


def test_too_few_captures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rig.json").write_text(BLANK.model_dump_json())
    with pytest.raises(Misconfigured, match="holds 0 captures"):
        calibrate.calibrate(tmp_path, None, 24, _nothing)


def test_lenses_that_do_not_overlap_are_refused(drive: Path) -> None:
    apart = BLANK.model_copy(update={"lenses": (BLANK.lenses[0],)})
    with pytest.raises(Misconfigured, match="no two lenses"):
        overlaps.sampled(overlaps.chosen(drive, 24), apart, _nothing)


def test_a_rig_file_may_be_named(drive: Path, tmp_path: Path) -> None:
    named = tmp_path / "named.json"
    named.write_text(json.dumps(json.loads(BLANK.model_dump_json()) | {"rig_id": "named"}))
    assert calibrate.calibrate(drive, named, 3, _nothing).after.rig_id.startswith("named-p")
