from dataclasses import replace

import numpy as np
import pytest

from simulator import people

_FINENESS = 110


def _person() -> people.Person:
    return replace(people.someone(np.random.default_rng(1)), hat="", hair_style="short")


@pytest.mark.parametrize("yaw", [0.0, 0.6, -1.2])
def test_the_face_lies_within_the_head(yaw: float) -> None:
    picture = people.figure(_person(), 0.0, yaw, _FINENESS)
    outline = people.face_outline(yaw)
    columns = picture.shape[1] / 2 + outline[:, 0] * _FINENESS
    rows = picture.shape[0] - (people.head_height(_person()) - outline[:, 1]) * _FINENESS
    inside = picture[np.clip(rows, 0, None).astype(int), columns.astype(int), 3] > 127
    assert inside.mean() > 0.85


def test_a_figure_is_as_tall_as_the_person() -> None:
    person = _person()
    solid = np.flatnonzero((people.figure(person, 0.0, 0.0, _FINENESS)[..., 3] > 127).any(axis=1))
    assert (solid[-1] - solid[0]) / _FINENESS == pytest.approx(person.height, abs=0.05)


def test_turning_the_head_to_the_viewers_right_moves_the_face_right() -> None:
    assert people.face_outline(0.7)[:, 0].mean() > 0.01
    assert people.face_outline(-0.7)[:, 0].mean() < -0.01


def test_from_behind_there_is_hair_where_the_face_was() -> None:
    person = replace(_person(), skin=(0.8, 0.5, 0.4), hair=(0.02, 0.02, 0.02))
    front, back = (people.head(person, yaw, _FINENESS).astype(float) for yaw in (0.0, np.pi))
    middle = np.s_[front.shape[0] // 2 - 5 : front.shape[0] // 2, front.shape[1] // 2 - 5 : front.shape[1] // 2 + 5, :3]
    assert front[middle].mean() > 2 * back[middle].mean()


def test_people_differ_by_seed_only() -> None:
    first, again, other = (people.someone(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
