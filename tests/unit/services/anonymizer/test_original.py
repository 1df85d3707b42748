import cv2
import numpy as np
import pytest

from panoveil.contracts.recipe import Obfuscator
from panoveil.pixels import jpeg
from services.anonymizer.metadata import scan
from services.anonymizer.original import Original
from services.anonymizer.regions import Extent, Rect, mask
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


@pytest.mark.parametrize("style", ["inpaint", "fill"])
def test_two_files_that_differ_only_in_what_is_hidden_are_published_as_the_same_bytes(style: Obfuscator) -> None:
    """Objects that fill blocks, under a rectangle with the least margin there is: nothing of them comes through, not a bit."""
    rect = (Rect(93, 77, 147, 131),)
    picture = scenes.street(512, 256)
    other = picture.copy()
    scenes.paint(other, scenes.FACE, 96, 80, 48, 48)
    files = [jpeg.encode_patchable(each, 92) for each in (picture, other)]
    first, second = (Original.of(jpeg.decode(file), file, 90) for file in files)
    assert files[0] != files[1]
    assert first.obfuscated(rect, style, PANORAMA) == second.obfuscated(rect, style, PANORAMA)


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
