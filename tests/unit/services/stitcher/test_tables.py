from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Photometry, Rig
from panoveil.pixels import equirect, lenses
from services.stitcher import proxy, tables
from services.stitcher.sheets import raise_nodes
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
    assert [one.runs for one in found] == [found[0].runs] * 3
    assert [path.name for path in tmp_path.iterdir()] == [tables.key(virtual.ring(2), RECIPE)]


@pytest.mark.parametrize("victim", ["plan.json", "nodes.shares.npy", "overview.maps.npy"])
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


@pytest.mark.parametrize("width", [512, 1024, 4096])
def test_maps_lie_inside_the_images_wherever_a_lens_has_a_share(tmp_path: Path, width: int) -> None:
    rig = virtual.dual_fisheye()
    built = tables.load(rig, RECIPE.model_copy(update={"width": width}), tmp_path)
    rows, columns = slice(0, built.height), slice(0, width)
    for index, lens in enumerate(rig.lenses):
        fixed, _ = built.sheet(index).map(rows, columns)
        used = fixed[built.sheet(index).shares(rows, columns) > 0]
        assert used.min() >= 0
        assert (used < (lens.width, lens.height)).all()


def test_every_pixel_maps_to_where_the_lens_sees_it_to_a_twentieth_of_a_pixel(tmp_path: Path) -> None:
    """Against the projection itself, computed for every pixel instead of every node."""
    rig, recipe = virtual.ring(size=1000), RECIPE.model_copy(update={"width": 8192})
    built = tables.load(rig, recipe, tmp_path)
    assert built.step == 8
    rows, columns = slice(1920, 2048), slice(0, 8192)
    points = proxy.points(equirect.rays(8192)[rows], rig.height_above_ground, recipe.proxy_distance)
    for index, lens in enumerate(rig.lenses):
        exact, _ = lenses.project(lens.intrinsics, points @ np.asarray(lens.rotation, np.float32))
        sheet = built.sheet(index)
        raised = raise_nodes(sheet.maps, 8, slice(240, 256), slice(0, 1024))
        astray = np.abs(raised - exact).max(axis=-1)[sheet.shares(rows, columns) > 0]
        assert astray.size > 10_000
        assert astray.max() < 0.05


def test_vignetting_is_undone_from_a_table_of_the_reduced_frame(tmp_path: Path) -> None:
    rig = virtual.ring(2, size=1000, photometry=Photometry(vignetting=(-0.3, 0.05, 0.0)))
    shade = tables.load(rig, RECIPE, tmp_path).shades[0]
    assert shade is not None
    assert shade.pixels.shape == (250, 250)
    assert (shade.pixels[125, 125] >> 8) * shade.peak / 255 == pytest.approx(1, abs=0.01)
    assert (shade.pixels[0, 0] >> 8) * shade.peak / 255 == pytest.approx(1 / (1 - 0.3 + 0.05), rel=0.02)


def test_the_cap_hides_what_is_beneath_and_nothing_else(tmp_path: Path) -> None:
    whole = tables.load(virtual.dual_fisheye(), RECIPE, tmp_path).overview.shares.sum(axis=0)
    capped = tables.load(virtual.dual_fisheye(), RECIPE.model_copy(update={"nadir_cap": 30.0}), tmp_path).overview.shares.sum(
        axis=0
    )
    from_nadir = 180 - (np.arange(256) + 0.5) / 256 * 180
    assert (capped[from_nadir < 29] == 0).all()
    np.testing.assert_array_equal(capped[from_nadir > 32], whole[from_nadir > 32])
    assert whole[from_nadir < 29].mean() > 0.9


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
