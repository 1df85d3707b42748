"""The part of JPEG that can be patched: baseline, Huffman-coded, one interleaved scan cut into short restart intervals.

A restart marker resets the decoder, so what lies between two of them can be coded anew without a look at the rest of the file.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

LONGEST_INTERVAL = 64
"""Blocks between two restart markers up to which finding a block within them is worth the while."""

_SOF0, _DHT, _EOI, _SOS, _DQT, _DRI, _ADOBE = 0xC0, 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xEE
_SOI, _JFIF = b"\xff\xd8", b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_COLOURS = 3
_DC_SYMBOLS = frozenset(range(12))
_AC_SYMBOLS = frozenset({0, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11))})


class Unpatchable(ValueError):
    """The JPEG is none whose blocks can be replaced one by one; the sentence says why. It has to be encoded anew as a whole."""


@dataclass(frozen=True, slots=True)
class Component:
    """A colour plane: its number in the file, blocks (across, down) in an MCU, and the numbers of its tables."""

    number: int
    across: int
    down: int
    quantiser: int
    dc: int = 0
    ac: int = 0


@dataclass(frozen=True, slots=True)
class HuffmanCode:
    """A code as a file states it: how many words there are of 1 to 16 bits, and the symbols in order."""

    counts: bytes
    symbols: bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """How a JPEG is coded, and where its scan lies: restart interval `index` is the bytes `segments[index]` (first, end)."""

    width: int
    height: int
    components: tuple[Component, ...]
    quantisers: dict[int, bytes]
    dc: dict[int, HuffmanCode]
    ac: dict[int, HuffmanCode]
    restart: int
    segments: NDArray[np.int64]

    @property
    def unit(self) -> tuple[int, int]:
        """Pixels (across, down) of an MCU, the smallest thing that can be replaced."""
        return 8 * self.components[0].across, 8 * self.components[0].down

    @property
    def units(self) -> tuple[int, int]:
        """MCUs (rows, columns)."""
        across, down = self.unit
        return -(-self.height // down), -(-self.width // across)

    @property
    def planes(self) -> tuple[int, ...]:
        """Return the component that each block of an MCU belongs to, in the order of the scan."""
        return tuple(plane for plane, each in enumerate(self.components) for _ in range(each.across * each.down))

    def header(self) -> bytes:
        """Return everything that decoding needs up to the scan, written anew: no segment of the input is copied."""
        quantisers = b"".join(bytes((number,)) + table for number, table in self.quantisers.items())
        codes = ((kind << 4 | number, code) for kind, each in enumerate((self.dc, self.ac)) for number, code in each.items())
        huffman = b"".join(bytes((number,)) + code.counts + code.symbols for number, code in codes)
        frame = struct.pack(">BHHB", 8, self.height, self.width, _COLOURS)
        frame += b"".join(bytes((c.number, c.across << 4 | c.down, c.quantiser)) for c in self.components)
        scan = bytes((_COLOURS,)) + b"".join(bytes((c.number, c.dc << 4 | c.ac)) for c in self.components) + b"\x00\x3f\x00"
        parts = ((_DQT, quantisers), (_SOF0, frame), (_DHT, huffman), (_DRI, struct.pack(">H", self.restart)), (_SOS, scan))
        return _SOI + _JFIF + b"".join(segment(marker, body) for marker, body in parts)


def segment(marker: int, body: bytes) -> bytes:
    """Return a marker segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def layout(data: bytes) -> Layout:
    """Return how a JPEG is coded, or raise `Unpatchable`."""
    try:
        return _Reader().read(data)
    except (IndexError, KeyError, struct.error) as error:
        raise Unpatchable("its headers do not hold together") from error


