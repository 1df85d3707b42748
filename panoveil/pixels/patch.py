"""Blocks of a JPEG replaced, every other block left as it is: its coefficients stay bit for bit what they were.

Decoders interpolate subsampled colours, so one row or column of pixels beside a replaced block may decode differently; everything
further away decodes to the same pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from panoveil.pixels.baseline import Layout
from panoveil.pixels.huffman import COEFFICIENTS, Words, ac_words, block_starts, dc_words, differences, windows

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_ROW, _COLUMN = np.divmod(np.arange(COEFFICIENTS), 8)
_DIAGONAL = _ROW + _COLUMN
ZIGZAG = np.lexsort((np.where(_DIAGONAL % 2, _ROW, _COLUMN), _DIAGONAL))
"""Index into a block's 64 values, row by row, of every coefficient in the order of the file."""

_COSINES = np.cos((2 * np.arange(8)[:, None] + 1) * np.arange(8) * np.pi / 16) * np.where(np.arange(8), 0.5, 8**-0.5)
_TRANSFORM = np.einsum("yv,xu->yxvu", _COSINES, _COSINES).reshape(COEFFICIENTS, COEFFICIENTS)[:, ZIGZAG].astype(np.float32)
_TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)  # fmt: skip
_LARGEST = 1023
"""Of a baseline AC coefficient."""


