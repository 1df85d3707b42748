"""Stains on maps made by hand, and drops on a drive down the street."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from services.stitcher import dirt, tables
from services.stitcher.tables import Overview
from tests.unit.services.stitcher import virtual

RIG = virtual.ring(4, size=160)
Floats = NDArray[np.floating]


@pytest.fixture(scope="module", name="overview")
def an_overview(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    return tables.load(RIG, StitchRecipe(width=512), tmp_path_factory.mktemp("tables")).overview


@pytest.fixture(name="seen")
def cells(overview: Overview) -> NDArray[np.bool_]:
    return dirt.cells_seen(overview.seen)


@pytest.fixture(name="squares")
def a_lively_street(seen: NDArray[np.bool_]) -> Floats:
    """Detail everywhere, but for the sky above 30 degrees."""
    squares = np.random.default_rng(0).uniform(0.03, 0.09, seen.shape) ** 2
    squares[:, :43] = 1e-6
    return squares


def _disc(row: int, column: int, radius: float) -> NDArray[np.bool_]:
    down, across = np.mgrid[: dirt.CELLS // 2, : dirt.CELLS]
    return np.asarray(np.hypot(down - row, across - column) < radius)


def _found(squares: Floats, seen: NDArray[np.bool_], overview: Overview, change: float = 0.5) -> tuple[dirt.Stain, ...]:
    return dirt.stains(squares, np.full(squares.shape, change), seen, overview)


def test_a_clean_lens_has_no_stains_whatever_the_sky(squares: Floats, seen: NDArray[np.bool_], overview: Overview) -> None:
    assert _found(squares, seen, overview) == ()


def test_what_stays_blank_amid_detail_is_a_stain(squares: Floats, seen: NDArray[np.bool_], overview: Overview) -> None:
    squares[1][_disc(70, 192, 5)] = 1e-6
    (stain,) = _found(squares, seen, overview)
    assert stain.lens == 1
    assert stain.share == pytest.approx(np.pi * 25 / seen[1].sum(), rel=0.4)
    x0, y0, x1, y1 = stain.box
    assert x0 < 80 < x1
    assert 80 < y0 < y1 < 110
    assert x1 - x0 < 30


def test_the_largest_comes_first(squares: Floats, seen: NDArray[np.bool_], overview: Overview) -> None:
    squares[1][_disc(70, 192, 3)] = 1e-6
    squares[3][_disc(70, 64, 6)] = 1e-6
    assert [stain.lens for stain in _found(squares, seen, overview)] == [3, 1]


def test_a_speck_is_not_told_of(squares: Floats, seen: NDArray[np.bool_], overview: Overview) -> None:
    squares[1][_disc(70, 192, 1.2)] = 1e-6
    assert _found(squares, seen, overview) == ()


@pytest.mark.parametrize(("change", "stains"), [(0.01, 0), (0.5, 1)], ids=["the car", "a drop"])
def test_what_touches_the_border_and_never_changes_is_the_car(
    squares: Floats, seen: NDArray[np.bool_], overview: Overview, change: float, stains: int
) -> None:
    lowest = int(np.flatnonzero(seen[1][:, 192]).max())
    squares[1][_disc(lowest, 192, 5)] = 1e-6
    assert len(_found(squares, seen, overview, change)) == stains


def test_nobody_who_sees_nothing_is_dirty(squares: Floats, seen: NDArray[np.bool_], overview: Overview) -> None:
    assert _found(squares, np.zeros_like(seen), overview) == ()


def test_light_of_a_brighter_exposure_has_the_same_detail(overview: Overview, tmp_path: Path) -> None:
    lumas = np.random.default_rng(1).uniform(60, 120, overview.seen.shape).astype(np.float32)
    dim, bright = (dirt.detail(dirt.light(lumas * by)).mean() for by in (np.float32(1), np.float32(1.6)))
    assert bright == pytest.approx(dim, rel=0.1)
