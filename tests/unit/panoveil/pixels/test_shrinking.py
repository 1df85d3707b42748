from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from panoveil.pixels.shrinking import Shrinking


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5, 6])
def test_a_pixel_is_the_mean_of_a_square(factor: int) -> None:
    picture = np.random.default_rng(factor).integers(0, 256, (120, 240, 3), dtype=np.uint8)
    squares = picture.reshape(120 // factor, factor, 240 // factor, factor, 3).mean(axis=(1, 3))
    assert np.abs(Shrinking(picture).by(factor) - squares).max() <= 1.1


def test_a_remainder_at_the_edge_adds_no_pixel() -> None:
    assert Shrinking(np.zeros((31, 65, 3), np.uint8)).by(4).shape == (7, 16, 3)


def test_every_size_is_made_once_for_all_threads() -> None:
    shrinking = Shrinking(np.zeros((64, 128, 3), np.uint8))
    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(shrinking.by, [4] * 8)
    assert all(other is first for other in others)
