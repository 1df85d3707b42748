from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from panoveil.pixels.shrinking import Shrinking


@pytest.mark.parametrize("times", [0, 1, 2, 3])
@pytest.mark.parametrize(("width", "height"), [(240, 120), (247, 127)])
def test_a_pixel_is_the_mean_of_a_square_and_what_is_left_over_is_in_none(times: int, width: int, height: int) -> None:
    factor = 2**times
    picture = np.random.default_rng(factor).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows, columns = height // factor, width // factor
    whole = picture[: rows * factor, : columns * factor]
    squares = whole.reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3))
    assert np.abs(Shrinking(picture).halved(times) - squares).max() <= 1.6


def test_every_size_is_made_once_for_all_threads() -> None:
    shrinking = Shrinking(np.zeros((64, 128, 3), np.uint8))
    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(shrinking.halved, [2] * 8)
    assert all(other is first for other in others)