def patched(data: bytes, layout: Layout, picture: NDArray[np.uint8], units: Mask) -> bytes:
    """Return the JPEG with the MCUs bool [rows, columns] replaced by what uint8 [H, W, 3] RGB shows there, and without metadata.

    Only those MCUs of the picture are read. Headers are written anew; nothing but the scan is taken over from `data`. `Unpatchable`
    where the scan does not hold what the headers promise.
    """
    chosen = np.flatnonzero(units)
    if not chosen.size:
        return layout.header() + data[layout.segments[0, 0] : layout.segments[-1, 1]] + b"\xff\xd9"
    intervals = np.unique(chosen // layout.restart)
    scan = _Intervals.read(data, layout, intervals)
    fresh = coefficients(picture, layout, chosen)
    interval, unit = np.searchsorted(intervals, chosen // layout.restart), chosen % layout.restart
    return _spliced(data, layout, intervals, scan.written(fresh, interval, unit))


def coefficients(picture: NDArray[np.uint8], layout: Layout, chosen: Ints) -> Ints:
    """Return the quantised coefficients [n, blocks of an MCU, 64], zigzag, of the numbered MCUs, one at least; edges are continued."""
    count, (across, down) = len(chosen), layout.unit
    row, column = np.divmod(chosen, layout.units[1])
    rows = np.minimum(row[:, None] * down + np.arange(down), layout.height - 1)
    columns = np.minimum(column[:, None] * across + np.arange(across), layout.width - 1)
    pixels = picture[rows[:, :, None], columns[:, None, :]].astype(np.float32)
    planes = np.asarray(cv2.transform(pixels.reshape(-1, 1, 3), _TO_YCBCR), np.float32).reshape(pixels.shape)
    luma = planes[..., 0].reshape(count, down // 8, 8, across // 8, 8).swapaxes(2, 3) - 128
    chroma = _shrunk(planes[..., 1:], down // 8, across // 8).transpose(0, 3, 1, 2)
    blocks = np.concatenate(
        [each.reshape(count, shape, COEFFICIENTS) for each, shape in ((luma, len(layout.planes) - 2), (chroma, 2))], axis=1
    )
    quantisers = [np.frombuffer(layout.quantisers[layout.components[plane].quantiser], np.uint8) for plane in layout.planes]
    levels: Ints = np.rint(blocks @ _TRANSFORM / np.array(quantisers, np.float32)).astype(np.int64)
    levels[..., 1:] = levels[..., 1:].clip(-_LARGEST, _LARGEST)
    return levels


def _shrunk(planes: NDArray[np.float32], down: int, across: int) -> NDArray[np.float32]:
    """Return the means of squares of planes [n, h, w, channels]: [n, h / down, w / across, channels]."""
    parts = (planes[:, row::down, column::across] for row in range(down) for column in range(across))
    return np.asarray(sum(parts) / np.float32(down * across), np.float32)


@dataclass(frozen=True, slots=True)
class _Intervals:
    """Some restart intervals taken apart: `bits` one a byte, then per interval and block [n, blocks] DC, and the bits of its AC."""

    layout: Layout
    bits: NDArray[np.uint8]
    blocks: Ints
    dc: Ints
    ac_start: Ints
    ac_end: Ints

    @classmethod
    def read(cls, data: bytes, layout: Layout, intervals: Ints) -> "_Intervals":
        stuffed = [np.frombuffer(data, np.uint8, end - start, start) for start, end in layout.segments[intervals].tolist()]
        plain = [_unstuffed(each) for each in stuffed]
        first = 8 * np.cumsum([0, *map(len, plain[:-1])])
        bits32 = windows(np.concatenate(plain))
        rows, columns = layout.units
        units = np.minimum(rows * columns - intervals * layout.restart, layout.restart)
        blocks = units * len(layout.planes)
        codes = tuple((layout.dc[c.dc], layout.ac[c.ac]) for c in (layout.components[plane] for plane in layout.planes))
        starts = block_starts(bits32, first, blocks, codes)
        dc, ac_start = _values(layout, bits32, starts[:, :-1], blocks)
        return cls(layout, np.unpackbits(np.concatenate(plain)), blocks, dc, ac_start, starts[:, 1:])

    def written(self, fresh: Ints, interval: Ints, unit: Ints) -> list[bytes]:
        """Return the intervals with fresh MCUs [n, blocks of an MCU, 64] put where (interval, unit) say."""
        per_unit = len(self.layout.planes)
        index = unit[:, None] * per_unit + np.arange(per_unit)
        dc, start, length = self.dc.copy(), self.ac_start.copy(), self.ac_end - self.ac_start
        dc[interval[:, None], index] = fresh[..., 0]
        dc_bits, dc_start, dc_length = self._dc_written(dc)
        ac_bits, ac_start, ac_length = self._ac_written(fresh)
        start[interval[:, None], index] = ac_start + len(self.bits) + len(dc_bits)
        length[interval[:, None], index] = ac_length
        pool = np.concatenate([self.bits, dc_bits, ac_bits, np.ones(8, np.uint8)])
        there = np.arange(dc.shape[1]) < self.blocks[:, None]
        starts = np.stack([dc_start + len(self.bits), start], axis=-1).reshape(len(dc), -1)
        lengths = (np.stack([dc_length, length], axis=-1) * there[..., None]).reshape(len(dc), -1)
        return _packed(pool, starts, lengths)

    def _dc_written(self, dc: Ints) -> tuple[NDArray[np.uint8], Ints, Ints]:
        """Return bits, and per block [n, blocks] where its DC starts in them and how long it is."""
        value, length = np.zeros_like(dc), np.zeros_like(dc)
        for plane, component in enumerate(self.layout.components):
            columns = _columns(self.layout, plane, dc.shape[1])
            words = dc_words(np.diff(dc[:, columns], axis=1, prepend=0).ravel(), self.layout.dc[component.dc])
            value[:, columns], length[:, columns] = words.value.reshape(len(dc), -1), words.length.reshape(len(dc), -1)
        return _laid(value, length)

    def _ac_written(self, fresh: Ints) -> tuple[NDArray[np.uint8], Ints, Ints]:
        """Likewise the AC of fresh MCUs: [n, blocks of an MCU]."""
        bits, start, length = [], np.zeros(fresh.shape[:2], np.int64), np.zeros(fresh.shape[:2], np.int64)
        before = 0
        for plane, component in enumerate(self.layout.components):
            mine = np.array(self.layout.planes) == plane
            blocks = fresh[:, mine].reshape(-1, COEFFICIENTS)
            words, block = ac_words(blocks, self.layout.ac[component.ac])
            total = np.bincount(block, weights=words.length, minlength=len(blocks)).astype(np.int64)
            length[:, mine], start[:, mine] = (
                each.reshape(len(fresh), -1) for each in (total, before + np.cumsum(total) - total)
            )
            bits.append(words.spelled())
            before += len(bits[-1])
        return np.concatenate(bits), start, length


def _laid(value: Ints, length: Ints) -> tuple[NDArray[np.uint8], Ints, Ints]:
    bits = Words(value.ravel(), length.ravel()).spelled()
    return bits, (np.cumsum(length) - length.ravel()).reshape(length.shape), length


def _columns(layout: Layout, plane: int, blocks: int) -> Ints:
    return np.flatnonzero(np.resize(np.array(layout.planes) == plane, blocks))


def _values(layout: Layout, bits32: NDArray[np.uint32], starts: Ints, blocks: Ints) -> tuple[Ints, Ints]:
    """Return DC values and the starts of the AC coefficients of blocks that start at given bits; 0 beyond an interval's last block."""
    dc, ac_start = np.zeros_like(starts), np.zeros_like(starts)
    there = np.arange(starts.shape[1]) < blocks[:, None]
    for plane, component in enumerate(layout.components):
        columns = _columns(layout, plane, starts.shape[1])
        steps, ac_start[:, columns] = differences(bits32, starts[:, columns], layout.dc[component.dc])
        dc[:, columns] = np.cumsum(steps * there[:, columns], axis=1)
    return dc, ac_start


def _unstuffed(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Leave out the zero that follows every 0xFF."""
    keep = np.ones(len(data), np.bool_)
    keep[1:] = (data[:-1] != 0xFF) | (data[1:] != 0)  # noqa: PLR2004 - JPEG's marker byte
    return data[keep]


def _packed(pool: NDArray[np.uint8], starts: Ints, lengths: Ints) -> list[bytes]:
    """Return per row the bytes of the ranges of the pool that follow one another; the last byte is filled with the pool's last bits."""
    fill = -lengths.sum(axis=1, keepdims=True) % 8
    lengths = np.concatenate([lengths, fill], axis=1)
    starts = np.concatenate([starts, np.full_like(fill, len(pool) - 8)], axis=1)
    flat = lengths.ravel()
    shift = starts.ravel() - (np.cumsum(flat) - flat)
    packed = np.packbits(pool[np.repeat(shift, flat) + np.arange(flat.sum())])
    ends = np.cumsum(lengths.sum(axis=1)) // 8
    return [part.tobytes().replace(b"\xff", b"\xff\x00") for part in np.split(packed, ends[:-1])]


def _spliced(data: bytes, layout: Layout, intervals: Ints, written: list[bytes]) -> bytes:
    parts, at = [layout.header()], int(layout.segments[0, 0])
    for (start, end), fresh in zip(layout.segments[intervals].tolist(), written, strict=True):
        parts += (data[at:start], fresh)
        at = end
    return b"".join([*parts, data[at : layout.segments[-1, 1]], b"\xff\xd9"])
