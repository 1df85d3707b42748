import json

import numpy as np
import pytest

from console.rigs import show
from panoveil.contracts.rig import BrownConrady, KannalaBrandt, Lens, Rig
from panoveil.pixels import lenses
from tests.unit.services.stitcher import virtual


def test_a_dual_fisheye_sees_everything_and_a_little_twice() -> None:
    view = show.describe(virtual.dual_fisheye())
    assert view.coverage == 1
    assert view.street_coverage == 1
    assert 0.1 < view.overlap < 0.25
    assert [lens.name for lens in view.lenses] == ["front", "back"]
    assert abs(view.lenses[1].yaw) == pytest.approx(180, abs=0.1)


def test_a_ring_sees_the_street_but_not_the_poles() -> None:
    view = show.describe(virtual.ring(5))
    assert view.street_coverage == 1
    assert 0.7 < view.coverage < 0.9
    assert [round(lens.yaw) % 360 for lens in view.lenses] == [0, 72, 144, 216, 288]


def test_fineness_is_pixels_per_degree() -> None:
    view = show.describe(virtual.ring(5, size=1000))
    assert view.lenses[0].pixels_per_degree == pytest.approx(np.radians(360))
    assert view.full_width == 2272


def test_the_text_names_every_lens() -> None:
    text = str(show.describe(virtual.ring(5)))
    assert all(f"lens{number}" in text for number in range(5))
    assert "ring" in text.splitlines()[0]


def test_the_picture_is_black_where_nobody_looks_and_lighter_where_two_do() -> None:
    rig = virtual.ring(5)
    image, count = show.picture(rig, 180), show.seen_by(rig, 180).sum(axis=0)
    assert image.shape == (90, 180, 3)
    assert (image[count == 0] == 0).all()
    assert image[count == 2].max(axis=-1).mean() > 0
    assert image[count == 1].max(axis=-1).min() > 60


def _pair(view: show.RigView, one: str, other: str) -> show.PairView:
    return next(pair for pair in view.pairs if {pair.one, pair.other} == {one, other})


def test_neighbours_overlap_by_their_views_less_their_distance_in_yaw() -> None:
    rig = virtual.ring(5)
    view = show.describe(rig)
    ray = lenses.unproject(rig.lenses[0].intrinsics, np.array([199.5, 99.5]))
    half = np.degrees(np.arctan2(ray[0], ray[2]))
    assert len(view.pairs) == 5
    assert all(pair.overlap == pytest.approx(2 * half - 72, abs=0.3) for pair in view.pairs)
    assert all(pair.parallax_5m == 0 for pair in view.pairs)


def test_neighbours_that_share_nothing_are_told_too() -> None:
    view = show.describe(virtual.ring(2))
    assert [(pair.one, pair.other, pair.overlap, pair.parallax_5m) for pair in view.pairs] == [("lens0", "lens1", 0, 0)]
    assert show.describe(virtual.ring(1)).pairs == ()


def test_parallax_is_the_angle_between_two_lenses_in_pixels() -> None:
    rig = virtual.ring(5, size=1000)
    moved = rig.lenses[1].model_copy(update={"position": (0.0, 0.3, 0.0)})
    view = show.describe(rig.model_copy(update={"lenses": (rig.lenses[0], moved, *rig.lenses[2:])}))
    pair = _pair(view, "lens0", "lens1")
    assert pair.parallax_5m == pytest.approx(np.degrees(np.arctan(0.3 / 5)) / 360 * view.full_width, rel=0.01)
    assert pair.parallax_15m == pytest.approx(np.degrees(np.arctan(0.3 / 15)) / 360 * view.full_width, rel=0.01)
    assert _pair(view, "lens3", "lens4").parallax_5m == 0


def test_road_resolution_is_that_of_a_pinhole_over_a_plane() -> None:
    focal, height = 1000.0, 2.0
    lens = Lens(
        name="front",
        width=2000,
        height=2000,
        intrinsics=BrownConrady(fx=focal, fy=focal, cx=999.5, cy=999.5),
        rotation=virtual.turned(0),
    )
    view = show.describe(Rig(rig_id="one", height_above_ground=height, lenses=(lens,)))
    assert {ground.side for ground in view.ground} == {"ahead"}
    for ground in view.ground:
        assert ground.across == pytest.approx(1000 * ground.metres / focal, rel=0.001)
        assert ground.along == pytest.approx(1000 * ground.metres**2 / (focal * height), rel=0.001)
    assert "unseen" in str(view)


def test_the_lens_that_sees_a_spot_is_named() -> None:
    view = show.describe(virtual.ring(4))
    best = {ground.side: ground.lens for ground in view.ground if ground.metres == 10}
    assert best == {"ahead": "lens0", "right": "lens1", "behind": "lens2", "left": "lens3"}


def test_a_program_gets_the_same() -> None:
    view = show.describe(virtual.dual_fisheye())
    found = json.loads(json.dumps(view.as_json()))
    assert found["full_width"] == view.full_width
    assert found["pairs"][0]["one"] == "front"
    assert [lens["name"] for lens in found["lenses"]] == ["front", "back"]
    assert len(found["ground"]) == 16


def test_labels_stand_on_the_coverage_map() -> None:
    rig = virtual.ring(5)
    plain, labelled = show.picture(rig, 720), show.picture_with_labels(rig, 720)
    assert labelled.shape == plain.shape
    changed = (labelled != plain).any(axis=-1)
    assert 0.01 < changed.mean() < 0.1
    for metres in (3, 10):
        row = round((0.5 + np.arctan(rig.height_above_ground / metres) / np.pi) * 360 - 0.5)
        assert (labelled[row] == 255).all(axis=-1).mean() > 0.9


def test_a_spot_at_the_very_edge_of_a_lens_has_no_resolution() -> None:
    edge = np.arctan2(10, 2.5)  # from straight down to the road 10 m ahead
    model = KannalaBrandt(fx=300, fy=300, cx=499.5, cy=499.5, max_theta=float(edge) + 1e-6)
    lens = Lens(name="down", width=1000, height=1000, intrinsics=model, rotation=virtual.turned(0, -90))
    view = show.describe(Rig(rig_id="down", lenses=(lens,)))
    assert {ground.metres for ground in view.ground} == {3, 5}
    assert "Infinity" not in json.dumps(view.as_json())
