"""NG expressions: how many characters of a text are expressions of a list.

Most places of a text begin no expression, and two characters tell it: a bit for each pair that begins one, small enough
for a core's cache. Where the bit is set, longer and longer pieces are looked up among the beginnings of expressions.
Bits and hashes only choose what is compared: a match has been compared with the expression character by character.
"""

from collections.abc import Collection, Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.errors import ConfigError
from swallow_spark.kernels.text.folding import fold, folding
from swallow_spark.kernels.text.utf8 import Codes, Offsets, code_points

VERSION: Final = 1
Variant: TypeAlias = Literal["width", "kana"]

_PAIR_BITS: Final = 16  # a pair of expressions' beginnings has at least so many bits to itself
_PLACES: Final = 8  # and a longer beginning so many places
_BEGINS: Final = 1
_ENDS: Final = 2
_MULTIPLIER: Final = 0x9E3779B97F4A7C15  # 2**64 by the golden ratio


class _Index(NamedTuple):
    codes: Codes  # of all expressions ...
    bounds: Offsets  # ... expression k being codes[bounds[k] : bounds[k + 1]]
    single: npt.NDArray[np.bool_]  # whether an expression of one character has it, by the character's last 16 bits
    pairs: npt.NDArray[np.uint8]  # bits, by the hash of two characters
    beginnings: npt.NDArray[np.uint8]  # two bits, _BEGINS and _ENDS, by the hash of two or more characters
    table: npt.NDArray[np.int64]  # k + 1, by the hash of the whole expression; else 0
    longest: int


