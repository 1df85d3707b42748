from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from services.stitcher.layout import BLOCK, STRIP, Area, Run, by_block, present, runs
from services.stitcher.sheets import padded, raise_nodes
from services.stitcher.zones import find_zones

Shares = NDArray[np.float32]

seeds, counts = st.integers(0, 10_000), st.integers(1, 5)
steps = st.sampled_from([1, 2, 4, 8])
widths = st.sampled_from([256, 352, 512, 736])


def _shares(seed: int, lenses: int, step: int, width: int) -> Shares:
    """Return smooth padded shares [L, h + 2, w + 2]: who sees best owns a place, here and there nobody sees."""
    rng = np.random.default_rng(seed)
    size = (width // step, width // 2 // step)
    sight = np.stack([cv2.resize(rng.normal(0.4, 1, (3, 6)), size, interpolation=cv2.INTER_CUBIC) for _ in range(lenses)])
    ramps = np.clip(0.5 + 3 * (sight - sight.max(axis=0)), 0, 1)
    seen = np.clip(8 * sight.max(axis=0), 0, 1)
    shares = ramps / ramps.sum(axis=0) * seen
    return np.stack([padded(share.astype(np.float32)) for share in shares])


def _at_pixels(shares: Shares, step: int) -> Shares:
    rows, columns = slice(0, shares.shape[1] - 2), slice(0, shares.shape[2] - 2)
    return np.stack([raise_nodes(share, step, rows, columns) for share in shares])


def _pieces(shares: Shares, step: int, found: tuple[tuple[Run, ...], ...]) -> list[tuple[Run, NDArray[Any]]]:
    """Return every run with the shares [L, h, w] of its pixels."""
    pixels = _at_pixels(shares, step)
    return [
        (run, pixels[:, STRIP * number : STRIP * (number + 1), run.left : run.right])
        for number, strip in enumerate(found)
        for run in strip
    ]


@given(seeds, counts, steps, widths)
def test_the_runs_of_every_strip_cover_it_once(seed: int, lenses: int, step: int, width: int) -> None:
    found = runs(_shares(seed, lenses, step, width), step)
    assert len(found) == -(-width // 2 // STRIP)
    for strip in found:
        assert [run.left for run in strip] == [0, *(run.right for run in strip[:-1])]
        assert strip[-1].right == width


@given(seeds, counts, steps, widths)
def test_who_has_a_share_is_named(seed: int, lenses: int, step: int, width: int) -> None:
    shares = _shares(seed, lenses, step, width)
    for run, pixels in _pieces(shares, step, runs(shares, step)):
        assert set(np.flatnonzero(pixels.any(axis=(1, 2)))) <= set(run.lenses)


@given(seeds, counts, steps, widths)
def test_where_no_backdrop_is_drawn_the_shares_make_a_whole(seed: int, lenses: int, step: int, width: int) -> None:
    shares = _shares(seed, lenses, step, width)
    for run, pixels in _pieces(shares, step, runs(shares, step)):
        assert run.backdrop or pixels.sum(axis=0).min() > 1 - 1 / 500


@given(seeds, st.integers(2, 5), steps, widths)
def test_a_zone_draws_where_nobody_but_its_pair_has_a_share(seed: int, lenses: int, step: int, width: int) -> None:
    shares = _shares(seed, lenses, step, width)
    places = np.random.default_rng(seed).normal(0, 0.1, (lenses, 3))
    zones = find_zones(shares, (shares > 0).astype(np.uint8), step, places, StitchRecipe(seam_width=6.0))
    for run, pixels in _pieces(shares, step, runs(shares, step, [zone.area for zone in zones])):
        if run.zone is not None:
            pair = zones[run.zone].pair
            assert not np.delete(pixels, pair, axis=0).any()
            assert set(run.lenses) <= set(pair)


@given(seeds, st.integers(2, 5), widths)
def test_every_block_of_an_area_is_drawn_through_its_zone(seed: int, lenses: int, width: int) -> None:
    shares = _shares(seed, lenses, 1, width)
    blocks = np.random.default_rng(seed).random((-(-width // 2 // STRIP), width // BLOCK)) < 0.3
    found = runs(shares, 1, [Area((0, 1), np.zeros_like(blocks)), Area((0, 1), blocks)])
    through = np.zeros_like(blocks)
    for number, strip in enumerate(found):
        for run in strip:
            through[number, run.left // BLOCK : run.right // BLOCK] = run.zone == 1
    np.testing.assert_array_equal(through, blocks)


def test_a_strip_of_one_kind_is_cut_where_it_would_leave_the_cache() -> None:
    (strip,) = runs(padded(np.ones((32, 1280), np.float32))[None], 4)
    assert [run.right - run.left for run in strip] == [2048, 2048, 1024]


def test_who_has_a_share_beside_a_block_is_there_too_round_the_edge() -> None:
    """A pixel of the block's rim is interpolated from its neighbour."""
    share = np.zeros((STRIP, 64), np.float32)
    share[5, 0] = 0.1
    assert present(padded(share)[None], 1)[0].tolist() == [[True, False, False, True]]


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_a_strip_that_is_cut_short_counts_what_there_is(step: int) -> None:
    nodes = np.zeros(((STRIP + 16) // step, 64 // step), np.float32)
    nodes[-1, -1] = -1
    assert by_block(nodes, step, np.minimum).tolist() == [[0, 0, 0, 0], [0, 0, 0, -1]]
    assert not by_block(nodes, step, np.maximum).any()
