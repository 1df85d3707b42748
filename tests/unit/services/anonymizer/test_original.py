import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panoveil.contracts.recipe import Obfuscator
from panoveil.pixels import jpeg
from services.anonymizer.metadata import scan
from services.anonymizer.original import Original
from services.anonymizer.regions import Extent, Rect, Region, fitted, grown, mask
from tests.unit.services.anonymizer import scenes

PANORAMA = Extent(512, 256, wraps=True)
RECTS = (Rect(100, 80, 140, 110), Rect(130, 100, 150, 118), Rect(500, 120, 530, 150))
AWAY = tuple(Rect((r.x0 - 20) % 512, r.y0 - 20, (r.x0 - 20) % 512 + r.x1 - r.x0 + 40, r.y1 + 20) for r in RECTS)


def stitched() -> bytes:
    return jpeg.encode_patchable(scenes.street(512, 256), 92)


def test_a_patch_leaves_every_pixel_further_off_than_a_block_as_it_was() -> None:
    source = stitched()
    original = Original.of(jpeg.decode(source), source, 90)
    before, after = jpeg.decode(source), jpeg.decode(original.obfuscated(RECTS, "inpaint", PANORAMA))
    differs = (before != after).any(axis=2)
    assert not original.encoded_anew
    assert differs.any()
    assert not differs[~mask(AWAY, PANORAMA)].any()


@given(
    st.floats(0, 511), st.floats(0, 250), st.floats(0.5, 120), st.floats(0.5, 90), st.sampled_from(["inpaint", "fill"]),
    st.sampled_from([Extent(512, 256, wraps=True), Extent(512, 256, wraps=False), Extent(500, 250, wraps=True)]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_two_files_that_differ_only_in_an_object_are_published_as_the_same_bytes(
    x: float, y: float, width: float, height: float, style: Obfuscator, extent: Extent
) -> None:
    """Wherever the object lies on the grid: what coding smears over its MCUs does not come through either, not a bit."""
    region = fitted(Region("plate", 0.9, x, y, x + width, y + height), extent)
    picture = scenes.street(512, 256)[: extent.height, : extent.width].copy()
    other = picture.copy()
    box = Rect(math.floor(region.x0), math.floor(region.y0), math.ceil(region.x1), math.ceil(region.y1))
    other[mask((box,), extent)] = (255, 0, 90)
    files = [jpeg.encode_patchable(each, 92) for each in (picture, other)]
    first, second = (Original.of(jpeg.decode(file), file, 90) for file in files)
    rects = (grown(region, 0.15, extent, first.layout.unit),)
    assert first.obfuscated(rects, style, extent) == second.obfuscated(rects, style, extent)


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (250, 131), (520, 40)])
def test_a_picture_without_a_patchable_file_is_encoded_anew(size: tuple[int, int]) -> None:
    picture = scenes.street(544, 160)[: size[1], : size[0]].copy()
    plain = cv2.imencode(".jpg", picture)[1].tobytes()
    extent = Extent.of(picture, panorama=False)
    for source in (None, plain):
        original = Original.of(picture, source, 90)
        assert original.encoded_anew
        assert jpeg.decode(original.obfuscated((Rect(0, 0, 1, 1),), "inpaint", extent)).shape == picture.shape


def test_what_the_input_says_about_itself_is_dropped() -> None:
    source = stitched()
    told = source[:2] + b"\xff\xfe\x00\x08secret" + source[2:] + b"more"
    original = Original.of(jpeg.decode(told), told, 90)
    assert not original.encoded_anew
    assert scan(told)
    assert scan(original.obfuscated(RECTS, "inpaint", PANORAMA)) == []
    assert scan(original.obfuscated((), "inpaint", PANORAMA)) == []


def test_every_round_starts_from_the_original() -> None:
    source = stitched()
    original = Original.of(jpeg.decode(source), source, 90)
    original.obfuscated(RECTS, "fill", PANORAMA)
    assert np.array_equal(jpeg.decode(original.obfuscated((), "fill", PANORAMA)), jpeg.decode(source))
