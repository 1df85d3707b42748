import numpy as np
import pytest

from simulator.rigs import demo_rig
from simulator.street import Street

_WIDTH = 512


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(1, 3, _WIDTH)


def test_the_sky_is_above_the_road_below_and_something_between(street: Street) -> None:
    rig = demo_rig(_WIDTH)
    frame = street.frame(rig, rig.lenses[0], 1).astype(float)
    top, bottom = frame[:20].mean(axis=(0, 1)), frame[-20:].mean(axis=(0, 1))
    assert top[2] > 150
    assert bottom.max() < 140
    assert frame.std() > 30


def test_neighbouring_captures_differ_and_the_same_one_does_not(street: Street) -> None:
    rig = demo_rig(_WIDTH)
    first, again, next_one = (street.frame(rig, rig.lenses[2], capture) for capture in (0, 0, 1))
    assert (first == again).all()
    assert np.abs(first.astype(int) - next_one).mean() > 3


def test_the_truth_scales_with_the_panorama(street: Street) -> None:
    rig = demo_rig(_WIDTH)
    coarse, fine = (street.truth(rig, 1, width) for width in (_WIDTH, 4096))
    assert len(fine) > len(coarse)
    assert {item.kind for capture in range(3) for item in street.truth(rig, capture, 4096)} == {"face", "plate"}
    assert all(item.height_px >= 5 and 0.25 <= item.visible <= 1 for item in fine)
    assert all(-57 < item.south < item.north < 10 for item in fine)


def test_a_street_has_an_end(street: Street) -> None:
    with pytest.raises(IndexError, match="built for 3 captures"):
        street.station(3)


def test_a_car_that_leans_is_seen_so_and_its_truth_is_that_of_the_levelled_panorama(street: Street) -> None:
    leaning = Street(1, 3, _WIDTH, tilt=3.0)
    rig = demo_rig(_WIDTH)
    leans = np.degrees([(leaning.station(capture).pitch, leaning.station(capture).roll) for capture in range(3)])
    assert 0.5 < np.abs(leans).max() <= 3
    assert len(set(leans.ravel())) == 6
    assert [leaning.station(capture).level for capture in range(3)] == [street.station(capture) for capture in range(3)]
    level, seen = (world.frame(rig, rig.lenses[0], 1).astype(int) for world in (street, leaning))
    assert np.abs(level - seen).mean() > 3
    boxes = [{(item.west, item.south, item.east, item.north) for item in w.truth(rig, 1, 4096)} for w in (street, leaning)]
    assert len(boxes[0] & boxes[1]) > 0.9 * len(boxes[0])
