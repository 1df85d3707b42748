import math
from typing import cast

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.detection import KINDS, Kind
from panoveil.detection.views import (
    REACH,
    SIZES,
    Crop,
    PlanName,
    Rectilinear,
    View,
    flat_plan,
    footprint,
    looking_at,
    megapixels,
    panorama_plan,
    south,
)
from panoveil.pixels import equirect
from panoveil.pixels.shrinking import Shrinking
from tests.unit.services.anonymizer import scenes

WIDTH = 2048
PLANS: list[PlanName] = ["fast", "standard", "thorough"]
names = st.sampled_from(PLANS)


def square(yaw: float, pitch: float, size: float, steps: int = 7) -> np.ndarray:
    """Rays to the outline of a square of `size` radians, held upright towards (yaw, pitch)."""
    side = np.linspace(-math.tan(size / 2), math.tan(size / 2), steps)
    edge = np.full(steps, side[-1])
    right = np.concatenate([side, side, edge, -edge])
    down = np.concatenate([edge, -edge, side, side])
    camera = Rectilinear(yaw, pitch, 2, 2, 1.0, WIDTH)
    return camera.rays(right + 1, down + 1)


def holds(view: View, rays: np.ndarray) -> bool:
    if isinstance(view, Rectilinear):
        points, ahead = view.project(rays)
        return bool(ahead.all() and (points >= 0).all() and (points <= (view.width, view.height)).all())
    assert isinstance(view, Crop)
    pixels = equirect.to_pixels(rays, view.picture_width).astype(np.float64) + 0.5
    x = (pixels[:, 0] - view.x) % view.picture_width * view.scale
    y = (pixels[:, 1] - view.y) * view.scale
    return bool((x <= view.width).all() and (y >= 0).all() and (y <= view.height).all())


HIGHEST: dict[Kind, float] = {"face": 90.0, "plate": 40.0}
"""Degrees above the horizon up to which a kind is looked for."""


@given(
    kind=st.sampled_from(KINDS), name=names, second=st.booleans(), yaw=st.floats(-math.pi, math.pi), up=st.floats(0, 1),
    size=st.floats(0.01, math.radians(9)),
)  # fmt: skip
def test_every_object_of_nine_degrees_lies_whole_in_some_view_that_looks_for_its_kind(
    kind: Kind, name: PlanName, yaw: float, up: float, size: float, *, second: bool
) -> None:
    rays = square(yaw, math.radians(up * (HIGHEST[kind] + 90) - 90), size)
    assert any(holds(view, rays) for view in panorama_plan(WIDTH, name, second=second) if kind in view.kinds)


@given(
    name=st.sampled_from(["standard", "thorough"]), yaw=st.floats(-math.pi, math.pi), distance=st.floats(4.0, 40.0),
    rise=st.floats(-2.0, 2.0), size=st.floats(0.1, 0.3),
)  # fmt: skip
def test_a_plate_beside_the_road_is_looked_at_closely_below_the_cameras_and_above(
    name: PlanName, yaw: float, distance: float, rise: float, size: float
) -> None:
    """Plates are 0.11 m tall, slanted ones take up as much as 0.3 m; `rise` is how many metres above the cameras one hangs."""
    rays = square(yaw, math.atan(rise / distance), size / distance)
    tall = 0.11 / math.hypot(distance, rise) * 8192 / (2 * math.pi)
    seen = [view for view in panorama_plan(8192, name) if "plate" in view.kinds and holds(view, rays)]
    largest = max(tall * view.scale for view in seen if isinstance(view, Crop))
    assert largest >= (16.0 if rise <= 0 else 10.0) or largest >= 2 * tall


@given(names, st.floats(-math.pi, math.pi), st.floats(-12, 4))
def test_small_objects_near_the_horizon_are_seen_enlarged(name: PlanName, yaw: float, degrees: float) -> None:
    rays = square(yaw, math.radians(degrees), math.radians(3))
    seen = [view.scale for view in panorama_plan(4096, name) if isinstance(view, Crop) and holds(view, rays)]
    assert max(seen) >= 1.5


