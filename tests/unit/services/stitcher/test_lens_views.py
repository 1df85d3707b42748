import functools
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panoveil.contracts.recipe import Model, SecondSource, StitchRecipe
from panoveil.detection.views import Crop, megapixels
from panoveil.pixels import lenses
from services.stitcher import tables
from services.stitcher.carry import Drawing
from services.stitcher.lens_views import plan
from simulator.rigs import demo_rig

WIDTH = 1024
RIG = demo_rig(WIDTH)
MODEL = Model(name="any", version="1", sha256="", threshold=0.5)
SEAM = math.radians(36)
"""Between the demo's first two lenses."""


def _source(where: str) -> SecondSource:
    return SecondSource.model_validate({"face": MODEL, "plate": MODEL, "where": where})


@functools.cache
def _drawing() -> Drawing:
    recipe = StitchRecipe(width=WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        return Drawing.of(RIG, recipe, tables.load(RIG, recipe, Path(folder)))


@functools.cache
def _plan(where: str) -> tuple[tuple[Crop, ...], ...]:
    return plan(_drawing(), _source(where))


def _shown(views: tuple[Crop, ...], lens: int, yaw: float, pitch: float, size: float) -> list[float]:
    """Return the scales of the views in which a square of `size` radians, far away, lies whole; nothing where the lens sees a part."""
    corners = np.array([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)]) * size + (yaw, pitch)
    rays = np.stack(
        [np.sin(corners[:, 0]) * np.cos(corners[:, 1]), -np.sin(corners[:, 1]), np.cos(corners[:, 0]) * np.cos(corners[:, 1])], -1
    )
    pixels, visible = lenses.project(RIG.lenses[lens].intrinsics, rays @ np.asarray(RIG.lenses[lens].rotation))
    assert visible.all()
    places = [(view, (pixels + 0.5 - (view.x, view.y)) * view.scale) for view in views]
    return [view.scale for view, place in places if (place >= 0).all() and (place <= (view.width, view.height)).all()]


@settings(deadline=None, max_examples=40)  # the first example builds the tables
@given(st.floats(-0.025, 0.025), st.floats(-8, 5), st.floats(0.002, 0.035), st.sampled_from([0, 1]))
def test_an_object_on_a_seam_lies_whole_in_the_finest_view_of_either_lens(
    aside: float, degrees: float, size: float, lens: int
) -> None:
    scales = _shown(_plan("seams")[lens], lens, SEAM + aside, math.radians(degrees), size)
    assert max(scales, default=0) > 1.5


@settings(deadline=None, max_examples=40)  # the first example builds the tables
@given(st.floats(-0.02, 0.02), st.floats(-40, 40), st.floats(0.01, 0.12), st.sampled_from([0, 1]))
def test_a_large_object_on_a_seam_lies_whole_in_some_view_of_either_lens(
    aside: float, degrees: float, size: float, lens: int
) -> None:
    assert _shown(_plan("seams")[lens], lens, SEAM + aside, math.radians(degrees), size)


@settings(deadline=None, max_examples=40)  # the first example builds the tables
@given(st.floats(-0.6, 0.6), st.floats(-8, 5), st.floats(0.002, 0.035))
def test_everywhere_is_everywhere_the_lens_is_drawn(yaw: float, degrees: float, size: float) -> None:
    assert max(_shown(_plan("everywhere")[0], 0, yaw, math.radians(degrees), size), default=0) > 1.5


def test_seams_cost_less_than_everything() -> None:
    seams, everywhere = (sum(megapixels(views) for views in _plan(where)) for where in ("seams", "everywhere"))
    assert seams < everywhere


@pytest.mark.parametrize("where", ["seams", "everywhere"])
def test_views_are_what_detectors_take_and_begin_inside_the_frame(where: str) -> None:
    for lens, views in zip(RIG.lenses, _plan(where), strict=True):
        assert views
        assert all(view.width % 32 == 0 and view.height % 32 == 0 for view in views)
        assert all(0 <= view.x < lens.width and 0 <= view.y < lens.height for view in views)
        assert all((view.picture_width, view.picture_height) == (lens.width, lens.height) for view in views)
