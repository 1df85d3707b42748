from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.pixels.spread import one_by_one
from services.stitcher import blend, layout, tables
from services.stitcher.sheets import padded
from services.stitcher.tables import Nodes, Tables
from simulator.rigs import demo_rig
from tests.unit.services.stitcher import virtual, walls
from tests.unit.services.stitcher.walls import Image

WIDTH = 512
RECIPE = StitchRecipe(width=WIDTH)
LEVELS = (90, 130, 200)


@pytest.fixture(scope="module", name="cache")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def _flat(size: tuple[int, ...], colour: tuple[int, int, int]) -> Image:
    return np.broadcast_to(np.array(colour, np.uint8), (*size, 3)).copy()


def _composed(known: Tables, frames: list[Image], behind: tuple[int, int, int]) -> Image:
    return blend.compose(blend.Canvas(known, frames, _flat(known.nodes.shares.shape[1:], behind), ()), one_by_one)


def _shared(known: Tables, shares: NDArray[np.float32]) -> Tables:
    """Return tables of lenses that see everything and have these shares [L, h, w] of it, without zones."""
    around = np.stack([padded(share) for share in shares])
    maps = np.full((*around.shape, 2), 20, np.float32)
    return replace(
        known, nodes=Nodes(maps, around, np.ones(around.shape, np.uint8)), zones=(), runs=layout.runs(around, known.step)
    )


def _random_shares(lenses: int, nodes: int) -> NDArray[np.float32]:
    parts = np.random.default_rng(lenses).uniform(0, 1, (lenses, nodes // 2, nodes)).astype(np.float32)
    return np.asarray(parts / parts.sum(axis=0), np.float32)


@pytest.mark.parametrize("mode", ["fast", "best"])
@pytest.mark.parametrize("width", [512, 544, 2048])
def test_a_uniform_scene_stays_uniform(cache: Path, mode: str, width: int) -> None:
    """Behind is the same colour: nothing may lighten or darken, at seams, over poles, or where lenses stop seeing."""
    rig = demo_rig(WIDTH)
    known = tables.load(rig, StitchRecipe.model_validate({"width": width, "mode": mode}), cache)
    frames = [_flat((lens.height, lens.width), LEVELS) for lens in rig.lenses]
    canvas = blend.Canvas(
        known, frames, _flat(known.nodes.shares.shape[1:], LEVELS), walls.bridges(frames, known) if known.zones else ()
    )
    panorama = blend.compose(canvas, one_by_one)
    assert np.abs(panorama.astype(int) - LEVELS).max() <= 1


@pytest.mark.parametrize("lenses", [2, 3, 5])
@pytest.mark.parametrize("width", [512, 2048])
def test_any_number_of_lenses_is_mixed_by_their_shares(cache: Path, lenses: int, width: int) -> None:
    known = tables.load(virtual.ring(2), StitchRecipe(width=width, mode="fast"), cache)
    shares = _random_shares(lenses, width // known.step)
    own = _shared(known, shares)
    colours = np.random.default_rng(7).integers(20, 236, (lenses, 3))
    frames = [_flat((40, 40), (int(red), int(green), int(blue))) for red, green, blue in colours]
    wanted = np.zeros((known.height, width, 3))
    for lens, colour in enumerate(colours):
        wanted += own.sheet(lens).shares(slice(0, known.height), slice(0, width))[..., None] * colour
    assert np.abs(_composed(own, frames, (0, 0, 0)) - wanted).max() <= 0.5 * lenses + 0.01


def test_where_nobody_sees_the_backdrop_shows(cache: Path) -> None:
    rig = virtual.ring(2)
    known = tables.load(rig, RECIPE, cache)
    panorama = _composed(known, [_flat((200, 200), (250, 250, 250))] * 2, (10, 20, 30))
    unseen = known.nodes.shares[:, 1:-1, 1:-1].sum(axis=0) == 0
    assert unseen.mean() > 0.2
    assert (panorama[unseen] == (10, 20, 30)).all()


def test_a_lens_that_fades_leaves_the_rest_to_the_backdrop(cache: Path) -> None:
    known = tables.load(virtual.ring(2), RECIPE.model_copy(update={"mode": "fast"}), cache)
    shares = np.stack([np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (WIDTH // 2, 1))])
    panorama = _composed(_shared(known, shares), [_flat((40, 40), (200, 200, 200))], (100, 100, 100))
    np.testing.assert_allclose(panorama[..., 0], 100 + 100 * shares[0], atol=1)


def test_where_a_lens_is_alone_it_is_sampled_and_nothing_else(cache: Path) -> None:
    known = tables.load(virtual.ring(2), RECIPE.model_copy(update={"mode": "fast"}), cache)
    own = _shared(known, np.ones((1, WIDTH // 2, WIDTH), np.float32))
    frame = walls.textured(80)[:40, :40]
    assert (_composed(own, [frame], (0, 0, 0)) == frame[20, 20]).all()


def test_threads_change_no_pixel(cache: Path) -> None:
    rig = demo_rig(WIDTH)
    known = tables.load(rig, RECIPE, cache)
    frames = walls.frames(rig, walls.textured(WIDTH), 5.0)
    black = _flat(known.nodes.shares.shape[1:], (0, 0, 0))
    canvas = blend.Canvas(known, frames, black, walls.bridges(frames, known))
    with ThreadPoolExecutor(3) as pool:

        def spread(work: Callable[[int], None], rows: Iterable[int]) -> None:
            list(pool.map(work, rows))

        threaded = blend.compose(canvas, spread)
    np.testing.assert_array_equal(threaded, blend.compose(canvas, one_by_one))
