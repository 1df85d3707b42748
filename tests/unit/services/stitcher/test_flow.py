"""Interpolation at seams, against what the rig's centre sees exactly, and against plain blending where flow has nothing to go by."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.pixels import equirect, lenses
from services.stitcher import flow, tables
from services.stitcher.tables import Tables
from simulator.rigs import demo_rig
from tests.unit.services.stitcher import walls
from tests.unit.services.stitcher.walls import Floats, Image

WIDTH = 1024
RECIPE = StitchRecipe(width=WIDTH)
FAST = RECIPE.model_copy(update={"mode": "fast"})
RIG = demo_rig(WIDTH)
NEAREST = 1 / 1.2


@pytest.fixture(scope="module", name="best")
def tables_with_zones(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return tables.load(RIG, RECIPE, tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module", name="fast")
def tables_without(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return tables.load(RIG, FAST, tmp_path_factory.mktemp("tables"))


def _at_seams(known: Tables, degrees: float = 10) -> NDArray[np.bool_]:
    """Return which pixels near the horizon two lenses share."""
    shared = (known.nodes.shares[:, 1:-1, 1:-1] > 0.1).sum(axis=0) > 1
    pitch = 90 - (np.arange(WIDTH // 2) + 0.5) * 360 / WIDTH
    return np.asarray(shared & (np.abs(pitch) < degrees)[:, None])


def _error(image: Image, truth: Image, known: Tables) -> float:
    return float(np.abs(image.astype(float) - truth)[_at_seams(known)].mean())


def _facade(period: int) -> Image:
    """Return a panorama of windows that repeat every `period` columns."""
    down, across = np.indices((WIDTH // 2, WIDTH))
    windows = (np.sin(2 * np.pi * across / period + 0.3) > 0) & (np.sin(2 * np.pi * down / (1.5 * period)) > 0)
    soft = cv2.GaussianBlur(np.where(windows, 185.0, 65.0), (0, 0), 0.7)
    return np.repeat(soft.astype(np.uint8)[..., None], 3, axis=2)


def _noisy_sky(deviation: float) -> list[Image]:
    rng = np.random.default_rng(0)
    blanks = [np.full((lens.height, lens.width), 180.0) for lens in RIG.lenses]
    skies = [np.rint(blank + rng.normal(0, deviation, blank.shape)).astype(np.uint8) for blank in blanks]
    return [np.repeat(sky[..., None], 3, axis=2) for sky in skies]


@pytest.mark.parametrize("distance", [3.0, 4.0, 5.0])
def test_a_wall_nearer_than_the_proxy_comes_out_less_than_half_as_wrong(best: Tables, fast: Tables, distance: float) -> None:
    truth = walls.textured(WIDTH, seed=1)
    frames = walls.frames(RIG, truth, distance)
    plain = _error(walls.composed(frames, fast), truth, best)
    assert plain > 2.5
    assert _error(walls.composed(frames, best), truth, best) < plain / 2


def test_a_wall_farther_than_the_proxy_comes_out_less_wrong(tmp_path: Path) -> None:
    near = RECIPE.model_copy(update={"proxy_distance": 4.0})
    best, fast = tables.load(RIG, near, tmp_path), tables.load(RIG, near.model_copy(update={"mode": "fast"}), tmp_path)
    truth = walls.textured(WIDTH, seed=2)
    frames = walls.frames(RIG, truth, 30.0)
    assert _error(walls.composed(frames, best), truth, best) < _error(walls.composed(frames, fast), truth, best) / 2


def test_coarse_tables_do_no_worse(tmp_path: Path) -> None:
    """At 4096 pixels a node stands for 4 x 4 of them, flow for 2 x 2."""
    known = tables.load(RIG, RECIPE.model_copy(update={"width": 4096}), tmp_path)
    plain = tables.load(RIG, FAST.model_copy(update={"width": 4096}), tmp_path)
    truth = walls.textured(WIDTH, seed=1, grain=2)
    frames = walls.frames(RIG, truth, 3.0)
    ours, theirs = (
        cv2.resize(walls.composed(frames, each), (WIDTH, WIDTH // 2), interpolation=cv2.INTER_AREA) for each in (known, plain)
    )
    assert known.step == 4
    assert _error(np.asarray(ours), truth, known) < _error(np.asarray(theirs), truth, known) / 2


@pytest.mark.parametrize("distance", [3.0, 4.0])
@pytest.mark.parametrize("period", [4, 6, 8, 10, 12, 16])
def test_a_facade_that_repeats_is_hardly_worse_than_blended(best: Tables, fast: Tables, period: int, distance: float) -> None:
    """It is displaced by 3 pixels, and by 2: which repeat is the right one, flow cannot know. A cut through it is worse than a blend."""
    truth = _facade(period)
    frames = walls.frames(RIG, truth, distance)
    assert _error(walls.composed(frames, best), truth, best) < 1.25 * _error(walls.composed(frames, fast), truth, best)


@pytest.mark.parametrize("distance", [3.0, 4.0])
def test_a_facade_that_repeats_farther_apart_than_it_is_displaced_comes_out_right(
    best: Tables, fast: Tables, distance: float
) -> None:
    truth = _facade(24)
    frames = walls.frames(RIG, truth, distance)
    assert _error(walls.composed(frames, best), truth, best) < _error(walls.composed(frames, fast), truth, best) / 2


@given(st.sampled_from([8, 12, 16, 20]), st.sampled_from([-1, 1]))
def test_flow_past_a_repeat_is_not_trusted(period: int, way: int) -> None:
    """What lies a quarter of a period away also lies three quarters away on the other side."""
    stripes = np.tile((125 + 60 * np.sin(2 * np.pi * np.arange(240) / period)).astype(np.uint8), (60, 1))
    moved = np.roll(stripes, way * period // 4, axis=1)
    there = np.full((*stripes.shape, 2), (-way * 3 * period / 4, 0), np.float32)
    assert flow._unique(stripes, moved, there)[:, 40:-40].max() < 0.1


@given(st.integers(0, 50), st.sampled_from([-4, 4]))
def test_flow_before_what_does_not_repeat_is_trusted(seed: int, across: int) -> None:
    view = walls.textured(256, seed)[:100, :200, 0]
    there = np.full((*view.shape, 2), (across, 0), np.float32)
    assert flow._unique(view, np.roll(view, across, axis=1), there)[:, 20:-20].mean() > 0.97


def _with_a_car(frames: list[Image], lens: int, yaw: float) -> list[Image]:
    """Return frames in which one lens sees something bright round a direction, 24 degrees wide, that the others do not see."""
    model = RIG.lenses[lens]
    across, down = np.meshgrid(np.arange(model.width), np.arange(model.height))
    rays = lenses.unproject(model.intrinsics, np.stack([across, down], axis=-1)) @ np.asarray(model.rotation, np.float32).T
    turn, rise = np.degrees(equirect.to_angles(rays))
    car = walls.textured(WIDTH, seed=9)[: model.height, : model.width] // 3 + 150
    there = (np.abs(turn - yaw) < 12) & (np.abs(rise) < 10)
    return [np.where(there[..., None], car, frame) if number == lens else frame for number, frame in enumerate(frames)]


def _mixed(image: Image, views: list[Image]) -> float:
    """Return the share of pixels round the first seam's middle that look like neither view."""
    place = np.s_[WIDTH // 4 - 20 : WIDTH // 4 + 20, 598:631, 0]
    away = [np.abs(image[place].astype(float) - view[place]) > 15 for view in views]
    return float(np.logical_and(*away).mean())


def test_what_only_one_lens_sees_is_cut_and_no_ghost(best: Tables, fast: Tables) -> None:
    frames = _with_a_car(walls.frames(RIG, walls.textured(WIDTH, seed=1, contrast=15), 15.0), 0, 36.0)
    views = [_through(fast, frames, lens) for lens in (0, 1)]
    ghost = _mixed(walls.composed(frames, fast), views)
    assert ghost > 0.1
    assert _mixed(walls.composed(frames, best), views) < ghost / 3


def _through(known: Tables, frames: list[Image], lens: int) -> Image:
    """Return the panorama as one lens sees it."""
    fixed, fraction = known.sheet(lens).map(slice(0, WIDTH // 2), slice(0, WIDTH))
    return np.asarray(cv2.remap(frames[lens], fixed, fraction, cv2.INTER_LINEAR), np.uint8)


def test_a_sky_of_noise_stays_a_sky_of_noise(best: Tables, fast: Tables) -> None:
    """However it is moved: no brighter, and as noisy as one lens's at most."""
    frames = _noisy_sky(2.0)
    place = _at_seams(best)
    ours, plain = (walls.composed(frames, each)[place].astype(float) for each in (best, fast))
    assert abs(ours.mean() - plain.mean()) < 0.1
    assert ours.std() <= 2.0


@pytest.mark.parametrize("deviation", [1.0, 2.0])
def test_a_sky_of_noise_is_not_moved(best: Tables, deviation: float) -> None:
    """Flow finds ways between two noises that lead back, but no view agrees better with the other for them."""
    assert max(float(np.max(each)) for each in _astray(_noisy_sky(deviation), best)) < 0.5


def test_views_that_agree_are_not_moved(best: Tables) -> None:
    """A wall where the proxy is: the sheets lead to where the tables do."""
    frames = walls.frames(RIG, walls.textured(WIDTH, seed=1), RECIPE.proxy_distance)
    for astray in _astray(frames, best):
        assert np.percentile(astray, 99) < 0.2
        assert np.max(astray) < 0.5


def _astray(frames: list[Image], known: Tables) -> list[Floats]:
    """Return by how many lens pixels each zone's lenses are drawn elsewhere than by the tables, where displacement counts whole."""
    return [
        np.concatenate(
            [np.abs(pair[lens].maps - own)[zone.fade == 1] for lens, own in zip(zone.pair, known.zone_maps(zone), strict=True)]
        )
        for zone, pair in zip(known.zones, walls.bridges(frames, known), strict=True)
    ]


@given(st.integers(0, 50))
def test_the_same_view_twice_does_not_flow(seed: int) -> None:
    view = walls.textured(128, seed)[..., 0]
    there, trust = flow.between_views(view, view)
    assert np.abs(there).max() < 0.01
    assert trust.min() == 1


@pytest.mark.parametrize("shift", [(3, 0), (-4, 1)])
def test_flow_says_where_a_thing_has_gone(shift: tuple[int, int]) -> None:
    view = walls.textured(256, seed=3, grain=2)[..., 0]
    there, trust = flow.between_views(view, np.roll(view, shift[::-1], axis=(0, 1)))
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(np.median(there[inner], axis=(0, 1)) - shift).max() < 0.2
    assert trust[inner].mean() > 0.9


@given(st.integers(2, 15), st.integers(-15, 15))
def test_what_leads_outside_is_not_trusted(across: int, down: int) -> None:
    there = np.full((32, 48, 2), (across, down), np.float32)
    trust = flow._trust(there, -there)
    y, x = np.indices(trust.shape)
    outside = (x + across >= 48) | (y + down < 0) | (y + down >= 32)
    assert trust[outside].max() == 0
    assert trust[~outside].min() == 1


@given(st.floats(0, 4))
def test_trust_falls_as_flow_comes_back_elsewhere(astray: float) -> None:
    there = np.zeros((8, 8, 2), np.float32)
    back = np.full_like(there, (astray, 0))
    assert flow._trust(there, back)[4, 4] == pytest.approx(np.clip(1.25 - astray / 2, 0, 1), abs=1e-5)


def _any_flow(seed: int, size: float) -> tuple[Floats, Floats]:
    """Return random flow and random ways apart, [6, 7, 2]; here and there the lenses are nowhere apart."""
    rng = np.random.default_rng(seed)
    apart = rng.normal(0, 10, (6, 7, 2)) * (rng.random((6, 7, 1)) < 0.8)
    return rng.normal(0, size, apart.shape).astype(np.float32), apart.astype(np.float32)


@given(st.integers(0, 10_000), st.floats(0.1, 200))
def test_flow_keeps_to_where_things_nearer_than_a_metre_or_so_can_be_displaced(seed: int, size: float) -> None:
    """Within a cell of a segment: `apart` times what is nearer by 1/1.2 m at most, or farther."""
    moved, apart = _any_flow(seed, size)
    kept = flow._plausible(moved, apart)
    square = np.maximum(np.sum(apart**2, axis=-1), 1e-6)
    nearness = np.clip(np.sum(moved * apart, axis=-1) / square, -NEAREST, NEAREST)
    assert np.abs(kept - nearness[..., None] * apart).max() <= 1 + 1e-4


@given(st.integers(0, 10_000), st.floats(-NEAREST, NEAREST))
def test_flow_that_a_thing_can_cause_is_kept(seed: int, nearness: float) -> None:
    _, apart = _any_flow(seed, 1)
    np.testing.assert_allclose(flow._plausible(nearness * apart, apart), nearness * apart, atol=1e-4)


def _ramp() -> list[Floats]:
    second = np.tile(np.linspace(0, 1, 41, dtype=np.float32), (20, 1))
    return [1 - second, second]


@pytest.mark.parametrize(("disagreement", "columns"), [(0.0, 41), (8.0, 41), (16.0, 7), (200.0, 7)])
def test_a_seam_is_as_narrow_as_the_lenses_disagree(disagreement: float, columns: int) -> None:
    shares = flow._narrowed(_ramp(), np.full((20, 41), disagreement, np.float32))
    mixed = (shares[0][0] > 0.01) & (shares[1][0] > 0.01)
    assert abs(mixed.sum() - columns) <= 2
    assert shares[1][0, 20] == pytest.approx(0.5)


@given(st.integers(0, 1000), st.floats(0.1, 1))
def test_narrowing_leaves_the_sum_of_the_shares(seed: int, total: float) -> None:
    disagreement = np.random.default_rng(seed).uniform(0, 30, (20, 41)).astype(np.float32)
    shares = flow._narrowed([total * share for share in _ramp()], disagreement)
    np.testing.assert_allclose(shares[0] + shares[1], total, atol=1e-5)
    assert min(share.min() for share in shares) >= 0


@pytest.mark.parametrize(("width", "step", "every"), [(512, 1, 1), (2048, 2, 1), (4096, 4, 1), (8192, 8, 2), (16384, 8, 4)])
def test_lenses_are_compared_on_some_four_thousand_samples_all_round(width: int, step: int, every: int) -> None:
    assert tables.step_of(width) == step
    assert flow.sampling(width, step) == every


def test_lumas_are_means_of_squares() -> None:
    frame = np.zeros((4, 8, 3), np.uint8)
    frame[:, 4:] = 200
    frame[:, ::2] += 20
    assert flow.grays(frame, 4).tolist() == [[10, 210]]