@given(
    width=st.integers(40, 3000), height=st.integers(40, 3000), second=st.booleans(),
    left=st.floats(0, 1), top=st.floats(0, 1), across=st.floats(0.02, 1), down=st.floats(0.02, 1),
)  # fmt: skip
def test_every_object_of_a_photo_lies_whole_in_some_view(
    width: int, height: int, left: float, top: float, across: float, down: float, *, second: bool
) -> None:
    x0, y0 = left * width * (1 - across), top * height * (1 - down)
    box = (x0, y0, x0 + across * width, y0 + down * height)
    shown = [footprint(view) for view in flat_plan(width, height, "standard", second=second)]
    assert any(lies_in(box, view) for view in shown)


@given(
    width=st.integers(40, 3000), height=st.integers(40, 3000), second=st.booleans(),
    left=st.floats(0, 1), top=st.floats(0, 1), share=st.floats(0.02, 0.5),
)  # fmt: skip
def test_what_fills_up_to_half_a_photo_is_seen_no_larger_than_a_level_is_meant_for(
    width: int, height: int, left: float, top: float, share: float, *, second: bool
) -> None:
    across, down = share * width, share * height
    x0, y0 = left * (width - across), top * (height - down)
    scales = [
        view.scale
        for view in flat_plan(width, height, "standard", second=second)
        if isinstance(view, Crop) and lies_in((x0, y0, x0 + across, y0 + down), footprint(view))
    ]
    assert min(scales) * max(across, down) <= REACH


def lies_in(box: tuple[float, float, float, float], shown: tuple[float, float, float, float], slack: float = 1e-3) -> bool:
    return shown[0] <= box[0] + slack and shown[1] <= box[1] + slack and shown[2] >= box[2] - slack and shown[3] >= box[3] - slack


@given(name=names, second=st.booleans(), width=st.integers(64, 400))
def test_views_are_what_detectors_take(name: PlanName, width: int, *, second: bool) -> None:
    plan = panorama_plan(width * 32, name, second=second)
    assert all(view.width % 32 == 0 and view.height % 32 == 0 and view.width > 0 and view.height > 0 for view in plan)


def test_the_second_look_has_other_scales_and_other_edges() -> None:
    first, second = ({(view.x, view.scale) for view in panorama_plan(WIDTH, "standard", second=look) if isinstance(view, Crop)}
                     for look in (False, True))  # fmt: skip
    assert not {scale for _, scale in first} & {scale for _, scale in second}
    assert not {x for x, _ in first} & {x for x, _ in second}


def test_what_the_plans_of_a_4096_panorama_cost() -> None:
    cost = {
        name: [
            tuple(round(megapixels(panorama_plan(4096, name, second=second), kind)) for second in (False, True)) for kind in KINDS
        ]
        for name in PLANS
    }
    assert cost == {"fast": [(7, 4), (8, 4)], "standard": [(11, 5), (12, 6)], "thorough": [(36, 23), (42, 28)]}


def shows(view: View, box: tuple[float, float, float, float]) -> bool:
    """Whether a view holds a box of the picture, and as much round it as an object there may need."""
    x0, y0, x1, y1 = footprint(view)
    left = (box[0] - x0) % WIDTH
    return y0 <= box[1] and box[3] <= y1 and left + box[2] - box[0] <= x1 - x0


def fineness(view: View) -> float:
    """View pixels a picture pixel, or a radian."""
    return view.scale if isinstance(view, Crop) else cast("Rectilinear", view).focal


