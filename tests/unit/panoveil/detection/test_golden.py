import numpy as np
import pytest

from panoveil.detection import KINDS, Golden, Kind, street


@pytest.fixture(scope="module", name="golden")
def the_golden() -> Golden:
    return street()


def test_the_picture_is_the_same_every_time(golden: Golden) -> None:
    assert np.array_equal(golden.picture, street().picture)
    assert golden.picture.shape == (320, 320, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawn_object_counts_as_found(golden: Golden, kind: Kind) -> None:
    boxes = np.array([golden.boxes[kind]], np.float32)
    assert golden.is_found(kind, boxes, np.array([0.6], np.float32))
    assert not golden.is_found(kind, boxes, np.array([0.1], np.float32))
    assert not golden.is_found(kind, boxes + 60, np.array([0.9], np.float32))
    assert not golden.is_found(kind, np.empty((0, 4), np.float32), np.empty(0, np.float32))
