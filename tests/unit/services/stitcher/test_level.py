from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.messages import Pose
from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import KannalaBrandt, Lens, Rig
from panoveil.pixels import equirect
from panoveil.pixels.lenses import NOWHERE
from services.stitcher import tables
from services.stitcher.level import angles, attitude, levelled, pose_after, turn_of, upright
from services.stitcher.sheets import raise_nodes
from services.stitcher.stitch import stitch
from services.stitcher.tables import Tables
from simulator.rigs import demo_rig
from simulator.street import Street
from simulator.worlds import centred
from tests.unit.services.stitcher import virtual

RECIPE = StitchRecipe(width=512, mode="fast")
NORTH = RECIPE.model_copy(update={"north": True})
RIGHT, DOWN, AHEAD = np.eye(3)
POSES = [(0.0, 0.0, 20.0), (0.0, -15.0, 0.0), (170.0, 5.0, -3.0), (40.0, -15.0, 20.0), (0.0, 88.0, 0.0), (250.0, 1.0, 1.0)]
RIGS = {"ring": virtual.ring(), "dual": virtual.dual_fisheye()}

heading, pitch, roll = st.floats(0, 359.9), st.floats(-89, 89), st.floats(-179, 179)


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def _pose(heading: float | None = None, pitch: float | None = None, roll: float | None = None) -> Pose:
    return Pose(latitude=55.4, longitude=10.4, heading=heading, pitch=pitch, roll=roll)


def _degrees_up(ray: NDArray[np.floating[Any]]) -> float:
    return float(np.degrees(equirect.to_angles(ray)[1]))


def test_a_car_that_heads_east_has_east_ahead_and_south_to_its_right() -> None:
    np.testing.assert_allclose(attitude(90, 0, 0) @ AHEAD, RIGHT, atol=1e-12)
    np.testing.assert_allclose(attitude(90, 0, 0) @ RIGHT, -AHEAD, atol=1e-12)


def test_a_car_with_its_nose_up_sees_what_is_level_below_its_own_horizon() -> None:
    assert _degrees_up(attitude(0, 5, 0) @ AHEAD) == pytest.approx(5)
    assert _degrees_up(attitude(0, 5, 0).T @ AHEAD) == pytest.approx(-5)


def test_a_car_that_leans_to_the_right_has_its_right_below_the_horizon() -> None:
    assert _degrees_up(attitude(0, 0, 7) @ RIGHT) == pytest.approx(-7)
    assert _degrees_up(attitude(0, 0, 7) @ AHEAD) == pytest.approx(0)


def test_heading_comes_first_then_pitch_then_roll() -> None:
    whole = attitude(30, 10, 20)
    np.testing.assert_allclose(whole, attitude(30, 0, 0) @ attitude(0, 10, 0) @ attitude(0, 0, 20), atol=1e-12)
    yaw, up = equirect.to_angles(whole @ AHEAD)
    assert np.degrees([yaw, up]) == pytest.approx([30, 10], abs=1e-4)


@given(heading, pitch, roll)
def test_an_attitude_is_a_rotation_and_says_its_angles(heading: float, pitch: float, roll: float) -> None:
    turned = attitude(heading, pitch, roll)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turned) == pytest.approx(1)
    np.testing.assert_allclose(attitude(*angles(turned)), turned, atol=1e-7)


@given(heading, pitch, roll)
def test_a_panorama_turned_by_its_pose_is_level_and_keeps_or_loses_its_heading(heading: float, pitch: float, roll: float) -> None:
    pose = _pose(heading, pitch, roll)
    if (turn := turn_of(pose, RECIPE)) is not None:
        after = pose_after(pose, turn)
        assert (after.pitch, after.roll) == (0, 0)
        assert after.heading == pytest.approx(heading, abs=1e-5)
    if (turn := turn_of(pose, NORTH)) is not None:
        after = pose_after(pose, turn)
        assert (after.heading, after.pitch, after.roll) == (0, 0, 0)