@given(
    name=names, x=st.integers(0, WIDTH - 1), y=st.integers(0, WIDTH // 2 - 41),
    width=st.integers(8, 120), height=st.integers(8, 40),
)  # fmt: skip
def test_a_closer_look_shows_a_box_at_every_scale_of_the_plan_and_costs_no_more(
    name: PlanName, x: int, y: int, width: int, height: int
) -> None:
    box = (float(x), float(y), float(x + width), float(y + height))
    whole = panorama_plan(WIDTH, name, second=True)
    closer = looking_at(whole, [box])
    assert {fineness(view) for view in whole if shows(view, box)} <= {fineness(view) for view in closer if shows(view, box)}
    assert megapixels(closer) <= megapixels(whole)


@given(name=names, x=st.floats(0, WIDTH - 1), y=st.floats(0, WIDTH // 2 - 41), size=st.floats(4, 400))
def test_a_closer_look_comes_in_few_sizes(name: PlanName, x: float, y: float, size: float) -> None:
    whole = panorama_plan(WIDTH, name, second=True)
    known = {*SIZES, *(view.width for view in whole), *(view.height for view in whole)}
    for view in looking_at(whole, [(x, y, x + size, min(y + size, WIDTH / 2))]):
        assert {view.width, view.height} <= known


def test_a_closer_look_at_a_small_box_costs_little() -> None:
    whole = panorama_plan(8192, "standard", second=True)
    assert megapixels(looking_at(whole, [(4000.0, 2100.0, 4040.0, 2140.0)])) < megapixels(whole) / 20


def test_finer_levels_end_nearer_to_the_horizon() -> None:
    for kind in KINDS:
        assert south(4096, 1, kind) < south(4096, 2, kind) < south(8192, 2, kind) < 0


def test_plates_are_looked_for_closely_nearer_to_the_car_than_faces() -> None:
    assert south(8192, 2, "plate") < south(8192, 2, "face")


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 1.5, 2.0])
def test_a_crop_shows_what_it_locates_also_across_the_edge(scale: float) -> None:
    picture = scenes.street(WIDTH, WIDTH // 2)
    scenes.paint(picture, scenes.FACE, WIDTH - 16, 460, 48, 32)
    view = Crop(WIDTH - 128, 400, 512, 256, scale, WIDTH, WIDTH // 2, wraps=True)
    shown = view.sample(Shrinking(picture))
    red = np.argwhere((shown[..., 0] > 200) & (shown[..., 1] < 60))
    (top, left), (bottom, right) = red.min(axis=0), red.max(axis=0) + 1
    (box,) = view.locate(np.array([[left, top, right, bottom]], np.float32))
    assert shown.shape == (256, 512, 3)
    assert np.abs(box - (WIDTH - 16, 460, WIDTH + 32, 492)).max() <= max(1.0, 1 / scale)


@pytest.mark.parametrize(("x", "scale"), [(0, 0.5), (8, 0.25), (8, 0.3), (7, 0.25), (8, 0.75)])
def test_a_coarse_crop_shows_averages_wherever_it_begins(x: int, scale: float) -> None:
    picture = scenes.street(256, 128)
    view = Crop(x, 16, 64, 32, scale, 256, 128, wraps=True)
    right, bottom = x + math.ceil(64 / scale), 16 + math.ceil(32 / scale)
    part = np.concatenate([picture, picture], axis=1)[16:bottom, x:right]
    direct = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:32, :64].astype(int)
    shown = view.sample(Shrinking(picture))[: direct.shape[0], : direct.shape[1]].astype(int)
    assert np.abs(shown - direct).max() <= 2


def test_a_crop_beyond_the_edge_of_a_photo_is_grey_and_its_boxes_are_cut_off() -> None:
    view = Crop(0, 0, 128, 128, 1.0, 100, 80, wraps=False)
    shown = view.sample(Shrinking(np.zeros((80, 100, 3), np.uint8)))
    assert (shown[80:] == 114).all()
    assert (shown[:80, :100] == 0).all()
    assert view.locate(np.array([[90, 70, 128, 128]], np.float32)).tolist() == [[90, 70, 100, 80]]


@given(st.floats(-math.pi, math.pi), st.floats(-1.2, 1.2), st.floats(0, 0.8), st.floats(0, 0.8))
def test_a_rectilinear_box_encloses_what_its_outline_shows(yaw: float, pitch: float, left: float, top: float) -> None:
    view = Rectilinear(yaw, pitch, 320, 320, 200.0, WIDTH)
    box = np.array([left * 320, top * 320, left * 320 + 60, top * 320 + 60], np.float32)
    x0, y0, x1, y1 = view.locate(box[None])[0]
    inside = view.rays(np.array([box[0] + 1, box[2] - 1, box[0] + 30]), np.array([box[1] + 1, box[3] - 1, box[1] + 30]))
    pixels = equirect.to_pixels(inside, WIDTH) + 0.5
    assert ((pixels[:, 0] - x0) % WIDTH <= x1 - x0 + 1).all()
    assert (pixels[:, 1] >= y0 - 1).all()
    assert (pixels[:, 1] <= y1 + 1).all()


@given(st.floats(-math.pi, math.pi), st.floats(-1.5, 1.5), st.floats(1, 319), st.floats(1, 319))
def test_rays_and_points_are_inverse(yaw: float, pitch: float, x: float, y: float) -> None:
    view = Rectilinear(yaw, pitch, 320, 320, 200.0, WIDTH)
    point, ahead = view.project(view.rays(np.array(x), np.array(y)))
    assert ahead
    assert np.abs(point - (x, y)).max() < 0.05


def test_a_box_round_the_nadir_spans_all_columns() -> None:
    view = Rectilinear(0.3, -1.4, 320, 320, 200.0, WIDTH)
    (point, _) = view.project(np.array([0.0, 1.0, 0.0]))
    box = np.array([[point[0] - 20, point[1] - 20, point[0] + 20, point[1] + 20]], np.float32)
    x0, y0, x1, y1 = view.locate(box)[0]
    assert (x0, x1, y1) == (0, WIDTH, WIDTH // 2)
    assert y0 < WIDTH // 2


@pytest.mark.parametrize("yaw", [math.pi, -math.pi, 0.4 * math.pi, -2.1, 0.0])
@pytest.mark.parametrize("pitch", [-1.0, 1.0])
@pytest.mark.parametrize(("width", "focal"), [(WIDTH, 81.0), (WIDTH - 2, 81.0), (WIDTH, 400.0)])
def test_a_rectilinear_view_shows_what_lies_in_its_direction(yaw: float, pitch: float, width: int, focal: float) -> None:
    rays = equirect.rays(width)
    picture = np.asarray(127.5 + 127 * rays, np.uint8)
    view = Rectilinear(yaw, pitch, 320, 320, focal, width)
    seen = view.rays(np.arange(320)[None, :] + 0.5, np.arange(320)[:, None] + 0.5)
    direction = seen / np.linalg.norm(seen, axis=-1, keepdims=True)
    assert np.abs(view.sample(Shrinking(picture)) - (127.5 + 127 * direction)).max() < 4


@pytest.mark.parametrize("focal", [80.0, 200.0, 400.0])
def test_a_rectilinear_view_shows_what_it_locates(focal: float) -> None:
    picture = scenes.street(WIDTH, WIDTH // 2)
    scenes.paint(picture, scenes.FACE, WIDTH - 20, 780, 60, 40)
    view = Rectilinear(math.pi, -0.9, 480, 480, focal, WIDTH)
    shown = view.sample(Shrinking(picture))
    red = np.argwhere((shown[..., 0] > 180) & (shown[..., 1] < 80))
    (top, left), (bottom, right) = red.min(axis=0), red.max(axis=0) + 1
    x0, y0, x1, y1 = view.locate(np.array([[left, top, right, bottom]], np.float32))[0]
    assert x0 <= WIDTH - 20 + 8
    assert x1 >= WIDTH + 40 - 8
    assert y0 <= 780 + 8
    assert y1 >= 820 - 8
