import base64
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pmtiles.reader import MemorySource, Reader, all_tiles

from panoveil.pixels import jpeg
from services.anonymizer.derivatives import derived, zoom_of
from services.anonymizer.metadata import scan
from tests.unit.services.anonymizer import scenes

END_OF_IMAGE = b"\xff\xd9"


def panorama(width: int) -> tuple[NDArray[np.uint8], bytes]:
    """A panorama as it is published, and the pixels that its bytes show."""
    street = cv2.resize(scenes.street(256, 128), (width, width // 2), interpolation=cv2.INTER_CUBIC)
    data = jpeg.encode_patchable(np.asarray(street, np.uint8), 92)
    return jpeg.decode(data), data


def facts(tiles: bytes) -> dict[str, Any]:
    found: dict[str, Any] = Reader(MemorySource(tiles)).metadata()["panoveil"]
    return found


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize(
    ("width", "zoom"), [(512, 1), (1024, 1), (1536, 1), (1600, 2), (4096, 3), (8192, 4), (12000, 4), (16384, 5)]
)
def test_tiles_are_between_384_and_768_pixels(width: int, zoom: int) -> None:
    assert zoom_of(width) == zoom
    assert width < 768 or 384 <= width >> zoom <= 768


@pytest.mark.parametrize("width", [512, 2048, 3232])
def test_every_zoom_shows_the_whole_panorama_averaged(width: int) -> None:
    picture, data = panorama(width)
    found = dict(all_tiles(MemorySource(derived(picture, data).tiles)))
    tile, zooms = width >> zoom_of(width), zoom_of(width)
    assert set(found) == {(0, 0, 0)} | {(z, x, y) for z in range(1, zooms) for x in range(2**z) for y in range(2 ** (z - 1))}
    for (zoom, x, y), text in found.items():
        shown = jpeg.decode(text)
        assert shown.shape == (tile if zoom else tile // 2, tile, 3)
        level = np.asarray(cv2.resize(picture, (tile << zoom, (tile << zoom) // 2), interpolation=cv2.INTER_AREA), np.uint8)
        assert difference(shown, level[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]) < 3


def test_the_archive_says_what_is_in_it() -> None:
    picture, data = panorama(2048)
    made = derived(picture, data)
    header = Reader(MemorySource(made.tiles)).header()
    assert (header["min_zoom"], header["max_zoom"], header["addressed_tiles_count"], header["clustered"]) == (0, 1, 3, True)
    assert header["tile_data_offset"] + header["tile_data_length"] == len(made.tiles)
    assert header["tile_data_offset"] < 16_384  # what readers fetch first tells them all
    told = facts(made.tiles)
    assert (told["width"], told["height"], told["tile"], told["zoom"]) == (2048, 1024, 512, 2)


def test_the_thumbnail_is_the_coarsest_tile() -> None:
    picture, data = panorama(2048)
    made = derived(picture, data)
    assert made.thumbnail == Reader(MemorySource(made.tiles)).get(0, 0, 0)
    assert jpeg.dimensions(made.thumbnail) == (512, 256)


@pytest.mark.parametrize("width", [512, 1024, 2048, 3232, 4128])
def test_the_finest_tiles_are_read_out_of_the_panorama_itself(width: int) -> None:
    picture, data = panorama(width)
    bands = facts(derived(picture, data).tiles)["bands"]
    shown = [band(data, bands, number, picture.shape[0]) for number in range(len(bands["spans"]))]
    assert np.concatenate(shown).shape == picture.shape
    for number, pixels in enumerate(shown):
        top = number * bands["rows"]
        same = pixels[1:-1] == picture[top : top + len(pixels)][1:-1]  # the rows at its edges borrow colour from what lies beyond
        assert same.all()


def band(data: bytes, bands: dict[str, Any], number: int, height: int) -> NDArray[np.uint8]:
    header = bytearray(base64.b64decode(bands["header"]))
    rows = min(bands["rows"], height - number * bands["rows"])
    struct.pack_into(">H", header, bands["height_at"], rows)
    first, end = bands["spans"][number]
    return jpeg.decode(bytes(header) + data[first:end] + END_OF_IMAGE)


def test_bands_are_so_many_that_little_is_read_in_vain() -> None:
    picture, data = panorama(4096)
    bands = facts(derived(picture, data).tiles)["bands"]
    assert (bands["rows"], len(bands["spans"])) == (256, 8)


def test_nothing_but_pixels_and_tables_is_in_them() -> None:
    picture, data = panorama(1600)
    made = derived(picture, data)
    assert len(made.pictures) == 3  # the whole, and two halves of it
    assert [finding for each in (made.thumbnail, *made.pictures) for finding in scan(each)] == []
    assert set(made.pictures) == {text for _, text in all_tiles(MemorySource(made.tiles))}


def test_the_same_panorama_gives_the_same_bytes() -> None:
    picture, data = panorama(1600)
    assert derived(picture, data) == derived(picture.copy(), bytes(data))
