"""The street that zones tell of, in front of walls whose distances are known."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.pixels import equirect
from services.stitcher import level, proxy, scene, tables
from services.stitcher.scene import RISES, Street
from services.stitcher.tables import Tables
from simulator.painted import Layout, Painted
from simulator.rigs import demo_rig
from tests.unit.services.stitcher import virtual, walls
from tests.unit.services.stitcher.walls import Floats, Image

WIDTH, HEIGHT, PROXY = 1024, 2.5, 15.0
RECIPE = StitchRecipe(width=WIDTH, proxy_distance=PROXY)
RIG = demo_rig(WIDTH)
ENDLESS = 60.0
ASSUMED = (1 / PROXY,) * len(RISES)


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module", name="demo")
def tables_of_the_demo_rig(cache: Path) -> Tables:
    return tables.load(RIG, RECIPE, cache)


@lru_cache(maxsize=4)
def _photograph() -> Image:
    return walls.textured(2 * WIDTH, seed=1, grain=2)


def _frames(left: float, right: float, wall: float = 30.0, rig: Rig = RIG, photograph: Image | None = None) -> list[Image]:
    """Return what a rig sees between two walls of a height above the road."""
    world = Painted([_photograph() if photograph is None else photograph], Layout(left, right, wall=wall, blocks=()))
    return [world.frame(rig, lens, 0) for lens in rig.lenses]


def _fitted_street(known: Tables, frames: list[Image]) -> Street:
    street = scene.fit(known, walls.lumas(frames, known), HEIGHT, PROXY)
    assert street is not None
    return street


def _moved(rig: Rig, by: float) -> Rig:
    """Return a rig with its lenses `by` times as far from its centre."""
    places = [tuple(by * axis for axis in lens.position) for lens in rig.lenses]
    lenses = [lens.model_copy(update={"position": place}) for lens, place in zip(rig.lenses, places, strict=True)]
    return rig.model_copy(update={"lenses": tuple(lenses)})


@pytest.mark.parametrize(("left", "right"), [(4, 4), (5, 8), (12, 6), (4, 12), (10, 10)])
def test_walls_are_found_where_they_are(demo: Tables, left: float, right: float) -> None:
    street = _fitted_street(demo, _frames(left, right))
    assert street.left == pytest.approx((1 / left,) * len(RISES), rel=0.15)
    assert street.right == pytest.approx((1 / right,) * len(RISES), rel=0.15)


def test_walls_that_end_are_given_up_above(demo: Tables) -> None:
    """They rise 3.5 m above the rig, at 5 and at 9 m: by 0.7 and by 0.4 of their distances."""
    street = _fitted_street(demo, _frames(5.0, 9.0, wall=6.0))
    assert street.left[:2] == pytest.approx((1 / 5,) * 2, rel=0.15)
    assert street.right[0] == pytest.approx(1 / 9, rel=0.15)
    assert max(street.left[3:] + street.right[2:]) < 1 / 50


def test_a_turned_panorama_tells_of_the_same_street(demo: Tables) -> None:
    frames = _frames(5.0, 8.0)
    plain = _fitted_street(demo, frames)
    turned = _fitted_street(level.levelled(demo, level.attitude(0, 5, -4).T, RECIPE), frames)
    assert turned.left == pytest.approx(plain.left, rel=0.15)
    assert turned.right == pytest.approx(plain.right, rel=0.15)


def test_walls_without_texture_leave_the_street_as_assumed(demo: Tables) -> None:
    blank = np.full((WIDTH, 2 * WIDTH, 3), 140, np.uint8)
    assert _fitted_street(demo, _frames(5.0, 5.0, photograph=blank)) == Street(ASSUMED, ASSUMED)


def test_lenses_at_the_centre_see_no_depth(cache: Path) -> None:
    rig = _moved(RIG, 0.0)
    street = _fitted_street(tables.load(rig, RECIPE, cache), _frames(5.0, 5.0, rig=rig))
    assert street.left + street.right == pytest.approx(2 * ASSUMED)


def test_lenses_far_apart_tell_nothing(cache: Path) -> None:
    rig = _moved(RIG, 10.0)
    known = tables.load(rig, RECIPE, cache)
    assert scene.fit(known, walls.lumas(_world_frames(rig), known), HEIGHT, PROXY) is None


def _world_frames(rig: Rig) -> list[Image]:
    return list(virtual.frames(rig).values())


def test_a_rig_without_zones_tells_nothing(cache: Path) -> None:
    rig = virtual.ring(2)
    known = tables.load(rig, RECIPE, cache)
    assert scene.fit(known, walls.lumas(_world_frames(rig), known), HEIGHT, PROXY) is None


def _inside(image: Image, known: Tables) -> Floats:
    """Return the pixels near the horizon that one lens draws alone, where no seam is near."""
    alone = known.nodes.shares[:, 1:-1, 1:-1].max(axis=0) == 1
    alone &= ~cv2.dilate((~alone).astype(np.uint8), np.ones((1, 25), np.uint8)).astype(bool)
    pitch = 90 - (np.arange(WIDTH // 2) + 0.5) * 360 / WIDTH
    return np.asarray(image[alone & (np.abs(pitch) < 25)[:, None]], np.float64)


@pytest.mark.parametrize(("left", "right"), [(4.0, 4.0), (5.0, 8.0), (12.0, 6.0)])
def test_inside_lenses_the_true_street_is_nearer_to_the_truth(demo: Tables, left: float, right: float) -> None:
    frames = _frames(left, right)
    size = (WIDTH, WIDTH // 2)
    truth = np.asarray(cv2.resize(_photograph(), size, interpolation=cv2.INTER_AREA), np.uint8)
    street = Street((1 / left,) * len(RISES), (1 / right,) * len(RISES))
    before, after = (
        virtual.psnr(_inside(walls.composed(frames, known), demo), _inside(truth, demo))
        for known in (demo, scene.fitted(demo, street, HEIGHT, PROXY))
    )
    assert after > before + 4


def test_fitting_moves_nothing_where_the_street_is_as_assumed(demo: Tables) -> None:
    """Straight to the side a wall at the proxy's distance is where the proxy is."""
    moved = scene.fitted(demo, Street(ASSUMED, ASSUMED), HEIGHT, PROXY)
    row, aside = WIDTH // 4, [WIDTH // 4, 3 * WIDTH // 4]
    lenses = demo.nodes.shares[:, row, aside].argmax(axis=0)
    place = lenses, row, aside
    np.testing.assert_allclose(moved.nodes.maps[place], demo.nodes.maps[place], atol=0.05)


