from functools import cache

import numpy as np

from simulator.gathering import Gathering
from simulator.rigs import demo_rig
from simulator.truth import TrueObject

WIDTH = 1024
RIG = demo_rig(WIDTH)


@cache
def _world() -> Gathering:
    return Gathering(seed=5, captures=3, panorama_width=WIDTH)


def _objects() -> list[TrueObject]:
    return [item for capture in range(3) for item in _world().truth(RIG, capture, WIDTH)]


def test_ten_stand_round_every_station_half_of_them_on_seams() -> None:
    for capture in range(3):
        station = _world().station(capture)
        ways = [thing.place - station.place for thing in _world().things(capture)]
        steps = [(np.arctan2(way[0], way[2]) - station.yaw) / np.radians(36) % 10 for way in ways]
        assert sorted(round(step) % 10 for step in steps) == list(range(10))
        assert all(abs(step - round(step)) < 0.07 for step in steps)


def test_who_is_far_is_drawn_first() -> None:
    place = _world().station(0).place
    distances = [float(np.linalg.norm(thing.place - place)) for thing in _world().things(0)]
    assert distances == sorted(distances, reverse=True)


def test_faces_and_plates_are_to_be_seen_of_many_sizes() -> None:
    kinds = {item.kind for item in _objects()}
    heights = [item.height_px for item in _objects()]
    assert kinds == {"face", "plate"}
    assert max(heights) > 2 * min(heights)
