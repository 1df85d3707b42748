from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from services.stitcher import tables
from tests.unit.services.stitcher import virtual

RECIPE = StitchRecipe(width=512)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_tables_are_built_once(tmp_path: Path) -> None:
    rig = virtual.ring()
    tables.load(rig, RECIPE, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    tables.load(rig, RECIPE, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_tables_are_byte_identical_wherever_they_are_built(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tables.load(virtual.ring(), RECIPE, tmp_path / name)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")


def test_several_builders_at_once_leave_one_whole_table(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: tables.load(virtual.ring(2), RECIPE, tmp_path), range(3)))
    assert [len(one.patches) for one in found] == [len(found[0].patches)] * 3
    assert [path.name for path in tmp_path.iterdir()] == [tables.key(virtual.ring(2), RECIPE)]


@pytest.mark.parametrize("victim", ["plan.json", "patch0.alpha.npy", "overview.maps.npy"])
@pytest.mark.parametrize("left", [0, 100])
def test_damaged_tables_are_built_anew(tmp_path: Path, victim: str, left: int) -> None:
    tables.load(virtual.ring(2), RECIPE, tmp_path)
    whole = _bytes(tmp_path)
    (damaged,) = tmp_path.rglob(victim)
    damaged.write_bytes(damaged.read_bytes()[:left])
    tables.load(virtual.ring(2), RECIPE, tmp_path)
    assert _bytes(tmp_path) == whole


def test_the_key_follows_what_decides_the_tables_and_nothing_else() -> None:
    rig = virtual.ring()
    same = [RECIPE, RECIPE.model_copy(update={"jpeg_quality": 80}), RECIPE.model_copy(update={"exposure_match": False})]
    assert len({tables.key(rig, recipe) for recipe in same}) == 1
    others = [RECIPE.model_copy(update=change) for change in ({"width": 1024}, {"seam_width": 5.0}, {"proxy_distance": 20.0})]
    higher = rig.model_copy(update={"height_above_ground": 3.0})
    assert len({tables.key(rig, recipe) for recipe in [RECIPE, *others]} | {tables.key(higher, RECIPE)}) == 5


def test_patches_lie_inside_the_panorama_and_maps_inside_the_images(tmp_path: Path) -> None:
    rig = virtual.dual_fisheye()
    built = tables.load(rig, RECIPE, tmp_path)
    assert built.height == 256
    for patch in built.patches:
        height, width = patch.alpha.shape
        assert 0 <= patch.x <= patch.x + width <= 512
        assert 0 <= patch.y <= patch.y + height <= 256
        used = patch.fixed[patch.alpha > 0]
        lens = rig.lenses[patch.lens]
        assert used.min() >= 0
        assert (used < (lens.width, lens.height)).all()


def test_a_lens_that_looks_backwards_has_a_patch_at_either_end(tmp_path: Path) -> None:
    built = tables.load(virtual.dual_fisheye(), RECIPE, tmp_path)
    back = [patch for patch in built.patches if built.lenses[patch.lens] == "back"]
    assert max(patch.x + patch.alpha.shape[1] for patch in back) == 512
    assert min(patch.x for patch in back) == 0


def test_runs_cover_exactly_where_alpha_is(tmp_path: Path) -> None:
    for patch in tables.load(virtual.ring(3), RECIPE, tmp_path).patches:
        covered = np.zeros(patch.alpha.shape, bool)
        for row, runs in patch.runs.items():
            for run in runs:
                assert row <= patch.y + run.top < patch.y + run.bottom <= row + tables.STRIP
                covered[run.top : run.bottom, run.left : run.right] = True
                assert not run.opaque or (patch.alpha[run.top : run.bottom, run.left : run.right] == 255).all()
        assert covered[patch.alpha > 0].all()


def test_a_fine_lens_is_reduced_before_it_is_sampled(tmp_path: Path) -> None:
    assert tables.load(virtual.ring(2, size=200), RECIPE, tmp_path).reduction == (1, 1)
    assert tables.load(virtual.ring(2, size=1000), RECIPE, tmp_path).reduction == (4, 4)


def test_a_rig_that_sees_nothing_is_refused(tmp_path: Path) -> None:
    lens = virtual.ring(1).lenses[0]
    beside = lens.intrinsics.model_copy(update={"cx": -9000.0})
    blind = Rig(rig_id="blind", lenses=(lens.model_copy(update={"intrinsics": beside}),))
    with pytest.raises(Rejected) as caught:
        tables.load(blind, RECIPE, tmp_path)
    assert caught.value.reason == Reason.UNKNOWN_RIG
    assert list(tmp_path.iterdir()) == []
