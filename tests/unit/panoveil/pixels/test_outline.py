import struct
import tracemalloc
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason
from panoveil.pixels import jpeg
from panoveil.pixels.baseline import segment
from panoveil.pixels.outline import MOST_SCANS, MOST_SEGMENTS, outline, require_plain

SOF, SOS, COMMENT, EXIF = b"\xff\xc0", b"\xff\xda", 0xFE, 0xE1


def written(*settings: int, size: tuple[int, int] = (96, 64), grey: bool = False) -> bytes:
    small = np.random.default_rng(1).integers(0, 256, (6, 8) if grey else (6, 8, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", cv2.resize(small, size), settings)[1].tobytes()


BASELINE = written()
RESTARTS = written(cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
PROGRESSIVE = written(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
REAL = [BASELINE, RESTARTS, PROGRESSIVE, written(grey=True), written(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111)]


def with_frame(width: int, height: int, bits: int = 8, marker: bytes = SOF) -> bytes:
    at = BASELINE.index(SOF)
    return BASELINE[:at] + marker + BASELINE[at + 2 : at + 4] + struct.pack(">BHH", bits, height, width) + BASELINE[at + 9 :]


def with_segments(*segments: bytes) -> bytes:
    return BASELINE[:2] + b"".join(segments) + BASELINE[2:]


def with_scans_repeated(times: int) -> bytes:
    """The last scan of a progressive picture again and again: a few bytes each, and each a pass over all pixels."""
    last = PROGRESSIVE[PROGRESSIVE.rindex(SOS) : -2]
    return PROGRESSIVE[:-2] + last * times + PROGRESSIVE[-2:]


UNSAFE = {
    "its scans take": BASELINE[:-2] + b"\x00" * 200_000 + b"\xff\xd9",
    "the header claims 65500 x 65500": with_frame(65500, 65500),
    f"more than {MOST_SCANS} scans": with_scans_repeated(MOST_SCANS),
    f"more than {MOST_SEGMENTS} segments": with_segments(*[segment(COMMENT, b"")] * MOST_SEGMENTS),
    "4 planes": BASELINE.replace(SOF + b"\x00\x11\x08", SOF + b"\x00\x14\x08").replace(
        b"\x00\x40\x00\x60\x03", b"\x00\x40\x00\x60\x04\x04\x11\x00"
    ),
    "planes of 12 bits": with_frame(96, 64, bits=12),
    "marker 0xC9": with_frame(96, 64, marker=b"\xff\xc9"),
    "marker 0xC3": with_frame(96, 64, marker=b"\xff\xc3"),
    "marker 0xCC": with_segments(segment(0xCC, b"\x00\x10")),
    "two frame headers": with_segments(segment(0xC0, struct.pack(">BHHB", 8, 64, 96, 1) + b"\x01\x11\x00")),
}
CORRUPT = {
    "cannot hold them": with_frame(20000, 9999),
    "does not hold together": with_frame(0, 64),
    "no JPEG": b"PK\x03\x04" + BASELINE,
    "belongs to no segment": BASELINE[:2] + b"<html>" + BASELINE[2:],
    "longer than the file": BASELINE[:2] + b"\xff\xe1\xff\xff" + BASELINE[2:],
    "shorter than its own length": BASELINE[:2] + b"\xff\xe1\x00\x01" + BASELINE[2:],
    "a scan comes before": b"\xff\xd8" + BASELINE[BASELINE.index(SOS) :],
    "no picture": b"\xff\xd8\xff\xd9",
    "ends before": BASELINE[:-2],
    "marker 0xD8": BASELINE[:2] + b"\xff\xd8\x00\x02" + BASELINE[2:],
}


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a decoder was asked")

    monkeypatch.setattr(simplejpeg, "decode_jpeg", never)


@pytest.mark.parametrize("data", REAL)
def test_what_cameras_write_is_read(data: bytes) -> None:
    found = require_plain(data)
    assert (found.width, found.height, found.end) == (96, 64, len(data))
    assert jpeg.decode(data).shape == (64, 96, 3)


@pytest.mark.parametrize("sentence", UNSAFE)
def test_what_costs_more_than_a_picture_is_refused_before_a_decoder_sees_it(no_decoder: None, sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence) as caught:
        jpeg.decode(UNSAFE[sentence])
    assert caught.value.reason == Reason.UNSAFE_FRAME


@pytest.mark.parametrize("sentence", CORRUPT)
def test_what_is_no_whole_jpeg_is_refused_before_a_decoder_sees_it(no_decoder: None, sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence) as caught:
        jpeg.decode(CORRUPT[sentence])
    assert caught.value.reason == Reason.CORRUPT_FRAME


@pytest.mark.parametrize("tail", [b"PK\x03\x04 a ZIP archive", b"<script>", BASELINE, bytes(100) + b"x"])
def test_a_file_that_is_another_kind_as_well_is_no_frame(tail: bytes) -> None:
    with pytest.raises(Rejected, match="follow the end of the image") as caught:
        require_plain(BASELINE + tail)
    assert caught.value.reason == Reason.UNSAFE_FRAME


def test_padding_after_the_end_is_no_harm() -> None:
    assert require_plain(BASELINE + bytes(512) + b"\xff" * 3).end == len(BASELINE)


def test_metadata_is_let_through_up_to_what_cameras_write() -> None:
    thumbnail = segment(EXIF, b"Exif\x00\x00" + bytes(60_000))
    assert require_plain(with_segments(thumbnail)).metadata > 60_000
    with pytest.raises(Rejected, match="bytes of metadata"):
        require_plain(with_segments(*[thumbnail] * 18))


def test_exif_is_not_read_so_whatever_its_counts_claim_is_no_harm() -> None:
    giant = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\x0f\x01\x02\x00\xff\xff\xff\xff\x00\x00\x00\x00" * 9
    assert jpeg.decode(with_segments(segment(EXIF, giant))).shape == (64, 96, 3)


def test_fill_bytes_may_come_before_any_marker() -> None:
    at = BASELINE.index(SOS)
    assert outline(BASELINE[:at] + b"\xff" * 100_000 + BASELINE[at:-2] + b"\xff" * 100_000 + b"\xff\xd9").scans == 1


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a real JPEG with a few bytes changed, taken out, or put in from another, mostly among its headers."""
    data = bytearray(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, min(len(data), 700)) | st.integers(0, len(data)))
        other = draw(st.sampled_from(REAL))
        begin = draw(st.integers(0, len(other) - 1))
        put = draw(st.binary(max_size=4) | st.sampled_from(MARKERS) | st.just(other[begin : begin + draw(st.integers(0, 300))]))
        data[at : at + draw(st.sampled_from([0, 1, len(put), len(put), 40]))] = put
    return bytes(data)


MARKERS = [bytes((0xFF, marker)) for marker in range(256)]


@given(data=damaged() | st.binary(max_size=200).map(lambda rest: b"\xff\xd8" + rest))
def test_whatever_comes_is_a_picture_or_refused(data: bytes) -> None:
    """As many pixels as the file's bytes can hold at most, so a small file never takes much memory."""
    try:
        picture = jpeg.decode(data)
    except Rejected as refused:
        why, detail = refused.reason, refused.detail
        assert why in {Reason.CORRUPT_FRAME, Reason.UNSAFE_FRAME}, detail
        return
    found = outline(data)
    assert picture.shape == (found.height, found.width, 3)
    assert picture.size <= 3 * 512 * (len(data) + 8)


@pytest.fixture
def peak() -> Iterator[list[int]]:
    tracemalloc.start()
    yield []
    tracemalloc.stop()


def test_a_large_file_is_walked_without_a_copy(peak: list[int]) -> None:
    data = b"".join((with_frame(4000, 2000)[:-2], b"\xff\x00\x80\x7f" * 4_000_000, b"\xff\xd9", b"\xff" * 8_000_000))
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    require_plain(data)
    assert tracemalloc.get_traced_memory()[1] - before < 100_000