class Matcher:
    """Finds expressions from left to right, the longest one at each place, without overlaps: as they are written, or
    whatever their `variants` (see kernels/folding.py)."""

    def __init__(self, expressions: Iterable[str], variants: Collection[Variant] = ()) -> None:
        """Raises ValueError where there is no expression, or an empty one."""
        self.expressions: Final = tuple(sorted(set(expressions)))
        if not all(self.expressions):
            raise ValueError("an empty expression matches everywhere")
        if not self.expressions:
            raise ValueError("no expression in the list")
        self._folding = folding(variants) if variants else None
        codes, bounds = code_points(pa.array(self.expressions, pa.large_string()))
        if self._folding is not None:
            codes, bounds, _ = fold(codes, bounds, self._folding)
        self._index = _index(codes, bounds)

    def matched_chars(self, codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
        """How many code points of each text belong to a match: int64, (texts,). The texts are `utf8.code_points`.

        With variants the code points of the text as it stands are counted: half-width ｶﾞ is two of them.
        """
        matched: npt.NDArray[np.int64] = self._matches(codes, offsets)[0]
        return matched

    def num_matches(self, codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
        """How many matches each text has: int64, (texts,)."""
        number: npt.NDArray[np.int64] = self._matches(codes, offsets)[1]
        return number

    def _matches(self, codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
        widths = np.zeros(0, np.uint8)
        if self._folding is not None:
            codes, offsets, widths = fold(codes, offsets, self._folding)
        matched: npt.NDArray[np.int64] = _matches(codes, offsets, widths, *self._index)
        return matched


def expressions(name: str, content: bytes) -> tuple[str, ...]:
    """The expressions in a list: UTF-8, one a line; blank lines and lines that begin with # do not count.

    Blanks around an expression are taken away. Raises ConfigError where it isn't UTF-8 or has no expression.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: {error}") from None
    found = tuple(sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")}))
    if not found:
        raise ConfigError(f"{name}: no expression in the list")
    return found


def _index(codes: Codes, bounds: Offsets) -> _Index:
    lengths = np.diff(bounds)
    pairs = np.zeros(_power_of_two(_PAIR_BITS * len(lengths)) // 8, np.uint8)
    beginnings = np.zeros(_power_of_two(_PLACES * len(codes)) // 4, np.uint8)
    table = np.zeros(_power_of_two(2 * len(lengths)), np.int64)
    single = np.zeros(1 << 16, np.bool_)
    single[codes[bounds[:-1][lengths == 1]] & 0xFFFF] = True
    _fill(codes, bounds, pairs, beginnings, table)
    return _Index(codes, bounds, single, pairs, beginnings, table, int(lengths.max()))


def _power_of_two(least: int) -> int:
    return 1 << max(10, (least - 1).bit_length())


@njit(cache=True, nogil=True, inline="always")
def _first(code: int) -> np.uint64:
    return np.uint64(code) * np.uint64(_MULTIPLIER)


@njit(cache=True, nogil=True, inline="always")
def _next(h: np.uint64, code: int) -> np.uint64:
    """The hash of a piece that is longer by a character. Its upper half is the mixed one."""
    return ((h >> np.uint64(32) ^ h) + np.uint64(code)) * np.uint64(_MULTIPLIER)


@njit(cache=True, nogil=True, inline="always")
def _place(h: np.uint64, size: int) -> np.int64:
    return np.int64(h >> np.uint64(32)) & (size - 1)


@njit(cache=True, nogil=True)
def _fill(
    codes: Codes,
    bounds: Offsets,
    pairs: npt.NDArray[np.uint8],
    beginnings: npt.NDArray[np.uint8],
    table: npt.NDArray[np.int64],
) -> None:
    for k in range(bounds.size - 1):
        h = _first(codes[bounds[k]])
        length = bounds[k + 1] - bounds[k]
        for n in range(1, length):
            h = _next(h, codes[bounds[k] + n])
            if n == 1:
                bit = _place(h, 8 * pairs.size)
                pairs[bit >> 3] |= 1 << (bit & 7)
            place = _place(h, 4 * beginnings.size)
            beginnings[place >> 2] |= (_BEGINS if n < length - 1 else _BEGINS | _ENDS) << (2 * (place & 3))
        slot = _place(h, table.size)
        while table[slot]:
            slot = (slot + 1) & (table.size - 1)
        table[slot] = k + 1


@njit(cache=True, nogil=True)
def _is_expression(
    codes: Codes, at: int, length: int, h: np.uint64, own: Codes, bounds: Offsets, table: npt.NDArray[np.int64]
) -> bool:
    slot = _place(h, table.size)
    while table[slot]:
        start = bounds[table[slot] - 1]
        if bounds[table[slot]] - start == length:
            same = 0
            while same < length and codes[at + same] == own[start + same]:
                same += 1
            if same == length:
                return True
        slot = (slot + 1) & (table.size - 1)
    return False


@njit(cache=True, nogil=True)
def _matches(
    codes: Codes,
    offsets: Offsets,
    widths: npt.NDArray[np.uint8],
    own: Codes,
    bounds: Offsets,
    single: npt.NDArray[np.bool_],
    pairs: npt.NDArray[np.uint8],
    beginnings: npt.NDArray[np.uint8],
    table: npt.NDArray[np.int64],
    longest: int,
) -> npt.NDArray[np.int64]:
    """int64 (2, texts): characters in matches, and matches."""
    result = np.zeros((2, offsets.size - 1), np.int64)
    lengths = np.empty(longest + 1, np.int64)  # of pieces that may be expressions, and their hashes
    hashes = np.empty(longest + 1, np.uint64)
    any_single = single.any()
    for i in range(offsets.size - 1):
        at, end = offsets[i], offsets[i + 1]
        while at < end:
            h = _first(codes[at])
            candidates = 0
            if any_single and single[codes[at] & 0xFFFF]:
                lengths[0], hashes[0] = 1, h
                candidates = 1
            if at + 1 < end:
                h = _next(h, codes[at + 1])
                bit = _place(h, 8 * pairs.size)
                if pairs[bit >> 3] >> (bit & 7) & 1:
                    length = 2
                    while True:
                        place = _place(h, 4 * beginnings.size)
                        kind = beginnings[place >> 2] >> (2 * (place & 3)) & 3
                        if kind & _ENDS:
                            lengths[candidates], hashes[candidates] = length, h
                            candidates += 1
                        if not kind or length >= longest or at + length == end:
                            break
                        h = _next(h, codes[at + length])
                        length += 1
            step = 1
            while candidates:
                candidates -= 1
                length = lengths[candidates]
                if _is_expression(codes, at, length, hashes[candidates], own, bounds, table):
                    result[0, i] += widths[at : at + length].sum() if widths.size else length
                    result[1, i] += 1
                    step = length
                    break
            at += step
    return result
