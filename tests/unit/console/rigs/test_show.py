import numpy as np
import pytest

from console.rigs import show
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
