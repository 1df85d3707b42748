from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Rig
from panoveil.pixels import equirect
from services.stitcher import tables, zones
from services.stitcher.tables import Tables
from services.stitcher.zones import Zone, offsets
from simulator.rigs import RADIUS, demo_rig
from tests.unit.services.stitcher import virtual

WIDTH = 1024
RECIPE = StitchRecipe(width=WIDTH)
SEAMS = {(0, 1): 36, (1, 2): 108, (2, 3): 180, (3, 4): -108, (0, 4): -36}
"""Degrees of yaw at which two lenses of the demo's rig meet; of all pairs but the last the first lens is the one on the left."""

Floats = NDArray[np.floating[Any]]

near_by = st.tuples(*3 * [st.floats(-0.12, 0.12)]).map(np.array)
yaws, pitches, distances = st.floats(-3.1, 3.1), st.floats(-1.1, 1.1), st.floats(3, 30)


def _ray(yaw: float, pitch: float) -> Floats:
    return equirect.to_rays(np.array(yaw), np.array(pitch)).astype(np.float64)


def _moved(start: Floats, end: Floats) -> Floats:
    """Return by how many pixels (x, y) one ray is drawn away from another, the short way round."""
    x, y = equirect.to_pixels(end, WIDTH).astype(np.float64) - equirect.to_pixels(start, WIDTH)
    return np.array([(x + WIDTH / 2) % WIDTH - WIDTH / 2, y])


