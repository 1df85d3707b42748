"""Real calibrations of other houses: what imports as it is, and what a person must add."""

from pathlib import Path

import numpy as np
import pytest

from console.rigs import importers, show
from console.rigs.importers import Axes, LensModel, Wish
from panoveil.contracts.errors import Misconfigured
from panoveil.contracts.rig import KannalaBrandt
from panoveil.pixels import lenses

SAMPLES = Path(__file__).parents[5] / ".." / "shared" / "eval" / "rigs"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the sample rigs in ../shared/eval")


def test_nuscenes_needs_nothing() -> None:
    imported = importers.import_rig(SAMPLES / "nuscenes6")
    assert imported.notices == ()
    assert len(imported.rig.lenses) == 6
    assert 1.4 < imported.rig.height_above_ground < 1.7


def test_birdview_needs_its_model_and_a_layout() -> None:
    path, images = SAMPLES / "birdview4_fisheye" / "yaml", SAMPLES / "birdview4_fisheye" / "images"
    with pytest.raises(Misconfigured, match="--lens-model"):
        importers.load_rig(path)
    with pytest.raises(Misconfigured, match="--yaws back=DEGREES,front=DEGREES"):
        importers.load_rig(path, Wish(lens_model=LensModel.FISHEYE))
    poses = importers.poses_of_yaws("front=0,right=90,back=180,left=-90")
    rig = importers.import_rig(path, Wish(lens_model=LensModel.FISHEYE, poses=poses), images).rig
    assert show.describe(rig).street_coverage == 1
    assert {(lens.width, lens.height) for lens in rig.lenses} == {(960, 640)}


def test_synthetic_fisheyes_need_their_model_and_axes() -> None:
    path = SAMPLES / "synthetic4_fisheye"
    imported = importers.import_rig(path, Wish(lens_model=LensModel.FISHEYE, axes=Axes.EGO), path)
    yaws = {lens.name: lens.yaw for lens in show.describe(imported.rig).lenses}
    assert {name: round(yaw) % 360 for name, yaw in yaws.items()} == {"front": 0, "right": 90, "back": 180, "left": 270}
    assert 0.9 < imported.rig.height_above_ground < 1.2
    assert any("taken to lie on the road" in notice for notice in imported.notices)


def test_double_spheres_need_a_layout() -> None:
    rig = importers.load_rig(SAMPLES / "gear360_calib", Wish(poses=importers.poses_of_yaws("front=0,back=180")))
    assert show.describe(rig).coverage == 1
    for lens in rig.lenses:
        assert isinstance(lens.intrinsics, KannalaBrandt)
        ray = lenses.unproject(lens.intrinsics, np.array([lens.intrinsics.cx + 1000, lens.intrinsics.cy]))
        assert np.degrees(np.arccos(ray[2])) == pytest.approx(53.6, abs=1)


def test_pictures_alone_are_no_calibration() -> None:
    with pytest.raises(Misconfigured, match="holds no calibration"):
        importers.load_rig(SAMPLES / "dual_fisheye_ggbby")
