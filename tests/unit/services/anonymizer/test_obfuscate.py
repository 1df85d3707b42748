import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from panoveil.contracts.recipe import Obfuscator
from services.anonymizer.obfuscate import obfuscated, obfuscated_units, share
from services.anonymizer.regions import Extent, Rect, mask
from tests.unit.services.anonymizer import scenes

PANORAMA = Extent(256, 128, wraps=True)
PHOTO = Extent(256, 128, wraps=False)
RECTS = (Rect(30, 20, 60, 40), Rect(50, 35, 80, 70), Rect(100, 0, 140, 24), Rect(240, 50, 256, 80))
ACROSS = (*RECTS, Rect(246, 90, 270, 110))
styles = st.sampled_from(["inpaint", "fill"])


def rects() -> st.SearchStrategy[Rect]:
    return st.builds(
        lambda x, y, w, h: Rect(x, y, min(x + w, 256), min(y + h, 128)),
        st.integers(0, 250), st.integers(0, 120), st.integers(1, 120), st.integers(1, 100),
    )  # fmt: skip


@given(st.lists(rects(), min_size=1, max_size=5).map(tuple), styles, st.integers(0, 9))
@settings(max_examples=60)
def test_the_result_does_not_depend_on_what_was_inside(chosen: tuple[Rect, ...], style: Obfuscator, seed: int) -> None:
    picture = scenes.street(256, 128)
    other = picture.copy()
    inside = mask(chosen, PHOTO)
    other[inside] = np.random.default_rng(seed).integers(0, 256, (int(inside.sum()), 3))
    assert np.array_equal(obfuscated(picture, chosen, style, PHOTO), obfuscated(other, chosen, style, PHOTO))


@pytest.mark.parametrize("style", ["inpaint", "fill"])
def test_nor_does_it_across_the_edge_of_a_panorama(style: Obfuscator) -> None:
    picture = scenes.street(256, 128)
    other = picture.copy()
    other[mask(ACROSS, PANORAMA)] = (255, 0, 255)
    assert np.array_equal(obfuscated(picture, ACROSS, style, PANORAMA), obfuscated(other, ACROSS, style, PANORAMA))


@pytest.mark.parametrize("style", ["inpaint", "fill"])
def test_away_from_the_regions_nothing_changes(style: Obfuscator) -> None:
    picture = scenes.street(256, 128)
    result = obfuscated(picture, ACROSS, style, PANORAMA)
    near = mask(
        tuple(Rect((r.x0 - 5) % 256, max(r.y0 - 5, 0), (r.x0 - 5) % 256 + r.x1 - r.x0 + 10, r.y1 + 5) for r in ACROSS), PANORAMA
    )
    assert np.array_equal(result[~near], picture[~near])
    assert not np.shares_memory(result, picture)


def test_the_fill_continues_the_surroundings() -> None:
    picture = np.full((128, 256, 3), (90, 120, 150), np.uint8)
    picture[20:40, 30:60] = scenes.FACE
    assert np.abs(obfuscated(picture, RECTS, "inpaint", PHOTO).astype(int) - (90, 120, 150)).max() <= 1


def test_a_fill_follows_a_gradient_across_the_edge() -> None:
    picture = np.tile(np.linspace(40, 200, 128, dtype=np.uint8)[:, None, None], (1, 256, 3))
    result = obfuscated(picture, (Rect(246, 40, 266, 80),), "inpaint", PANORAMA).astype(int)
    assert np.abs(result - picture).max() < 40
    assert np.array_equal(result[:, 250], result[:, 255]) or np.abs(result[:, 250] - result[:, 255]).max() < 12


@pytest.mark.parametrize("extent", [PANORAMA, PHOTO])
def test_a_picture_that_is_all_hidden_is_grey(extent: Extent) -> None:
    everything = (Rect(0, 0, 256, 128),)
    assert (obfuscated(scenes.street(256, 128), everything, "inpaint", extent) == 114).all()
    assert share(everything, extent) == 1


def test_an_odd_width_that_is_nearly_all_hidden_ends() -> None:
    extent = Extent(255, 127, wraps=True)
    result = obfuscated(scenes.street(256, 128)[:127, :255], (Rect(3, 0, 256, 127),), "inpaint", extent)
    assert result.shape == (127, 255, 3)


@given(
    st.lists(rects(), min_size=1, max_size=5).map(tuple),
    st.sampled_from(["inpaint", "fill", "blur"]),
    st.sampled_from([PANORAMA, PHOTO]),
)
@example((Rect(0, 0, 1, 4),), "inpaint", PANORAMA)
@settings(max_examples=40)
def test_units_hold_every_pixel_that_changes_and_show_the_same(
    chosen: tuple[Rect, ...], style: Obfuscator, extent: Extent
) -> None:
    picture = scenes.street(256, 128)
    whole = obfuscated(picture, chosen, style, extent)
    shown, units = obfuscated_units(picture, chosen, style, extent, (16, 8))
    inside = np.kron(units, np.ones((8, 16), np.bool_))
    assert np.array_equal(shown[inside], whole[inside])
    assert np.array_equal(whole[~inside], picture[~inside])
    assert all(units[piece[0].start // 8, piece[1].start // 16] for rect in chosen for piece in rect.pieces(256))


def test_a_mosaic_gives_the_mean_of_its_cells_and_never_the_same_noise() -> None:
    picture = np.full((128, 256, 3), 120, np.uint8)
    picture[20:40, 30:50] = 200
    first, second = (obfuscated(picture, (Rect(30, 20, 70, 40),), "mosaic_noise", PHOTO) for _ in range(2))
    assert len(np.unique(first[22:38, 32:48].reshape(-1, 3), axis=0)) == 1
    assert not np.array_equal(first, second)
    assert abs(float(first[22:38, 32:48].mean()) - 200) < 60
    assert abs(float(first[22:38, 52:68].mean()) - 120) < 60


def test_a_blur_mixes_what_is_inside() -> None:
    picture = np.full((128, 256, 3), 40, np.uint8)
    picture[20:40, 30:50] = 240
    inside = obfuscated(picture, (Rect(30, 20, 70, 40),), "blur", PHOTO)[20:40, 30:70]
    assert 40 < inside.min() < inside.max() < 240


def test_nothing_to_hide_changes_nothing() -> None:
    picture = scenes.street(256, 128)
    assert np.array_equal(obfuscated(picture, (), "inpaint", PHOTO), picture)
    assert share((), PHOTO) == 0
