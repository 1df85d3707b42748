import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panoveil.detection import Detections
from panoveil.detection._tiles import OVERLAP, joined, tiles

SIDES = st.integers(1, 80).map(lambda count: 32 * count)
LIMITS = st.integers(20, 60).map(lambda count: 32 * count)


@given(SIDES, SIDES, LIMITS)
def test_tiles_lie_in_the_picture_and_are_no_larger_than_the_model_takes(width: int, height: int, longest: int) -> None:
    for tile in tiles(width, height, longest):
        assert 0 <= tile.x <= tile.x + tile.width <= width
        assert 0 <= tile.y <= tile.y + tile.height <= height
        assert max(tile.width, tile.height) <= longest
        assert tile.width % 32 == tile.height % 32 == 0


@given(SIDES, SIDES, LIMITS, st.data())
def test_every_object_up_to_the_overlap_lies_whole_in_a_tile(width: int, height: int, longest: int, data: st.DataObject) -> None:
    across, down = (data.draw(st.integers(1, min(side, OVERLAP))) for side in (width, height))
    x, y = data.draw(st.integers(0, width - across)), data.draw(st.integers(0, height - down))
    assert any(
        tile.x <= x and x + across <= tile.x + tile.width and tile.y <= y and y + down <= tile.y + tile.height
        for tile in tiles(width, height, longest)
    )


@pytest.mark.parametrize("longest", [None, 640])
def test_a_picture_that_is_small_enough_stays_whole(longest: int | None) -> None:
    (tile,) = tiles(640, 320, longest)
    assert (tile.x, tile.y, tile.width, tile.height) == (0, 0, 640, 320)


def test_what_is_found_in_pieces_lies_where_it_lies_in_the_picture() -> None:
    images = np.zeros((2, 320, 1024, 3), np.uint8)
    images[1, 100:110, 900:930] = 255
    pieces = tiles(1024, 320, 640)
    nothing, found = joined(pieces, [[bright(image) for image in tile.of(images)] for tile in pieces])
    assert nothing.boxes.shape == (0, 4)
    assert found.boxes.tolist() == [[900, 100, 930, 110]]


def bright(image: np.ndarray) -> Detections:
    rows, columns = np.nonzero(image[..., 0])
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if rows.size else []
    return Detections(np.array(box, np.float32).reshape(-1, 4), np.full(len(box) // 4, 0.9, np.float32))
