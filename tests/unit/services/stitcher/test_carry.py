import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.contracts.recipe import StitchRecipe
from panoveil.contracts.rig import Lens, Rig
from panoveil.detection import Kind
from panoveil.pixels import equirect, lenses
from services.stitcher import proxy, tables
from services.stitcher.carry import NEAREST, Drawing, Span, carried, enclosed, possible, united
from services.stitcher.level import Turn, attitude
from simulator.rigs import demo_rig
from tests.unit.services.stitcher import virtual

Points = NDArray[np.float64]

RECIPE = StitchRecipe(width=1024, mode="fast")
FACE, PLATE = (0.16, 0.22), (0.52, 0.11)


def _apart(rig: Rig, metres: float) -> Rig:
    """Return the rig with every lens so far ahead of the origin, along its own axis."""
    places = [tuple(metres * axis for axis in np.asarray(lens.rotation)[:, 2]) for lens in rig.lenses]
    moved = (lens.model_copy(update={"position": place}) for lens, place in zip(rig.lenses, places, strict=True))
    return rig.model_copy(update={"rig_id": f"{rig.rig_id}-apart", "lenses": tuple(moved)})


RIGS = {"demo": demo_rig(1024), "dual": _apart(virtual.dual_fisheye(), 0.04), "pinholes": _apart(virtual.ring(), 0.3)}


@functools.cache
def _tables(name: str) -> tables.Tables:
    with tempfile.TemporaryDirectory() as folder:
        return tables.load(RIGS[name], RECIPE, Path(folder))


@functools.cache
def _drawing(name: str) -> Drawing:
    return Drawing.of(RIGS[name], RECIPE, _tables(name))


def _quad(place: Points, size: tuple[float, float], turn: tuple[float, float, float]) -> Points:
    """Return points [n, 3] spread over a rectangle in the world, however it is turned."""
    across, down = np.meshgrid(np.linspace(-0.5, 0.5, 15) * size[0], np.linspace(-0.5, 0.5, 15) * size[1])
    flat = np.stack([across, down, np.zeros_like(across)], axis=-1).reshape(-1, 3)
    roll = np.array([[np.cos(turn[2]), -np.sin(turn[2]), 0], [np.sin(turn[2]), np.cos(turn[2]), 0], [0, 0, 1]])
    return np.asarray(place + flat @ roll.T @ np.asarray(virtual.turned(np.degrees(turn[0]), np.degrees(turn[1]))).T)