def _middle(rig_tables: Tables, zone: Zone) -> int:
    """Return in which column of the panorama the two lenses share the horizon evenly."""
    one = zone.shares[0][zone.rows // 2 + 1]
    return int((zone.left - 1 + np.abs(one - 0.5).argmin()) % rig_tables.width)


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module", name="demo")
def tables_of_the_demo_rig(cache: Path) -> Tables:
    return tables.load(demo_rig(WIDTH), RECIPE, cache)


def test_a_ring_has_one_zone_a_seam(demo: Tables) -> None:
    assert sorted(zone.pair for zone in demo.zones) == sorted(SEAMS)


def test_a_zone_lies_round_its_seam(demo: Tables) -> None:
    for zone in demo.zones:
        astray = _middle(demo, zone) / WIDTH * 360 - 180 - SEAMS[zone.pair]
        assert abs((astray + 180) % 360 - 180) < 1


def test_a_seam_at_the_edge_of_the_panorama_has_a_zone_that_goes_beyond_it(demo: Tables) -> None:
    (zone,) = (zone for zone in demo.zones if zone.pair == (2, 3))
    assert zone.left < WIDTH < zone.left + zone.columns
    assert zone.columns < WIDTH / 4


def test_two_fisheyes_back_to_back_have_a_zone_on_either_side(cache: Path) -> None:
    dual = tables.load(virtual.dual_fisheye(), RECIPE, cache)
    assert [zone.pair for zone in dual.zones] == [(0, 1)] * 2
    assert sorted(round(_middle(dual, zone) * 4 / WIDTH) for zone in dual.zones) == [1, 3]


def test_fast_mode_has_none(cache: Path) -> None:
    assert tables.load(demo_rig(WIDTH), RECIPE.model_copy(update={"mode": "fast"}), cache).zones == ()


def test_lenses_that_share_nothing_have_none(cache: Path) -> None:
    assert tables.load(virtual.ring(2), RECIPE, cache).zones == ()


@pytest.mark.parametrize("width", [544, 1056, 4000, 8224])
def test_a_height_of_no_whole_number_of_strips_is_filled_to_its_end(cache: Path, width: int) -> None:
    found = tables.load(virtual.dual_fisheye(), StitchRecipe(width=width), cache)
    assert len(found.zones) == 2
    assert all((zone.top + zone.rows) * found.step <= found.height for zone in found.zones)


def test_all_displacement_is_wanted_at_the_seam(demo: Tables) -> None:
    """But for the steep: there is where it fades out."""
    for zone in demo.zones:
        shared = (zone.shares > 0.2).all(axis=0)
        pitch = 90 - (np.arange(zone.top - 1, zone.top + zone.rows + 1) + 0.5) * 180 / demo.height
        assert zone.fade[shared & (np.abs(pitch) < 40)[:, None]].min() == 1


def test_none_is_wanted_at_a_zones_rim(demo: Tables) -> None:
    for zone in demo.zones:
        rim = np.ones(zone.fade.shape, bool)
        rim[1:-1, 1:-1] = False
        assert zone.fade[rim].max() == 0


def test_none_is_wanted_where_a_third_lens_has_a_share(demo: Tables) -> None:
    for zone in demo.zones:
        columns = np.arange(zone.left - 1, zone.left + zone.columns + 1) % demo.width + 1
        shares = demo.nodes.shares[:, zone.top : zone.top + zone.rows + 2][:, :, columns]
        third = np.delete(shares, zone.pair, axis=0).any(axis=0)
        assert not zone.fade[third].any()


def test_displacement_fades_in_by_a_small_step_a_node(demo: Tables) -> None:
    degrees = 180 / demo.height
    for zone in demo.zones:
        assert np.abs(np.diff(zone.fade, axis=1)).max() <= 1.01 * degrees / 4
        assert np.abs(np.diff(zone.fade, axis=0)).max() <= 1.01 * degrees / 4


def test_a_zones_shares_are_those_of_the_tables(demo: Tables) -> None:
    for zone in demo.zones:
        whole = [demo.sheet(lens).shares(slice(0, demo.height), slice(0, WIDTH)) for lens in zone.pair]
        columns = np.arange(zone.left, zone.left + zone.columns) % WIDTH
        there = np.stack(whole)[:, zone.top : zone.top + zone.rows][:, :, columns]
        np.testing.assert_array_equal(zone.shares[:, 1:-1, 1:-1], there)


def test_a_zones_rays_are_those_of_its_pixels(demo: Tables) -> None:
    for zone in demo.zones:
        columns = np.arange(zone.left, zone.left + zone.columns) % WIDTH
        there = equirect.rays(WIDTH)[zone.top : zone.top + zone.rows][:, columns]
        np.testing.assert_allclose(zone.rays(1, WIDTH), there, atol=1e-6)


@given(st.floats(-1.2, 1.2), st.floats(0.01, 0.3), st.floats(0.1, 1.4), yaws)
def test_midway_between_two_lenses_the_centre_is_midway(pitch: float, radius: float, aside: float, yaw: float) -> None:
    one, other = (radius * _ray(yaw + side * aside, 0) for side in (-1, 1))
    assert zones._between(_ray(yaw, pitch)[None, None], one, other)[0, 0] == pytest.approx(0.5, abs=1e-5)


@given(yaws, pitches, near_by)
def test_a_lens_at_the_centre_shows_what_the_centre_sees(yaw: float, pitch: float, place: Floats) -> None:
    ray, centre = _ray(yaw, pitch), np.zeros(3)
    assume(np.linalg.norm(np.cross(ray, place)) > 0.01)
    assert zones._between(ray[None, None], centre, place).item() == pytest.approx(0, abs=1e-5)
    assert zones._between(ray[None, None], place, centre).item() == pytest.approx(1, abs=1e-5)


def test_of_lenses_at_one_place_neither_is_nearer() -> None:
    place = np.array([0.3, 0.1, 0.2])
    assert zones._between(_ray(0.3, 0.2)[None, None], place, place).item() == 0.5


@given(yaws, st.floats(-0.9, 0.9), distances, st.tuples(near_by, near_by))
def test_the_centre_sees_a_thing_between_where_two_lenses_do(
    yaw: float, pitch: float, distance: float, places: tuple[Floats, Floats]
) -> None:
    """x0 = x_one + between (x_other - x_one) along the way from one to the other; across it no share of the way would do.

    But for what is of second order in the lenses' places, as shares of the distance.
    """
    ray = _ray(yaw, pitch)
    one, other = (distance * ray - place for place in places)
    across = np.array([np.cos(pitch), 1])
    way, wanted = _moved(one, other) * across, _moved(one, ray) * across
    assume(np.linalg.norm(way) > 0.5)
    share = float(wanted @ way / (way @ way))
    assume(0 < share < 1)
    found = zones._between(ray[None, None], *places).item()
    farthest = max(np.linalg.norm(place) for place in places) / distance
    assert abs(found - share) * np.linalg.norm(way) < 3 * farthest**2 * WIDTH / (2 * np.pi)


@given(yaws, st.floats(-1.3, 1.3), near_by)
def test_offsets_say_how_a_lens_displaces_what_is_near(yaw: float, pitch: float, place: Floats) -> None:
    """Against finite differences of the projection itself."""
    ray, nearness = _ray(yaw, pitch), 1e-2
    drawn = _moved(ray + nearness * place, ray - nearness * place) / (2 * nearness)
    np.testing.assert_allclose(drawn, -offsets(ray, place, WIDTH), atol=0.1)


def test_offsets_stay_small_towards_the_poles() -> None:
    steep = offsets(_ray(0.4, 1.57), np.array([0.1, 0.1, 0.1]), WIDTH)
    assert np.abs(steep).max() < WIDTH / (2 * np.pi) * 0.2 / np.cos(np.radians(75))


def test_things_nearer_than_the_proxy_lie_apart_as_the_zone_says(demo: Tables) -> None:
    """Through the lens on the right a near thing lies too far to the left."""
    expected = 2 * RADIUS * np.sin(np.radians(36)) * WIDTH / (2 * np.pi)
    for zone in demo.zones:
        apart = zone.apart[demo.height // 2 - zone.top, zone.columns // 2 + 1]
        right_minus_left = -apart if zone.pair == (0, 4) else apart
        np.testing.assert_allclose(right_minus_left, (-expected, 0), atol=0.1)


def test_a_rig_that_is_turned_has_the_zones_of_its_own_places(demo: Tables) -> None:
    """Places are in the panorama's axes: the same shares with other places lie apart otherwise."""
    turned = demo.places @ np.array(virtual.turned(90)).T
    found = zones.find_zones(demo.nodes.shares, demo.nodes.sees, demo.step, turned, RECIPE)
    for own, zone in zip(found, demo.zones, strict=True):
        np.testing.assert_array_equal(own.fade, zone.fade)
        assert np.abs(own.apart - zone.apart).max() > 1


def test_a_rig_far_off_has_zones_too(cache: Path) -> None:
    still = virtual.ring(5)
    lenses = [lens.model_copy(update={"position": (0.0, 0.0, 2.0)}) for lens in still.lenses]
    rig = Rig(rig_id="far", lenses=tuple(lenses))
    assert len(tables.load(rig, RECIPE, cache).zones) == 5
