import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.pixels import equirect
from services.stitcher.sheets import Sheet, fetched, padded, raise_nodes

STEPS = [1, 2, 4, 8]
ROWS, COLUMNS = 6, 10

steps = st.sampled_from(STEPS)
slopes = st.floats(-20, 20, width=32)


def _centres(count: int, step: int) -> NDArray[np.float64]:
    """Return at which pixel each node lies, the margin's too."""
    return np.asarray((np.arange(-1, count + 1) + 0.5) * step - 0.5, np.float64)


def _parts(count: int) -> st.SearchStrategy[slice]:
    return (
        st.tuples(st.integers(0, count - 1), st.integers(1, count))
        .filter(lambda ends: ends[0] < ends[1])
        .map(lambda e: slice(*e))
    )


@given(steps, slopes, slopes, st.floats(-500, 500, width=32))
def test_raising_keeps_what_is_linear(step: int, across: float, down: float, start: float) -> None:
    x, y = np.meshgrid(_centres(COLUMNS, step), _centres(ROWS, step))
    raised = raise_nodes((start + across * x + down * y).astype(np.float32), step, slice(0, ROWS), slice(0, COLUMNS))
    x, y = np.meshgrid(np.arange(COLUMNS * step), np.arange(ROWS * step))
    np.testing.assert_allclose(raised, start + across * x + down * y, atol=2e-3)


@pytest.mark.parametrize("step", STEPS)
def test_what_is_smooth_is_raised_as_exactly_as_its_curvature_allows(step: int) -> None:
    """Linear interpolation errs by an eighth of the second derivative times the square of the step at most."""
    pace = 0.05
    nodes = np.broadcast_to(100 * np.sin(pace * _centres(40, step)), (ROWS + 2, 42)).astype(np.float32)
    raised = raise_nodes(np.ascontiguousarray(nodes), step, slice(0, ROWS), slice(0, 40))
    error = np.abs(raised - 100 * np.sin(pace * np.arange(40 * step))).max()
    assert error <= (100 * (pace * step) ** 2 / 8 if step > 1 else 0) + 1e-4


@given(steps, _parts(ROWS), _parts(COLUMNS), st.sampled_from([np.float32, np.uint8]))
def test_a_part_raised_alone_is_that_part_of_the_whole(step: int, rows: slice, columns: slice, kind: type[np.generic]) -> None:
    nodes = np.random.default_rng(0).uniform(0, 255, (ROWS + 2, COLUMNS + 2, 2)).astype(kind)
    whole = raise_nodes(nodes, step, slice(0, ROWS), slice(0, COLUMNS))
    part = raise_nodes(nodes, step, rows, columns)
    there = whole[rows.start * step : rows.stop * step, columns.start * step : columns.stop * step]
    np.testing.assert_allclose(part.astype(float), there.astype(float), atol=1e-4)


@given(steps)
def test_raising_keeps_the_kind_of_number(step: int) -> None:
    nodes = np.full((ROWS + 2, COLUMNS + 2, 3), 200, np.uint8)
    raised = raise_nodes(nodes, step, slice(1, 4), slice(2, 9))
    assert raised.dtype == np.uint8
    assert raised.shape == (3 * step, 7 * step, 3)
    assert (raised == 200).all()


def test_a_panorama_goes_on_round_its_edge() -> None:
    core = np.random.default_rng(1).normal(size=(8, 16, 2))
    around = padded(core)
    np.testing.assert_array_equal(around[1:-1, 1:-1], core)
    np.testing.assert_array_equal(around[1:-1, 0], core[:, -1])
    np.testing.assert_array_equal(around[1:-1, -1], core[:, 0])


def test_beyond_a_pole_lies_the_other_side() -> None:
    """Of what is a function of the direction, the margin shows what it is a step beyond the pole: not even its corners are alone."""
    width = 16
    angle = 2 * np.pi / width
    yaw, pitch = (np.arange(-1, width + 1) + 0.5) * angle - np.pi, np.pi / 2 - (np.arange(-1, width // 2 + 1) + 0.5) * angle
    beyond = equirect.to_rays(yaw[None], pitch[:, None])
    np.testing.assert_allclose(padded(equirect.rays(width)), beyond, atol=1e-6)


def _over_the_edge(step: int) -> tuple[Sheet, Sheet]:
    """Return a sheet of a whole panorama, and one of its columns from 12 on and over the edge to the 6th, both of 16 x 32 nodes."""
    rng = np.random.default_rng(2)
    maps, share = (
        padded(rng.uniform(0, 500, (16, 32, 2)).astype(np.float32)),
        padded(rng.uniform(0, 1, (16, 32)).astype(np.float32)),
    )
    columns = np.arange(12 - 1, 32 + 6 + 1) % 32 + 1
    part = Sheet(step, 12 * step, 4 * step, 32 * step, maps[4:13][:, columns], share[4:13][:, columns])
    return Sheet(step, 0, 0, 32 * step, maps, share), part


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("columns", [(14, 20), (20, 32), (0, 4), (2, 6)])
def test_a_sheet_that_goes_beyond_the_edge_says_what_the_whole_says(step: int, columns: tuple[int, int]) -> None:
    whole, part = _over_the_edge(step)
    place = slice(5 * step, 9 * step), slice(columns[0] * step, columns[1] * step)
    np.testing.assert_allclose(part.shares(*place), whole.shares(*place), atol=1e-6)
    for ours, theirs in zip(part.map(*place), whole.map(*place), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_sheet_of_a_panorama_of_one_node_a_pixel_says_its_nodes() -> None:
    whole, _ = _over_the_edge(1)
    np.testing.assert_array_equal(whole.shares(slice(0, 16), slice(0, 32)), whole.share[1:-1, 1:-1])


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_an_image_is_fetched_between_its_pixels(kind: type[np.generic]) -> None:
    image = np.array([[0, 100], [100, 200]], kind)
    found = fetched(image, np.array([[[0.5, 0.5], [1, 0], [0.25, 0]]]))
    assert found.dtype == kind
    assert found.ravel().tolist() == [100, 100, 25]


def test_beyond_an_images_rim_it_is_as_at_the_rim() -> None:
    image = np.array([[10, 20], [30, 40]], np.float32)
    assert fetched(image, np.array([[[-9, 0], [9, 9], [0.5, -3]]])).ravel().tolist() == [10, 40, 15]
