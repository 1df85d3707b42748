"""JPEG's entropy coding, many intervals at once: numpy walks all of them in step, one symbol of each at a time."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from panoveil.pixels.baseline import HuffmanCode, Unpatchable

Ints = NDArray[np.int64]
Bits = NDArray[np.uint8]

COEFFICIENTS = 64
_END_OF_BLOCK, _ZEROS_16 = 0x00, 0xF0
_ENDED, _INVALID = 128, 1024


@dataclass(frozen=True, slots=True)
class Code:
    """A Huffman code ready for use.

    `symbol` and `length` [65536]: what the next 16 bits begin with, length 0 where with nothing. `word` and `bits` [256]: how a
    symbol is written, if the code has a word for it.
    """

    symbol: NDArray[np.uint8]
    length: NDArray[np.uint8]
    word: Ints
    bits: Ints


@lru_cache(maxsize=16)
def code(stated: HuffmanCode) -> Code:
    """Return a stated code's tables."""
    result = Code(np.zeros(65536, np.uint8), np.zeros(65536, np.uint8), np.zeros(256, np.int64), np.zeros(256, np.int64))
    lengths = [length for length, count in enumerate(stated.counts, 1) for _ in range(count)]
    at = 0
    for symbol, length in zip(stated.symbols, lengths, strict=True):
        result.word[symbol], result.bits[symbol] = at >> (16 - length), length
        span = slice(at, at + (1 << (16 - length)))
        result.symbol[span], result.length[span] = symbol, length
        at = span.stop
    if at > 65536:  # noqa: PLR2004 - no more than there are words of 16 bits
        raise Unpatchable("a Huffman table has more words than fit")
    return result


@lru_cache(maxsize=16)
def _steps(dc: HuffmanCode, ac: HuffmanCode) -> NDArray[np.int32]:
    """Return, for the next 16 bits of a block's start [0:65536] or inside [65536:], bits to skip + 32 x coefficients to go on by."""
    first, later = code(dc), code(ac)
    start = first.length + first.symbol.astype(np.int32) + 32
    run, size = later.symbol.astype(np.int32) >> 4, later.symbol.astype(np.int32) & 15
    inside = later.length + size + 32 * np.where(later.symbol == _END_OF_BLOCK, _ENDED, run + 1)
    start[(first.length == 0) | (first.symbol > 11)] = inside[later.length == 0] = 32 * _INVALID  # noqa: PLR2004 - baseline's most
    return np.concatenate([start, inside]).astype(np.int32)