@pytest.mark.parametrize(
    ("pose", "recipe"),
    [
        (_pose(), NORTH),
        (_pose(12.0, 3.0), RECIPE),
        (_pose(12.0, None, 3.0), RECIPE),
        (_pose(12.0, 0.01, -0.01), RECIPE),
        (_pose(12.0, 5.0, 5.0), RECIPE.model_copy(update={"level": False})),
        (_pose(0.0, 0.0, 0.0), NORTH),
    ],
)
def test_what_is_unknown_unwanted_or_nothing_turns_nothing(pose: Pose, recipe: StitchRecipe) -> None:
    assert turn_of(pose, recipe) is None
    assert pose_after(pose, None) == pose


def test_a_heading_alone_turns_north_and_nothing_else() -> None:
    pose = _pose(heading=90.0)
    turn = turn_of(pose, NORTH)
    assert turn is not None
    np.testing.assert_allclose(turn @ AHEAD, -RIGHT, atol=1e-12)
    assert pose_after(pose, turn) == _pose(heading=0.0)


def test_north_without_level_says_how_the_panorama_leans_then() -> None:
    """Nose up by 4° and heading east: seen towards north, where its left was, the right side of the panorama is up."""
    after = pose_after(pose := _pose(90.0, 4.0, 0.0), turn_of(pose, NORTH.model_copy(update={"level": False})))
    assert (after.heading, after.pitch, after.roll) == pytest.approx((0, 0, -4))


def _known(drawn: Tables) -> NDArray[np.bool_]:
    """Return which pixels some lens sees entirely."""
    whole = cv2.erode(drawn.nodes.shares.sum(axis=0), np.ones((3, 3)))
    return np.asarray(_raised(whole, drawn) > 0.999)


