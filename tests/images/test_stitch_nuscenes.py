"""A real rig: six cameras of one instant, metres apart. Skipped where the imagery is not there."""

from pathlib import Path

import pytest

from console.rigs import importers, show
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.pixels import jpeg
from services.stitcher import tables
from services.stitcher.stitch import Panorama, stitch

SAMPLE = Path(__file__).parents[2] / ".." / "shared" / "eval" / "rigs" / "nuscenes6"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs the nuScenes sample in ../shared/eval")

RECIPE = StitchRecipe(width=2048, proxy_distance=50)


@pytest.fixture(scope="module", name="drive")
def a_drive_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drive")
    importers.nuscenes_drive(SAMPLE, out, "nuscenes", "mini")
    return out


def _stitched(drive: Path, rig: Rig, recipe: StitchRecipe) -> Panorama:
    frames = {lens.name: jpeg.decode((drive / "000001" / f"{lens.name}.jpg").read_bytes()) for lens in rig.lenses}
    return stitch(frames, rig, recipe, tables.load(rig, recipe, drive / "tables"))


def test_the_rig_sees_the_whole_street() -> None:
    view = show.describe(importers.load_rig(SAMPLE))
    assert view.street_coverage > 0.99
    assert 0.3 < view.coverage < 0.37
    yaws = {lens.name: lens.yaw for lens in view.lenses}
    assert abs(yaws["CAM_FRONT"]) < 2
    assert yaws["CAM_FRONT_RIGHT"] == pytest.approx(55, abs=3)
    assert yaws["CAM_BACK_LEFT"] == pytest.approx(-110, abs=3)


def test_lenses_agree_better_for_matched_exposure_and_known_places(drive: Path) -> None:
    rig = importers.load_rig(drive / "rig.json")
    best = _stitched(drive, rig, RECIPE).quality
    unmatched = _stitched(drive, rig, RECIPE.model_copy(update={"exposure_match": False})).quality
    at_one_point = tuple(lens.model_copy(update={"position": (0.0, 0.0, 0.0)}) for lens in rig.lenses)
    placeless = _stitched(drive, rig.model_copy(update={"lenses": at_one_point}), RECIPE).quality
    assert best.coverage > 0.3
    assert best.overlap_difference < 30
    assert best.overlap_difference < unmatched.overlap_difference
    assert best.overlap_difference < placeless.overlap_difference
    assert best.sharpness > 100