def windows(data: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the 32 bits that begin at every byte; zeros after the end."""
    wide = np.concatenate([data, np.zeros(4, np.uint8)])
    return np.lib.stride_tricks.sliding_window_view(wide, 4)[: len(data) + 1].copy().view(">u4")[:, 0].astype(np.uint32)


def block_starts(
    bits32: NDArray[np.uint32], first: Ints, blocks: Ints, codes: tuple[tuple[HuffmanCode, HuffmanCode], ...]
) -> Ints:
    """Return the bit at which every block of every interval starts, and the last ends: [intervals, most blocks + 1], then repeated.

    `bits32` as from `windows`, `first` the intervals' first bits, `blocks` how many each holds, `codes` (DC, AC) of the blocks of an
    MCU, over and over.
    """
    distinct = sorted(set(codes), key=codes.index)
    table = np.concatenate([_steps(*pair) for pair in distinct])
    bases = np.array([distinct.index(pair) * 131072 for pair in codes], np.int32)
    starts = np.repeat(first[:, None], int(blocks.max()) + 1, axis=1)
    lane, position = np.arange(len(first)), first.astype(np.int32)
    block, base = np.zeros(len(first), np.int32), np.repeat(bases[:1], len(first))
    at = np.zeros(len(first), np.int32)
    while lane.size:
        peek = (bits32[position >> 3] >> (16 - (position & 7)).astype(np.uint32) & 0xFFFF).astype(np.int32)
        step = table[base + (at > 0) * np.int32(65536) + peek]
        position += step & 31
        at += step >> 5
        ended = np.flatnonzero(at >= COEFFICIENTS)
        if not ended.size:
            continue
        _require_ends(at[ended])
        at[ended] = 0
        block[ended] += 1
        base[ended] = bases[block[ended] % len(bases)]
        starts[lane[ended], block[ended]] = position[ended]
        if (block[ended] == blocks[lane[ended]]).any():
            left = block < blocks[lane]
            lane, position, block, base, at = lane[left], position[left], block[left], base[left], at[left]
    return starts


def _require_ends(at: NDArray[np.int32]) -> None:
    if ((at != COEFFICIENTS) & ((at < _ENDED) | (at >= _INVALID))).any():
        raise Unpatchable("its scan holds words that are not in its tables")


def differences(bits32: NDArray[np.uint32], starts: Ints, stated: HuffmanCode) -> tuple[Ints, Ints]:
    """Return the DC differences of the blocks that start at the given bits, and where their AC coefficients start."""
    table = code(stated)
    peek = _peek(bits32, starts, np.full_like(starts, 16))
    size = table.symbol[peek].astype(np.int64)
    value = _peek(bits32, starts + table.length[peek], size)
    value = np.where(value < (1 << size) >> 1, value - (1 << size) + 1, value)
    return value, starts + table.length[peek] + size


def _peek(bits32: NDArray[np.uint32], position: Ints, count: Ints) -> Ints:
    result: Ints = bits32[position >> 3].astype(np.int64) >> (32 - (position & 7) - count) & ((1 << count) - 1)
    return result


@dataclass(frozen=True, slots=True)
class Words:
    """Bits to write: `value` in `length` bits each."""

    value: Ints
    length: Ints

    def spelled(self) -> Bits:
        """Return the bits, one a byte."""
        index = np.repeat(np.arange(len(self.length)), self.length)
        left = np.repeat(np.cumsum(self.length), self.length) - np.arange(len(index)) - 1
        return (self.value[index] >> left & 1).astype(np.uint8)


def dc_words(values: Ints, stated: HuffmanCode) -> Words:
    """Return how DC differences are written."""
    size, low = _magnitudes(values)
    return _written(size, size, low, code(stated))


def ac_words(coefficients: Ints, stated: HuffmanCode) -> tuple[Words, Ints]:
    """Return how the AC coefficients of blocks [n, 64], zigzag, are written, and the number of the block that each word is of."""
    block, at = np.nonzero(coefficients[:, 1:])
    before = np.concatenate([[-1], at[:-1]])
    before[np.concatenate([[True], block[1:] != block[:-1]])[: len(block)]] = -1
    run = at - before[: len(at)] - 1
    size, low = _magnitudes(coefficients[block, at + 1])
    last = np.full(len(coefficients), -1)
    last[block] = at
    open_ended = np.flatnonzero(last < COEFFICIENTS - 2)
    long = np.repeat(np.arange(len(run)), run >> 4)
    symbols = np.concatenate([np.full(len(long), _ZEROS_16), (run & 15) << 4 | size, np.full(len(open_ended), _END_OF_BLOCK)])
    sizes = np.concatenate([np.zeros(len(long), np.int64), size, np.zeros(len(open_ended), np.int64)])
    lows = np.concatenate([np.zeros(len(long), np.int64), low, np.zeros(len(open_ended), np.int64)])
    keys = np.concatenate([block[long] * 128 + 2 * at[long], block * 128 + 2 * at + 1, open_ended * 128 + 127])
    order = np.argsort(keys, kind="stable")
    return _written(symbols[order], sizes[order], lows[order], code(stated)), keys[order] // 128


def _magnitudes(values: Ints) -> tuple[Ints, Ints]:
    """Return how many bits a value takes beside its symbol, and what they are."""
    size = np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)
    return size, np.where(values < 0, values + (1 << size) - 1, values)


def _written(symbols: Ints, sizes: Ints, lows: Ints, table: Code) -> Words:
    return Words(table.word[symbols] << sizes | lows, table.bits[symbols] + sizes)
