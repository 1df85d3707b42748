import numpy as np
import pytest

from services.stitcher import quality

SEEN = np.ones((2, 32, 64), bool)


def _views(one: float, other: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.stack([np.full((32, 64, 3), one), np.full((32, 64, 3), other)])


def test_numbers_of_a_flat_panorama() -> None:
    found = quality.measure(np.full((64, 128, 3), 90, np.uint8), _views(90, 100), SEEN)
    assert found.sharpness == 0
    assert found.clipped_share == 0
    assert found.overlap_difference == pytest.approx(10)
    assert found.coverage == 1


def test_blur_is_less_sharp() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 192, 3), dtype=np.uint8)
    smooth = np.asarray(noise // 4 + 90, np.uint8)
    assert quality.measure(smooth, _views(1, 1), SEEN).sharpness < quality.measure(noise, _views(1, 1), SEEN).sharpness


def test_black_and_white_count_as_clipped() -> None:
    image = np.full((64, 128, 3), 90, np.uint8)
    image[:16] = 0
    image[48:, :, 0] = 255
    assert quality.measure(image, _views(1, 1), SEEN).clipped_share == pytest.approx(0.5)


def test_coverage_counts_area_on_the_sphere() -> None:
    seen = np.zeros((1, 90, 180), bool)
    seen[0, 30:60] = True
    assert quality.coverage(seen) == pytest.approx(0.5, abs=0.01)
    assert quality.overlap(seen) == 0


def test_no_overlap_differs_by_nothing() -> None:
    apart = SEEN.copy()
    apart[0, :, :32], apart[1, :, 32:] = False, False
    found = quality.measure(np.full((64, 128, 3), 90, np.uint8), _views(9, 200), apart)
    assert found.overlap_difference == 0
    assert found.coverage == 1