class _Reader:
    """Collects what the headers say, in the order in which they say it."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._components: dict[int, Component] = {}
        self._quantisers: dict[int, bytes] = {}
        self._codes: dict[int, HuffmanCode] = {}
        self._restart = 0

    def read(self, data: bytes) -> Layout:
        if data[:2] != _SOI:
            raise Unpatchable("it is no JPEG")
        at = 2
        while data[at + 1] != _SOS:
            end = self._end(data, at)
            self._take(data[at + 1], data[at + 4 : end])
            at = end
        end = self._end(data, at)
        components = self._scanned(data[at + 4 : end])
        return self._laid_out(components, _intervals(data, end))

    def _end(self, data: bytes, at: int) -> int:
        if data[at] != 0xFF:  # noqa: PLR2004 - JPEG's marker byte
            raise Unpatchable("there are bytes between its segments")
        return at + 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])

    def _take(self, marker: int, body: bytes) -> None:
        if marker == _DQT:
            self._take_quantisers(body)
        elif marker == _DHT:
            self._take_codes(body)
        elif marker == _DRI:
            (self._restart,) = struct.unpack(">H", body)
        elif marker == _SOF0:
            self._take_frame(body)
        elif marker == _ADOBE and body[:5] == b"Adobe" and body[11] != 1:
            raise Unpatchable("its colours are not YCbCr")
        elif marker & 0xF0 == _SOF0:
            raise Unpatchable("it is not a baseline JPEG")

    def _take_quantisers(self, body: bytes) -> None:
        for at in range(0, len(body), 65):
            if body[at] > 3 or len(body) < at + 65:  # noqa: PLR2004 - four tables, eight bits each
                raise Unpatchable("its quantisation tables are not of eight bits")
            self._quantisers[body[at]] = body[at + 1 : at + 65]

    def _take_codes(self, body: bytes) -> None:
        at = 0
        while at < len(body):
            counts = body[at + 1 : at + 17]
            end = at + 17 + sum(counts)
            self._codes[body[at]] = HuffmanCode(counts, body[at + 17 : end])
            at = end
        if at != len(body):
            raise Unpatchable("its Huffman tables do not hold together")

    def _take_frame(self, body: bytes) -> None:
        bits, height, width, count = struct.unpack(">BHHB", body[:6])
        if (bits, count) != (8, _COLOURS):
            raise Unpatchable(f"it has {count} planes of {bits} bits")
        self._size = (width, height)
        for number, sampling, quantiser in (body[at : at + 3] for at in range(6, 15, 3)):
            self._components[number] = Component(number, sampling >> 4, sampling & 15, quantiser)

    def _scanned(self, body: bytes) -> tuple[Component, ...]:
        if body[0] != _COLOURS or body[7:10] != b"\x00\x3f\x00":
            raise Unpatchable("it has more than one scan")
        tables = {body[at]: (body[at + 1] >> 4, body[at + 1] & 15) for at in (1, 3, 5)}
        if list(tables) != list(self._components):
            raise Unpatchable("its scan does not hold its planes in their order")
        each = self._components.values()
        return tuple(Component(c.number, c.across, c.down, c.quantiser, *tables[c.number]) for c in each)

    def _laid_out(self, components: tuple[Component, ...], segments: NDArray[np.int64]) -> Layout:
        if not 0 < self._restart <= LONGEST_INTERVAL:
            raise Unpatchable(f"it has no restart markers every {LONGEST_INTERVAL} blocks or more often")
        if any(c.across != 1 or c.down != 1 for c in components[1:]) or max(components[0].across, components[0].down) > 2:  # noqa: PLR2004
            raise Unpatchable("its colours are sampled in an unusual way")
        self._require_every_word(components)
        result = Layout(
            *self._size,
            components,
            {c.quantiser: self._quantisers[c.quantiser] for c in components},
            {c.dc: self._codes[c.dc] for c in components},
            {c.ac: self._codes[0x10 | c.ac] for c in components},
            self._restart,
            segments,
        )
        rows, columns = result.units
        if len(segments) != -(-rows * columns // self._restart):
            raise Unpatchable(f"it has {len(segments)} restart intervals for {rows} x {columns} blocks")
        return result

    def _require_every_word(self, components: tuple[Component, ...]) -> None:
        """Whatever is put into the picture later must be expressible; tables made to measure lack what they did not need."""
        for component in components:
            dc, ac = self._codes[component.dc], self._codes[0x10 | component.ac]
            if _DC_SYMBOLS - set(dc.symbols) or _AC_SYMBOLS - set(ac.symbols):
                raise Unpatchable("its Huffman tables do not have every word")


def _intervals(data: bytes, start: int) -> NDArray[np.int64]:
    """Return (first, end) of every restart interval of the scan that starts at a byte; its end must be the end of the image."""
    scan = np.frombuffer(data, np.uint8, offset=start)
    markers = np.flatnonzero(scan[:-1] == 0xFF)  # noqa: PLR2004 - JPEG's marker byte
    kinds = scan[markers + 1]
    markers, kinds = markers[kinds != 0], kinds[kinds != 0]
    restarts = (kinds & 0xF8) == 0xD0  # noqa: PLR2004 - RST0 to RST7
    last = int(np.argmin(restarts)) if not restarts.all() else -1
    if last < 0 or kinds[last] != _EOI:
        raise Unpatchable("its scan does not end with the image")
    if not np.array_equal(kinds[:last] & 7, np.arange(last) % 8):
        raise Unpatchable("its restart markers are not in order")
    edges = [-2, *markers[: last + 1].tolist()]
    return start + np.array([(before + 2, after) for before, after in pairwise(edges)], np.int64)