def test_fitting_moves_a_node_to_where_the_lens_sees_the_wall(demo: Tables) -> None:
    """Against tables of a proxy as near as the wall, on the horizon straight to the side."""
    street = Street((1 / 5,) * len(RISES), (1 / 5,) * len(RISES))
    moved = scene.fitted(demo, street, HEIGHT, PROXY).nodes.maps
    row = WIDTH // 4
    for column in (WIDTH // 4, 3 * WIDTH // 4):
        lens = int(demo.nodes.shares[:, row, column].argmax())
        ray = equirect.rays(WIDTH)[row - 1, column - 1]
        exact = tables._through(RIG.lenses[lens], proxy.points(ray[None, None], HEIGHT, 5.0), 0.0)[1][0, 0]
        assert np.abs(demo.nodes.maps[lens, row, column] - exact).max() > 0.3
        np.testing.assert_allclose(moved[lens, row, column], exact, atol=0.1)


def test_fitting_leaves_what_is_no_map(demo: Tables) -> None:
    moved = scene.fitted(demo, Street((0.2,) * len(RISES), (0.1,) * len(RISES)), HEIGHT, PROXY)
    assert moved.nodes.shares is demo.nodes.shares
    assert moved.zones is demo.zones


distances = st.floats(3, 30)


@given(st.floats(-3.1, 3.1), st.floats(-1.2, 1.2), distances, distances)
def test_a_street_is_met_at_the_nearest_of_its_planes(yaw: float, pitch: float, left: float, right: float) -> None:
    """Against the box: two walls, two ends, a road, and above the horizon no more than that."""
    ray = equirect.to_rays(np.array(yaw), np.array(pitch)).astype(np.float64)
    street = Street((1 / left,) * len(RISES), (1 / right,) * len(RISES))
    planes = [-ray[0] / left, ray[0] / right, abs(ray[2]) / scene.END, ray[1] / HEIGHT]
    assert street.inverse(ray, HEIGHT) == pytest.approx(max(planes), rel=1e-6)


@given(st.floats(-3.1, 3.1), st.floats(-1.2, 1.2))
def test_what_is_assumed_is_the_proxy_surface(yaw: float, pitch: float) -> None:
    ray = equirect.to_rays(np.array(yaw), np.array(pitch)).astype(np.float64)
    reach = np.linalg.norm(proxy.points(ray, HEIGHT, PROXY))
    assert scene.assumed(ray, HEIGHT, PROXY) == pytest.approx(1 / reach, rel=1e-5)


def test_between_the_heights_at_which_it_is_told_a_wall_leans() -> None:
    street = Street((0.2, 0.1, 0.1, 0.1, 0.1), ASSUMED)
    aside, up = np.array([-1.0, 0, 0]), np.array([0, -1.0, 0])
    rays = np.stack([aside + 0.175 * up, aside + 5 * up])
    np.testing.assert_allclose(street.inverse(rays, HEIGHT), [0.15, 0.1], rtol=1e-6)
