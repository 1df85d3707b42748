"""What a JPEG is made of, read segment by segment before any decoder sees it.

A decoder believes the file: each scan of a progressive one costs a pass over the whole picture, though a scan may be ten bytes; and a
header may claim pixels that nothing follows. So whatever would cost more than a camera's picture does is refused here, in one pass
over the bytes that keeps nothing.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from panoveil.contracts.errors import Rejected
from panoveil.contracts.reasons import Reason

MAX_PIXELS = 200_000_000
"""More than any lens or panorama has: a header that claims more is damage, or an attack on memory."""

MOST_SCANS = 32
"""libjpeg's own progressive script has 10, mozjpeg's no more than 20."""

MOST_SEGMENTS = 2000
MOST_METADATA = 1 << 20
"""Bytes: EXIF with a thumbnail takes 64 KiB at most, a colour profile about as much."""

_SOI, _EOI, _SOS, _DNL, _COMMENT = 0xD8, 0xD9, 0xDA, 0xDC, 0xFE
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive, Huffman-coded. What is coded otherwise no camera writes, and few decoders are tried on it."""
_OTHER_FRAMES = frozenset({0xC3, *range(0xC5, 0xD0)}) - {0xC8, 0xCC}
_ARITHMETIC = 0xCC
_TABLES = frozenset({0xC4, 0xDB, 0xDD})
_APPLICATIONS = frozenset({*range(0xE0, 0xF0), _COMMENT})
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_NOT_PADDING = re.compile(rb"[^\x00\xff]")
_BLOCK = 64
_MOST_A_SAMPLE, _SPARE = 5, 1 << 16


@dataclass(frozen=True, slots=True)
class Outline:
    """Width and height in pixels, planes, scans, bytes of metadata, and where the image ends: what follows is not of it."""

    width: int
    height: int
    planes: int
    scans: int
    metadata: int
    end: int


def outline(data: bytes) -> Outline:
    """Return what a JPEG is made of.

    `Rejected(CORRUPT_FRAME)` where it is none, or not whole, `Rejected(UNSAFE_FRAME)` where decoding it would cost more than a picture.
    """
    try:
        return _Walk(data).outline()
    except (IndexError, struct.error) as error:
        raise _corrupt("it ends before its end-of-image marker") from error


def require_plain(data: bytes) -> Outline:
    """Return the outline of a JPEG that is a picture and nothing besides.

    `Rejected(UNSAFE_FRAME)` where it carries much metadata, or anything but padding after its end, which makes it another kind of file.
    """
    found = outline(data)
    if found.metadata > MOST_METADATA:
        raise _unsafe(f"it carries {found.metadata} bytes of metadata")
    if _NOT_PADDING.search(data, found.end):
        raise _unsafe(f"{len(data) - found.end} bytes follow the end of the image: it may be another kind of file as well")
    return found


class _Walk:
    """Collects what the segments say, in the order in which they come."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._frame: tuple[int, int, int] | None = None
        self._scans = self._metadata = self._coded = 0

    def outline(self) -> Outline:
        if self._data[:2] != bytes((0xFF, _SOI)):
            raise _corrupt("no JPEG")
        for count, (marker, begin, end) in enumerate(self._segments(), 1):
            if count > MOST_SEGMENTS:
                raise _unsafe(f"it has more than {MOST_SEGMENTS} segments")
            if marker == _EOI:
                return self._ended(end)
            self._take(marker, begin, end)
        raise AssertionError("segments end with EOI or an error")

    def _segments(self) -> Iterator[tuple[int, int, int]]:
        """Yield (marker, first byte of the body, first byte after it), EOI last; a scan's coded data is passed over."""
        at = 2
        while True:
            at = self._marker_at(at)
            marker = self._data[at]
            if marker == _EOI:
                yield marker, at + 1, at + 1
                return
            begin = at + 3
            end = at + 1 + int(struct.unpack_from(">H", self._data, at + 1)[0])
            if end < begin or end > len(self._data):
                raise _corrupt("a segment is longer than the file, or shorter than its own length")
            yield marker, begin, end
            at = self._after_scan(end) if marker == _SOS else end

    def _marker_at(self, at: int) -> int:
        """Return where the marker's second byte is: any number of 0xFF may come before it."""
        if self._data[at] != 0xFF:  # noqa: PLR2004 - JPEG's marker byte
            raise _corrupt(f"byte {at} belongs to no segment")
        while self._data[at] == 0xFF:  # noqa: PLR2004
            at += 1
        return at

    def _after_scan(self, at: int) -> int:
        found = _AFTER_SCAN.search(self._data, at)
        if found is None:
            raise _corrupt("it ends before its end-of-image marker")
        self._require_plausible(found.start() - at)
        return found.start()

    def _require_plausible(self, coded: int) -> None:
        """A decoder takes time by the byte as well: no coefficient of any plane can take that many."""
        self._coded += coded
        width, height, planes = self._frame or (0, 0, 0)
        if self._coded > _MOST_A_SAMPLE * width * height * planes + _SPARE:
            raise _unsafe(f"its scans take {self._coded} bytes, more than {width} x {height} pixels can")

    def _take(self, marker: int, begin: int, end: int) -> None:
        if marker in _FRAMES:
            self._take_frame(begin, end)
        elif marker == _SOS:
            self._take_scan()
        elif marker in _APPLICATIONS:
            self._metadata += end - begin
        elif marker in _OTHER_FRAMES or marker == _ARITHMETIC:
            raise _unsafe(f"it is coded in a way that no camera uses (marker 0x{marker:02X})")
        elif marker not in _TABLES:
            raise _corrupt(f"it has a segment of marker 0x{marker:02X}")

    def _take_frame(self, begin: int, end: int) -> None:
        if self._frame is not None:
            raise _unsafe("it has two frame headers")
        bits, height, width, planes = struct.unpack(">BHHB", self._data[begin : begin + 6])
        if end != begin + 6 + 3 * planes or width * height == 0:
            raise _corrupt("its frame header does not hold together")
        if bits != 8 or planes not in {1, 3}:  # noqa: PLR2004 - grey or colours
            raise _unsafe(f"it has {planes} planes of {bits} bits; a frame has 1 or 3 of 8")
        if width * height > MAX_PIXELS:
            raise _unsafe(f"the header claims {width} x {height} pixels")
        self._frame = (width, height, planes)

    def _take_scan(self) -> None:
        self._scans += 1
        if self._frame is None:
            raise _corrupt("a scan comes before the frame header")
        if self._scans > MOST_SCANS:
            raise _unsafe(f"it has more than {MOST_SCANS} scans, and each costs a pass over the picture")
        width, height, _ = self._frame
        if width * height // _BLOCK > 8 * len(self._data):  # a block takes a bit at least
            raise _corrupt(f"the header claims {width} x {height} pixels, and {len(self._data)} bytes cannot hold them")

    def _ended(self, end: int) -> Outline:
        if self._frame is None or not self._scans:
            raise _corrupt("there is no picture in it")
        return Outline(*self._frame, self._scans, self._metadata, end)


def _corrupt(detail: str) -> Rejected:
    return Rejected(Reason.CORRUPT_FRAME, detail)


def _unsafe(detail: str) -> Rejected:
    return Rejected(Reason.UNSAFE_FRAME, detail)
