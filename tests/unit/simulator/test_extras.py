import numpy as np
import pytest

from simulator.extras import AWKWARD, Extras
from simulator.rigs import demo_rig
from simulator.stage import mounted, truths
from simulator.street import Street
from simulator.truth import TrueObject, unrolled
from simulator.views import Station

_WIDTH = 8192
_STATION = Station(1.2, 0.0, 30.0, 0.3)


def _seen(extras: Extras, capture: int) -> tuple[TrueObject, ...]:
    rig = demo_rig(_WIDTH)
    return truths(extras.placed(_STATION, capture, _WIDTH), rig, mounted(rig, _STATION), _WIDTH)


def _holds(item: TrueObject, yaw: float) -> bool:
    west, _, east, _ = unrolled(item)
    return any(west <= yaw + turn <= east for turn in (-360, 0, 360))


@pytest.mark.parametrize(("kind", "extras"), [("face", Extras(people=5)), ("plate", Extras(cars=5))])
def test_most_stand_across_an_awkward_yaw(kind: str, extras: Extras) -> None:
    items = [item for capture in range(6) for item in _seen(extras, capture) if item.kind == kind]
    assert len(items) >= 15
    assert sum(any(_holds(item, yaw) for yaw in AWKWARD) for item in items) >= 0.8 * len(items)


def test_faces_and_plates_stand_across_the_wrap_in_turn() -> None:
    at_wrap = [{item.kind for item in _seen(Extras(people=3, cars=3), capture) if _holds(item, 180)} for capture in range(6)]
    assert set().union(*at_wrap[::2]) == {"face"}
    assert set().union(*at_wrap[1::2]) == {"plate"}


def test_what_stands_farther_is_smaller() -> None:
    near, far = (
        [item.height_px for capture in range(6) for item in _seen(Extras(people=5, seed=3, far=factor), capture)]
        for factor in (1, 3)
    )
    assert np.median(far) < 0.8 * np.median(near)


def test_nobody_stands_in_a_house() -> None:
    away = [
        thing.place[0] - _STATION.x for seed in range(9) for thing in Extras(5, seed=seed, far=4, room=5).placed(_STATION, 0, 64)
    ]
    assert max(np.abs(away)) > 4
    assert max(np.abs(away)) <= 5


def test_the_same_seed_places_the_same_and_another_another() -> None:
    first, again, other = (_seen(Extras(people=2, cars=2, seed=seed), 0) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_street_shows_and_knows_its_extras() -> None:
    rig = demo_rig(512)
    plain, peopled = Street(3, 1, 512), Street(3, 1, 512, Extras(people=3, seed=1))
    rear = rig.lenses[2]
    assert (plain.frame(rig, rear, 0) != peopled.frame(rig, rear, 0)).any()
    gained = set(peopled.truth(rig, 0, 4096)) - set(plain.truth(rig, 0, 4096))
    assert any(_holds(item, 180) for item in gained)