def _raised(nodes: NDArray[Any], drawn: Tables) -> NDArray[Any]:
    step = drawn.step
    return np.asarray(raise_nodes(nodes, step, slice(0, drawn.height // step), slice(0, drawn.width // step)))


def _stitched_psnr(
    rig: Rig, pose: tuple[float, float, float], recipe: StitchRecipe, cache: Path, *, exact: bool = False
) -> float:
    """Stitch what a rig so held sees of the known world; `exact`, by tables made for that attitude instead of turned ones."""
    held = virtual.tilted(rig, attitude(*pose))
    images = {lens.name: virtual.render(lens) for lens in held.lenses}
    turn = None if exact else turn_of(_pose(*pose), recipe)
    loaded = tables.load(held if exact else rig, recipe, cache)
    known = _known(levelled(loaded, turn, recipe))
    assert known.mean() > 0.5
    image = stitch(images, held if exact else rig, recipe, loaded, turn=turn).image
    return virtual.psnr(image[known], virtual.truth(recipe.width)[known])


@pytest.mark.parametrize("name", RIGS)
@pytest.mark.parametrize("pose", POSES)
def test_whichever_way_the_rig_is_held_the_world_comes_out_upright(
    name: str, pose: tuple[float, float, float], cache: Path
) -> None:
    level = _stitched_psnr(RIGS[name], (0.0, 0.0, 0.0), NORTH, cache)
    assert _stitched_psnr(RIGS[name], pose, NORTH, cache) > level - 0.5 > 56


@pytest.mark.parametrize("pose", POSES[:4])
def test_near_things_at_seams_are_drawn_from_between_in_turned_tables_too(pose: tuple[float, float, float], cache: Path) -> None:
    recipe = NORTH.model_copy(update={"mode": "best"})
    rig = RIGS["ring"]
    assert len(levelled(tables.load(rig, recipe, cache), turn_of(_pose(*pose), recipe), recipe).zones) > 3
    assert _stitched_psnr(rig, pose, recipe, cache) > _stitched_psnr(rig, pose, recipe, cache, exact=True) - 1 > 52


def _between(drawn: Tables) -> NDArray[np.float32]:
    """Return how far between their lenses the zones put the rig's centre, [h, w] on the nodes of the panorama; NaN where none is."""
    width = drawn.width // drawn.step
    whole = np.full((width // 2, width), np.nan, np.float32)
    for zone in drawn.zones:
        columns = np.arange(zone.left, zone.left + zone.columns) % width
        whole[np.ix_(np.arange(zone.top, zone.top + zone.rows), columns)] = zone.between[1:-1, 1:-1]
    return whole


def test_zones_of_turned_tables_know_where_the_centre_is_between_their_lenses(cache: Path) -> None:
    recipe, rig, turned = RECIPE.model_copy(update={"mode": "best"}), demo_rig(512), attitude(30, 0, 20)
    ours = _between(levelled(tables.load(rig, recipe, cache), turned.T, recipe))
    exact = _between(tables.load(virtual.tilted(rig, turned), recipe, cache))
    both = ~np.isnan(ours) & ~np.isnan(exact)
    assert both.mean() > 0.05
    assert np.ptp(ours[both]) > 0.1
    assert np.abs(ours - exact)[both].max() < 0.01


def test_unlevelled_the_same_world_is_far_off(cache: Path) -> None:
    off = RECIPE.model_copy(update={"level": False})
    assert _stitched_psnr(RIGS["dual"], (0.0, 2.0, 1.0), off, cache) < 32
    assert _stitched_psnr(RIGS["dual"], (0.0, 2.0, 1.0), RECIPE, cache) > 56


@pytest.mark.parametrize(("rig", "width"), [(RIGS["ring"], 512), (RIGS["dual"], 1024), (centred(demo_rig(4096)), 4096)])
@pytest.mark.parametrize("pose", POSES)
def test_turned_maps_are_those_of_a_rig_so_held(rig: Rig, width: int, pose: tuple[float, float, float], cache: Path) -> None:
    """To a fiftieth of a lens's pixel, most to a two-hundredth."""
    recipe = NORTH.model_copy(update={"width": width})
    turned = levelled(tables.load(rig, recipe, cache), turn_of(_pose(*pose), recipe), recipe).nodes
    exact = tables.load(virtual.tilted(rig, attitude(*pose)), recipe, cache).nodes
    both = (turned.shares > 0) & (exact.shares > 0)
    astray = np.abs(turned.maps - exact.maps).max(axis=-1)[both]
    assert both.mean() > 0.1
    assert astray.max() < 0.02
    assert astray.mean() < 0.005


def test_shares_still_make_one(cache: Path) -> None:
    turned = levelled(tables.load(RIGS["dual"], RECIPE, cache), attitude(40, -15, 20).T, RECIPE)
    np.testing.assert_allclose(turned.nodes.shares.sum(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize("aims", [(20.0, 35.0), (-60.0, 50.0), (150.0, -40.0), (10.0, 60.0)])
@pytest.mark.parametrize("pose", [(0.0, 0.0, 20.0), (30.0, 40.0, -20.0), (77.0, -60.0, 130.0)])
def test_nothing_is_drawn_from_between_what_a_lens_images_and_what_it_cannot(
    aims: tuple[float, float], pose: tuple[float, float, float], tmp_path: Path
) -> None:
    """Round a node with a share, whose map leads nowhere? Near the poles columns are close, so three of them are no margin."""
    model = KannalaBrandt(fx=75, fy=75, cx=149.5, cy=149.5, max_theta=1.05)
    lens = Lens(name="cap", width=300, height=300, intrinsics=model, rotation=virtual.turned(*aims))
    rig = Rig(rig_id="cap", lenses=(lens,))
    nodes = levelled(tables.load(rig, RECIPE, tmp_path), attitude(*pose).T, RECIPE).nodes
    nowhere = cv2.dilate((nodes.maps[0, ..., 0] < -50).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
    assert nodes.maps.min() == NOWHERE
    assert not (nowhere & (nodes.shares[0, 1:-1, 1:-1] > 0)).any()


def test_the_backdrop_is_turned_too() -> None:
    turned = attitude(40, -15, 20)
    held = virtual.world(equirect.rays(256) @ turned.T.astype(np.float32)).astype(np.float32)
    assert virtual.psnr(upright(held, turned.T), virtual.truth(256)) > 50
    assert virtual.psnr(held, virtual.truth(256)) < 20


def test_what_no_lens_sees_above_and_beneath_a_leaning_car_is_filled_smoothly(cache: Path) -> None:
    rig, turn = RIGS["ring"], attitude(0, 0, 20).T
    loaded = tables.load(rig, RECIPE, cache)
    image = stitch(virtual.frames(rig), rig, RECIPE, loaded, turn=turn).image.astype(int)
    drawn = levelled(loaded, turn, RECIPE)
    unseen = _raised(drawn.nodes.shares.sum(axis=0), drawn) < 0.001
    away = np.minimum(_from(attitude(0, 0, 20) @ DOWN, 512), _from(attitude(0, 0, 20) @ -DOWN, 512))
    assert unseen[away < 20].all()
    assert not unseen[away > 50].any()
    unturned = stitch(virtual.frames(rig), rig, RECIPE, loaded).image.astype(np.float32)
    inside = unseen & (away < 30)
    assert np.abs(image - upright(unturned, turn))[inside].max() < 5
    assert np.abs(image - unturned)[inside].max() > 10


@pytest.mark.parametrize("pose", [_pose(), _pose(30.0, None, 4.0), _pose(30.0, 0.005, 0.0)])
def test_a_capture_of_unknown_angles_is_the_same_to_the_byte_as_one_that_is_not_to_be_levelled(pose: Pose, cache: Path) -> None:
    rig, loaded = RIGS["ring"], tables.load(RIGS["ring"], RECIPE, cache)
    images = [
        stitch(virtual.frames(rig), rig, recipe, loaded, turn=turn_of(pose, recipe)).image
        for recipe in (RECIPE, RECIPE.model_copy(update={"level": False}))
    ]
    assert images[0].tobytes() == images[1].tobytes()


def _from(axis: NDArray[np.float64], width: int) -> NDArray[np.floating[Any]]:
    return np.degrees(np.arccos(np.clip(equirect.rays(width) @ axis, -1, 1)))


@pytest.mark.parametrize("pose", [(0.0, 0.0, 20.0), (0.0, -15.0, 5.0)])
def test_the_cap_stays_under_the_car(pose: tuple[float, float, float], cache: Path) -> None:
    capped = RECIPE.model_copy(update={"nadir_cap": 30.0})
    turned = levelled(tables.load(RIGS["dual"], capped, cache), turn_of(_pose(*pose), capped), capped)
    shares = turned.nodes.shares.sum(axis=0)[1:-1, 1:-1]
    from_car = _from(attitude(0, *pose[1:]) @ DOWN, 512)
    assert shares[from_car < 29].max() < 1e-4
    assert shares[from_car > 32].min() > 0.999
    under_the_panorama = shares[_from(DOWN, 512) < 29]
    assert under_the_panorama.max() > 0.999


MODES: list[Literal["fast", "best"]] = ["fast", "best"]


@pytest.mark.parametrize("mode", MODES)
def test_what_the_rig_knows_stays_in_its_own_frame(mode: Literal["fast", "best"], cache: Path) -> None:
    recipe = RECIPE.model_copy(update={"mode": mode})
    loaded = tables.load(RIGS["ring"], recipe, cache)
    turned = levelled(loaded, attitude(0, 10, 0).T, recipe)
    assert turned.overview is loaded.overview
    assert levelled(loaded, None, recipe) is loaded


def test_a_street_from_a_leaning_car_looks_as_from_a_level_one(cache: Path) -> None:
    """Down to where the road is no longer seen: the leaning car sees other parts of it."""
    rig, recipe = demo_rig(512), StitchRecipe(width=512)
    loaded = tables.load(rig, recipe, cache)
    straight, leaning = (Street(5, 1, 512, tilt=tilt) for tilt in (0.0, 4.0))
    station = leaning.station(0)
    lean = _pose(0.0, float(np.degrees(station.pitch)), float(np.degrees(station.roll)))
    level, levelled_, left = (
        stitch({lens.name: world.frame(rig, lens, 0) for lens in rig.lenses}, rig, recipe, loaded, turn=turn).image[60:170]
        for world, turn in ((straight, None), (leaning, turn_of(lean, recipe)), (leaning, None))
    )
    assert virtual.psnr(levelled_.astype(float), level.astype(float)) > 27
    assert virtual.psnr(left.astype(float), level.astype(float)) < 20