def _in_lens(lens: Lens, points: Points) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return pixels [n, 2] and bool [n]: on the sensor."""
    pixels, visible = lenses.project(lens.intrinsics, (points - lens.position) @ np.asarray(lens.rotation))
    size = np.array([lens.width, lens.height])
    return pixels, visible & (np.abs(pixels - (size - 1) / 2) <= size / 2).all(axis=-1)


def _bounds(pixels: NDArray[np.float32]) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = pixels.min(axis=0) + 0.5, pixels.max(axis=0) + 0.5
    return float(x0), float(y0), float(x1), float(y1)


def _shown_at(lens: Lens, points: Points, rig: Rig) -> Points:
    """Return directions [n, 3] at which the panorama shows what the lens sees of points, by bisection: the surface is star-shaped."""
    way = points - lens.position
    low, high = np.zeros(len(points)), np.full(len(points), 1e4)
    for _ in range(60):
        middle = (low + high) / 2
        ends = lens.position + way * middle[:, None]
        length = np.linalg.norm(ends, axis=-1)
        surface = proxy.points(ends / length[:, None], rig.height_above_ground, RECIPE.proxy_distance)
        inside = length < np.linalg.norm(surface, axis=-1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(ends)


def _holds(span: Span, yaw: Any, pitch: Any) -> NDArray[np.bool_]:
    tiny = 1e-5
    east = (yaw - span.west + tiny) % (2 * np.pi) <= span.east - span.west + 2 * tiny
    return np.asarray(east & (pitch >= span.south - tiny) & (pitch <= span.north + tiny))


def _escaped(name: str, index: int, quad: Points, turn: Turn | None = None) -> int:
    """Return how many points of the quad the panorama shows, through whichever lens, outside of what is carried from lens `index`."""
    rig, drawing = RIGS[name], _drawing(name)
    pixels, seen = _in_lens(rig.lenses[index], quad)
    if not seen.any():
        return 0
    spans = carried(_bounds(pixels[seen]), index, drawing, turn)
    escaped = 0
    for lens, share in zip(rig.lenses, _tables(name).overview.shares, strict=True):
        visible = seen & _in_lens(lens, quad)[1]
        shown = _shown_at(lens, quad[visible], rig)
        u, v = equirect.to_pixels(shown, share.shape[1]).T
        yaw, pitch = equirect.to_angles(shown if turn is None else shown @ turn)
        rows, columns = np.rint(v).astype(int).clip(0, share.shape[0] - 1), np.rint(u).astype(int) % share.shape[1]
        drawn = share[rows, columns] > 0
        held = np.any([_holds(span, yaw, pitch) for span in spans], axis=0)
        escaped += int((drawn & ~held).sum())
    return escaped


unit = st.floats(0, 1)
angle = st.floats(-np.pi, np.pi)


@pytest.mark.parametrize("name", RIGS)
@settings(deadline=None, max_examples=50)  # the first example builds the tables
@given(lens=st.integers(0, 4), x=unit, y=unit, far=unit, size=st.sampled_from([FACE, PLATE]), turn=st.tuples(angle, angle, angle))
def test_whatever_a_lens_sees_is_carried_to_wherever_it_is_shown(
    name: str, lens: int, x: float, y: float, far: float, size: tuple[float, float], turn: tuple[float, float, float]
) -> None:
    rig = RIGS[name]
    finder = rig.lenses[lens % len(rig.lenses)]
    middle = lenses.unproject(finder.intrinsics, np.array([x * finder.width, y * finder.height])) @ np.asarray(finder.rotation).T
    distance = (NEAREST + max(size) / 2) * 100**far
    quad = _quad(finder.position + distance * middle.astype(np.float64), size, turn)
    assume(quad[:, 1].max() < rig.height_above_ground)
    assert _escaped(name, lens % len(rig.lenses), quad) == 0


@settings(deadline=None, max_examples=50)
@given(lens=st.integers(0, 4), x=unit, y=unit, far=unit, pose=st.tuples(angle, angle, angle))
def test_it_is_carried_to_where_a_turned_panorama_shows_it(
    lens: int, x: float, y: float, far: float, pose: tuple[float, float, float]
) -> None:
    finder = RIGS["demo"].lenses[lens]
    middle = lenses.unproject(finder.intrinsics, np.array([x * finder.width, y * finder.height])) @ np.asarray(finder.rotation).T
    quad = _quad(finder.position + (NEAREST + 0.15) * 100**far * middle.astype(np.float64), FACE, (0.3, 0.1, 0.2))
    assume(quad[:, 1].max() < RIGS["demo"].height_above_ground)
    assert _escaped("demo", lens, quad, attitude(*np.degrees(pose)).T) == 0


def test_under_a_roll_of_ten_degrees_a_find_to_the_right_is_enclosed_ten_degrees_lower() -> None:
    lens, index = RIGS["demo"].lenses[1], 1
    quad = _quad(np.array([9.0, 0.0, 2.9]), FACE, (1.26, 0.0, 0.0))
    box = _bounds(_in_lens(lens, quad)[0])
    (still,), (rolled,) = (carried(box, index, _drawing("demo"), turn) for turn in (None, attitude(0, 0, 10).T))
    lower = np.degrees((still.south + still.north - rolled.south - rolled.north) / 2)
    assert lower == pytest.approx(10 * np.sin(np.arctan2(9, 2.9)), abs=0.2)
    assert _escaped("demo", index, quad, attitude(0, 0, 10).T) == 0
    assert _holds(still, *equirect.to_angles(quad)).all()
    assert not _holds(still, *equirect.to_angles(quad @ attitude(0, 0, 10).T)).any()


@given(st.sampled_from(["face", "plate"]), st.floats(-0.6, 0.6), st.floats(-0.9, 0.5), st.floats(-np.pi, np.pi))
def test_a_face_or_plate_as_near_as_can_be_is_possible(kind: Kind, yaw: float, pitch: float, roll: float) -> None:
    rig, lens = RIGS["demo"], RIGS["demo"].lenses[0]
    towards = equirect.to_rays(np.array(yaw), np.array(pitch)).astype(np.float64)
    size = FACE if kind == "face" else PLATE
    quad = _quad(np.asarray(lens.position) + NEAREST * towards, size, (yaw, pitch, 0.2 * roll))
    assert possible(kind, _bounds(_in_lens(rig.lenses[0], quad)[0]), lens)


@pytest.mark.parametrize("kind", ["face", "plate"])
def test_what_fills_half_a_frame_is_neither(kind: Kind) -> None:
    lens = RIGS["demo"].lenses[0]
    assert not possible(kind, (0.0, lens.height * 0.4, lens.width * 0.5, lens.height * 0.55), lens)


@pytest.mark.parametrize("pitch", [-90.0, -86.0, 88.0, 90.0])
def test_a_box_round_a_pole_spans_all_columns_up_to_it(pitch: float) -> None:
    rig = RIGS["dual"]
    quad = _quad(
        3.0 * equirect.to_rays(np.array(0.2), np.radians(np.array(pitch))).astype(np.float64), (2.0, 2.0), (0.2, 1.57, 0.0)
    )
    quad = quad[quad[:, 1] < rig.height_above_ground] if pitch > 0 else quad * (2.4 / quad[:, 1].max())
    for index in range(2):
        pixels, seen = _in_lens(rig.lenses[index], quad)
        for span in carried(_bounds(pixels[seen]), index, _drawing("dual")):
            assert span.east - span.west >= 2 * np.pi - 1e-9
            assert (span.north if pitch > 0 else -span.south) == pytest.approx(np.pi / 2)
        assert _escaped("dual", index, quad) == 0


def test_a_box_behind_wraps_round() -> None:
    rig = RIGS["demo"]
    quad = _quad(np.array([0.0, 0.5, -6.0]), FACE, (0.0, 0.0, 0.0))
    for index in (2, 3):
        pixels, seen = _in_lens(rig.lenses[index], quad)
        assert seen.all()
        spans = carried(_bounds(pixels), index, _drawing("demo"))
        assert any(span.west < np.pi < span.east for span in spans)
        assert all(-np.pi <= span.west < np.pi for span in spans)


@pytest.mark.parametrize("nearer", [0.0, 0.5, 1.0])
def test_in_best_mode_it_is_carried_to_wherever_between_the_two_surfaces_it_may_be_drawn(nearer: float) -> None:
    """From where the plain surface has it to where the rig's centre sees it; `nearer` is the share of the way."""
    rig, lens = RIGS["demo"], RIGS["demo"].lenses[0]
    quad = _quad(np.array([1.3, 0.4, 3.0]), FACE, (0.0, 0.0, 0.0))
    drawing = dataclasses.replace(_drawing("demo"), recipe=RECIPE.model_copy(update={"mode": "best"}))
    (span,) = carried(_bounds(_in_lens(lens, quad)[0]), 0, drawing)
    plain, centre = _shown_at(lens, quad, rig), quad
    shown = (1 - nearer) * plain / np.linalg.norm(plain, axis=-1, keepdims=True)
    shown = shown + nearer * centre / np.linalg.norm(centre, axis=-1, keepdims=True)
    yaw, pitch = equirect.to_angles(shown)
    assert span.west <= yaw.min() <= yaw.max() <= span.east
    assert span.south <= pitch.min() <= pitch.max() <= span.north


