"""What is made of a verified panorama for those who only look at it: a thumbnail, and a pyramid of tiles that is read in parts.

Both are made from the decoded pixels that passed the last look, by averaging them: they show less than what was verified, nothing else.

The pyramid is one PMTiles v3 archive of JPEG tiles. At zoom `z` the panorama is `2**z` tiles wide and half as many high, west to east
and north to south; zoom 0 is the whole of it in half a tile. It ends one zoom short of the panorama itself: the finest tiles would be as
many bytes as the panorama, so the archive's metadata says how to read those out of the panorama's own JPEG instead, whose restart
markers let every band of rows be decoded alone. Such a band is a JPEG of `header`, its height put in at byte `height_at` (16 bits, big
end first), the bytes of its span (first, end), and an end-of-image marker.
"""

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from panoveil.pixels import jpeg
from panoveil.pixels.baseline import Layout, layout

Picture = NDArray[np.uint8]

QUALITY = 85
LARGEST_TILE = 768
"""Pixels; tiles are as large as half of that at least."""

LEAST_BAND = 16
"""Rows of MCUs that are read at once at least: fewer save little, for what is looked at spans many."""

_RESTARTS = 8
"""Restart markers count from 0 to 7: a band must begin where they begin anew."""


@dataclass(frozen=True, slots=True)
class Derivatives:
    """A thumbnail (JPEG) and a pyramid (PMTiles), and every JPEG that is in them, for whoever looks them through."""

    thumbnail: bytes
    tiles: bytes
    pictures: tuple[bytes, ...]


def derived(picture: Picture, data: bytes) -> Derivatives:
    """Make the derivatives of a panorama, uint8 [W / 2, W, 3] RGB, and of the JPEG it was decoded from."""
    zooms = zoom_of(picture.shape[1])
    levels = _levels(picture, zooms)
    thumbnail = jpeg.encode(levels[0], QUALITY)
    tiles = {(0, 0, 0): thumbnail}
    for zoom in range(1, zooms):
        tiles |= {(zoom, x, y): jpeg.encode(tile, QUALITY) for x, y, tile in _cut(levels[zoom], 2**zoom)}
    archive = _archive(tiles, _metadata(picture, layout(data), zooms))
    return Derivatives(thumbnail, archive, tuple(tiles.values()))


def zoom_of(width: int) -> int:
    """Return the zoom at which the tiles are the panorama's own pixels; 1 at least, for half a tile is no tile."""
    return max(1, math.ceil(math.log2(width / LARGEST_TILE)))


def _levels(picture: Picture, zooms: int) -> list[Picture]:
    """Return the panorama at every zoom below its own; each is averaged from the one above it."""
    tile = picture.shape[1] >> zooms
    levels: list[Picture] = []
    for zoom in reversed(range(zooms)):
        size = (tile << zoom, max(1, (tile << zoom) // 2))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        levels.insert(0, picture)
    return levels


def _cut(level: Picture, across: int) -> Iterator[tuple[int, int, Picture]]:
    tile = level.shape[1] // across
    for y in range(across // 2):
        for x in range(across):
            yield x, y, level[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]


def _archive(tiles: dict[tuple[int, int, int], bytes], metadata: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    writer = Writer(file)
    for number, tile in sorted((zxy_to_tileid(*place), tile) for place, tile in tiles.items()):
        writer.write_tile(number, tile)
    writer.finalize({"tile_compression": Compression.NONE, "tile_type": TileType.JPEG}, metadata)
    return file.getvalue()


def _metadata(picture: Picture, coded: Layout, zooms: int) -> dict[str, Any]:
    height, width = picture.shape[:2]
    return {
        "name": "panorama",
        "format": "jpg",
        "panoveil": {
            "version": 1,
            "projection": "equirectangular",
            "width": width,
            "height": height,
            "tile": width >> zooms,
            "zoom": zooms,
            "bands": _bands(coded),
        },
    }


def _bands(coded: Layout) -> dict[str, Any]:
    """Return how to decode the JPEG band by band, each of `rows` pixels but for the last."""
    rows, columns = coded.units
    step = _step(columns, coded.restart)
    intervals = [row * columns // coded.restart for row in range(0, rows, step)]
    spans = pairwise([*intervals, len(coded.segments)])
    return {
        "rows": step * coded.unit[1],
        "header": base64.b64encode(coded.header()).decode(),
        "height_at": _height_at(coded),
        "spans": [[int(coded.segments[first, 0]), int(coded.segments[end - 1, 1])] for first, end in spans],
    }


def _height_at(coded: Layout) -> int:
    """Return the byte of the header from which on it says how high the picture is."""
    one, other = (replace(coded, height=height).header() for height in (0x0101, 0x0202))
    return next(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)


def _step(columns: int, restart: int) -> int:
    """Return the fewest rows of MCUs, `LEAST_BAND` at least, after which a restart marker is due and the count of them begins anew."""
    cycle = restart * _RESTARTS
    whole = cycle // math.gcd(cycle, columns)
    return whole * -(-LEAST_BAND // whole)
