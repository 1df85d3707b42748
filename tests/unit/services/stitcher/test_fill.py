import numpy as np
import pytest

from services.stitcher import fill


def test_what_is_known_stays_and_what_is_not_becomes_like_it() -> None:
    image = np.full((64, 128, 3), 100.0) * (1, 0.5, 0.25)
    known = np.zeros((64, 128))
    known[20:40] = 1
    image[known == 0] = 255
    assert fill.smooth(image, known) == pytest.approx(np.broadcast_to((100, 50, 25), image.shape), abs=1)


def test_a_gap_is_bridged_smoothly_and_round_the_wrap() -> None:
    image = np.zeros((64, 128, 3))
    image[:, :64] = 200
    known = np.ones((64, 128))
    known[:, 56:72] = 0
    known[:, :8] = 0
    known[:, 120:] = 0
    filled = fill.smooth(image, known)
    assert np.abs(np.diff(np.concatenate([filled, filled[:, :1]], axis=1)[32, :, 0])).max() < 25
    assert 60 < filled[32, 0, 0] < 140
    assert np.isfinite(filled).all()


def test_nothing_known_is_black_and_finite() -> None:
    assert fill.smooth(np.full((8, 16, 3), 9.0), np.zeros((8, 16))) == pytest.approx(0)


def test_what_is_below_looks_like_the_road_and_not_like_the_sky() -> None:
    image = np.zeros((256, 512, 3))
    image[:128, :, 2], image[128:, :, 0] = 220, 120
    known = np.ones((256, 512))
    known[210:] = 0
    below = fill.smooth(image, known)[215:]
    assert below[..., 0].min() > 100
    assert below[..., 2].max() < 20
