import struct
from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from panoveil.pixels import jpeg
from panoveil.pixels.baseline import Layout, Unpatchable, layout
from panoveil.pixels.patch import ZIGZAG, coefficients, patched

Picture = NDArray[np.uint8]
SAMPLINGS = {"420": (16, 16), "422": (16, 8), "440": (8, 16), "444": (8, 8)}


def noisy(width: int, height: int, seed: int) -> Picture:
    """A picture with some of everything: flat, gradients, edges, noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 24), max(2, width // 24), 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    picture[:, width // 2 :] += rng.integers(-90, 90, (height, width - width // 2, 3), dtype=np.int16)
    picture[height // 2 :, : width // 3] = 255 * rng.integers(0, 2)
    return picture.clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=32)
def written(width: int, height: int, quality: int = 90, restart: int = 8, sampling: str = "420", optimize: int = 0) -> bytes:
    options = {
        cv2.IMWRITE_JPEG_QUALITY: quality,
        cv2.IMWRITE_JPEG_RST_INTERVAL: restart,
        cv2.IMWRITE_JPEG_OPTIMIZE: optimize,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}"),
    }
    return cv2.imencode(".jpg", noisy(width, height, 5), [value for pair in options.items() for value in pair])[1].tobytes()


def levels(data: bytes) -> NDArray[np.int64]:
    """Every coefficient of the file, [MCUs, blocks of an MCU, 64] zigzag, read by a slow decoder that shares no code with the patch."""
    found = layout(data)
    words = [
        {(length, word): symbol for word, length, symbol in _words(code.counts, code.symbols)}
        for code in (*found.dc.values(), *found.ac.values())
    ]
    dc, ac = dict(zip(found.dc, words, strict=False)), dict(zip(found.ac, words[len(found.dc) :], strict=False))
    units: list[NDArray[np.int64]] = []
    for start, end in found.segments.tolist():
        bits = "".join(f"{byte:08b}" for byte in data[start:end].replace(b"\xff\x00", b"\xff"))
        at, last = 0, [0, 0, 0]
        for _ in range(min(found.restart, found.units[0] * found.units[1] - len(units))):
            unit = np.zeros((len(found.planes), 64), np.int64)
            for block, plane in enumerate(found.planes):
                component = found.components[plane]
                size, at = _word(bits, at, dc[component.dc])
                last[plane] += _extended(bits[at : at + size])
                unit[block, 0], at, index = last[plane], at + size, 1
                while index < 64:
                    symbol, at = _word(bits, at, ac[component.ac])
                    if symbol == 0:
                        break
                    index += symbol >> 4
                    unit[block, index], at, index = _extended(bits[at : at + (symbol & 15)]), at + (symbol & 15), index + 1
            units.append(unit)
        assert set(bits[at:]) <= {"1"}
        assert len(bits) - at < 8
    return np.array(units)


def _words(counts: bytes, symbols: bytes) -> list[tuple[int, int, int]]:
    word, result, rest = 0, [], list(symbols)
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            result.append((word, length, rest.pop(0)))
            word += 1
        word <<= 1
    return result


def _word(bits: str, at: int, words: dict[tuple[int, int], int]) -> tuple[int, int]:
    for length in range(1, 17):
        symbol = words.get((length, int(bits[at : at + length], 2)))
        if symbol is not None:
            return symbol, at + length
    raise AssertionError("no word")


def _extended(bits: str) -> int:
    value = int(bits or "0", 2)
    return value if not bits or bits[0] == "1" else value - (1 << len(bits)) + 1


def chosen(found: Layout, share: float, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(found.units) < share


def outside(found: Layout, units: NDArray[np.bool_], rim: int) -> NDArray[np.bool_]:
    across, down = found.unit
    kept = np.kron(~units, np.ones((down, across), np.uint8))[: found.height, : found.width].astype(np.uint8)
    return cv2.erode(kept, np.ones((1 + 2 * rim, 1 + 2 * rim), np.uint8)) > 0


@given(
    st.integers(1, 90), st.integers(1, 70), st.sampled_from([1, 2, 3, 8, 64]), st.sampled_from([35, 75, 92, 100]),
    st.sampled_from([*SAMPLINGS]), st.floats(0, 1), st.integers(0, 9),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_every_other_coefficient_stays_and_pixels_beyond_a_rim_of_one(
    width: int, height: int, restart: int, quality: int, sampling: str, share: float, seed: int
) -> None:
    data = written(width, height, quality, restart, sampling)
    found = layout(data)
    assert found.unit == SAMPLINGS[sampling]
    units = chosen(found, share, seed)
    picture = noisy(width, height, seed + 100)
    result = patched(data, found, picture, units)
    before, after = levels(data), levels(result)
    assert np.array_equal(after[~units.ravel()], before[~units.ravel()])
    if units.any():
        assert np.array_equal(after[units.ravel()], coefficients(picture, found, np.flatnonzero(units)))
    same = outside(found, units, 1)
    assert np.array_equal(jpeg.decode(result)[same], jpeg.decode(data)[same])


@given(st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_nothing_of_what_was_there_is_left(seed: int) -> None:
    """Two files that differ in the replaced MCUs alone come out as the same bytes."""
    data = written(200, 120)
    found = layout(data)
    units = chosen(found, 0.3, seed)
    other = patched(data, found, noisy(200, 120, 77), units)
    shown = noisy(200, 120, 78)
    assert other != patched(data, found, shown, units)
    assert patched(other, layout(other), shown, units) == patched(data, found, shown, units)


@pytest.mark.parametrize("quality", [60, 92])
def test_what_is_put_in_is_what_an_encoder_would_have_written(quality: int) -> None:
    data = written(128, 96, quality)
    shown = noisy(128, 96, 9)
    found = layout(data)
    result = jpeg.decode(patched(data, found, shown, np.ones(found.units, np.bool_))).astype(int)
    usual = jpeg.decode(jpeg.encode_patchable(shown, quality)).astype(int)
    assert np.abs(result - shown).mean() < 1.05 * np.abs(usual - shown).mean()


def test_nothing_to_replace_changes_no_pixel() -> None:
    data = written(128, 96)
    found = layout(data)
    result = patched(data, found, noisy(128, 96, 9), np.zeros(found.units, np.bool_))
    assert np.array_equal(jpeg.decode(result), jpeg.decode(data))


def test_metadata_and_what_follows_the_image_are_dropped() -> None:
    data = written(128, 96)
    body = b"Exif\x00\x00a thumbnail"
    told = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:] + b"\xff\xd8 a second picture"
    units = np.zeros(layout(told).units, np.bool_)
    units[1, 1] = True
    shown = noisy(128, 96, 9)
    assert patched(told, layout(told), shown, units) == patched(data, layout(data), shown, units)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (cv2.imencode(".jpg", noisy(64, 64, 1))[1].tobytes(), "restart"),
        (written(800, 600, restart=65), "restart"),
        (cv2.imencode(".jpg", noisy(64, 64, 1), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(), "baseline"),
        (cv2.imencode(".jpg", noisy(64, 64, 1)[..., 0])[1].tobytes(), "1 planes"),
        (written(64, 64, sampling="411"), "sampled"),
        (written(64, 64)[:-40], "end with the image"),
        (written(64, 64)[:100], "eight bits"),
        (written(64, 64).replace(b"\xff\xd0", b"\xff\xd1", 1), "order"),
        (written(64, 64, optimize=1), "every word"),
        (b"\x89PNG", "no JPEG"),
        (b"", "no JPEG"),
    ],
)
def test_what_cannot_be_patched_says_why(data: bytes, why: str) -> None:
    with pytest.raises(Unpatchable, match=why):
        layout(data)


def test_a_scan_that_is_none_ends() -> None:
    data = bytearray(written(200, 120))
    found = layout(bytes(data))
    start, end = found.segments[3].tolist()
    data[start:end] = b"\xfe" * (end - start)
    units = np.ones(found.units, np.bool_)
    with pytest.raises(Unpatchable, match="not in its tables"):
        patched(bytes(data), layout(bytes(data)), noisy(200, 120, 1), units)


def test_the_zigzag_runs_along_the_diagonals() -> None:
    assert ZIGZAG[:10].tolist() == [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]
    assert ZIGZAG[-3:].tolist() == [55, 62, 63]
    assert sorted(ZIGZAG.tolist()) == list(range(64))