def test_what_one_lens_alone_draws_is_carried_once_and_tightly() -> None:
    rig, lens = RIGS["demo"], RIGS["demo"].lenses[0]
    quad = _quad(np.array([0.4, 0.6, 8.0]), FACE, (0.0, 0.0, 0.0))
    (span,) = carried(_bounds(_in_lens(lens, quad)[0]), 0, _drawing("demo"))
    yaw, pitch = equirect.to_angles(_shown_at(lens, quad, rig))
    tight = float((yaw.max() - yaw.min()) * (pitch.max() - pitch.min()))
    assert (span.east - span.west) * (span.north - span.south) < 1.15 * tight


def test_a_neighbour_that_draws_it_too_adds_its_own() -> None:
    rig = RIGS["demo"]
    seam = np.radians(36)
    quad = _quad(5.0 * np.array([np.sin(seam), 0.1, np.cos(seam)]), FACE, (seam, 0.0, 0.0))
    spans = carried(_bounds(_in_lens(rig.lenses[0], quad)[0]), 0, _drawing("demo"))
    assert len(spans) == 2
    middles = [(span.west + span.east) / 2 for span in spans]
    assert middles[0] != pytest.approx(middles[1], abs=1e-3)


def test_a_finder_whose_view_is_not_drawn_there_leaves_the_place_to_those_who_draw() -> None:
    rig = RIGS["demo"]
    aside = np.radians(43)
    quad = _quad(30.0 * np.array([np.sin(aside), 0.0, np.cos(aside)]), FACE, (aside, 0.0, 0.0))
    spans = carried(_bounds(_in_lens(rig.lenses[0], quad)[0]), 0, _drawing("demo"))
    assert len(spans) == 1
    assert _escaped("demo", 0, quad) == 0


@given(st.floats(-3.1, 3.1), st.floats(-1.2, 1.2), st.floats(0.001, 0.2))
def test_an_outline_lies_within_its_span(yaw: float, pitch: float, radius: float) -> None:
    turns = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    around, up = yaw + radius * np.cos(turns), pitch + radius * np.sin(turns)
    span = enclosed([equirect.to_rays(around, up)])
    assert _holds(span, around, up).all()
    assert span.east - span.west < 2.2 * radius


def test_united_spans_meet_across_the_edge() -> None:
    first, second = Span(3.0, 3.2, 0.0, 0.1), Span(-3.1, -3.0, -0.1, 0.05)
    both = united([first, second])
    assert (both.west, both.south, both.north) == (3.0, -0.1, 0.1)
    assert both.east == pytest.approx(2 * np.pi - 3.0)
