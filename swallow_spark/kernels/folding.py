"""Texts in which variants of a character are one: half and full width, hiragana and katakana.

`width` takes each character that Unicode calls a wide or narrow form to the plain one (Ａ to A, ｱ to ア, ％ to %);
`kana` takes hiragana to katakana. With either, a kana and a combining sound mark behind it become one character, so
half-width ｶﾞ is ガ.
"""

import unicodedata
from collections.abc import Collection
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from swallow_spark.kernels.utf8 import Bytes, Offsets, utf8_buffers

Consumed: TypeAlias = npt.NDArray[np.int32]
Folding: TypeAlias = npt.NDArray[np.uint16]  # (3, 65536): what a character becomes; with U+3099, U+309A behind it; or 0

_VOICED: Final = 0x3099


def folding(variants: Collection[str]) -> Folding:
    """The table for some of the variants `width` and `kana`. Raises ValueError for others."""
    return _table(frozenset(variants))


@cache
def _table(variants: frozenset[str]) -> Folding:
    if unknown := variants - {"width", "kana"}:
        raise ValueError(f"no such variant: {', '.join(sorted(unknown))} (there are: width, kana)")
    table = np.zeros((3, 0x10000), np.uint16)
    table[0] = np.arange(0x10000)
    if "width" in variants:
        for code in range(0x3000, 0x10000):
            kind, *plain = unicodedata.decomposition(chr(code)).split()[:2] or [""]
            if kind in ("<wide>", "<narrow>"):
                table[0, code] = int(plain[0], 16)
    if "kana" in variants:
        hiragana = [*range(0x3041, 0x3097), 0x309D, 0x309E]
        table[0, hiragana] = [code + 0x60 for code in hiragana]
    for code in range(0x3041, 0x3100):
        for mark in (0, 1):
            composed = unicodedata.normalize("NFC", chr(code) + chr(_VOICED + mark))
            if len(composed) == 1:
                table[1 + mark, code] = ord(composed)
    return table


def fold(texts: Any, table: Folding) -> tuple[Bytes, Offsets, Consumed]:
    """`(data, offsets, consumed)`: text i folded is `data[offsets[i] : offsets[i + 1]]`, in UTF-8.

    `consumed[at]` is the number of code points of the text as it stood that lie before `data[at]`, where a character
    begins there; it has an entry more than `data` (counting goes on from text to text).
    """
    folded: tuple[Bytes, Offsets, Consumed] = _fold(*utf8_buffers(texts), table)
    return folded


@njit(cache=True, nogil=True)
def _fold(data: Bytes, offsets: Offsets, table: Folding) -> tuple[Bytes, Offsets, Consumed]:
    # No folded character is longer in UTF-8 than what it comes from, but for ¢ £ ¥ ¦ ¬ ¯ (shorter) and U+FFA0-FFDC
    # (equal): all of U+0800-FFFF take three bytes, and nothing below U+3000 changes.
    folded = np.empty(offsets[-1] - offsets[0], np.uint8)
    consumed = np.empty(folded.size + 1, np.int32)
    ends = np.zeros(offsets.size, np.int64)
    size = count = 0
    for i in range(offsets.size - 1):
        at, end = offsets[i], offsets[i + 1]
        last = 0  # the character before, of this text
        while at < end:
            first = data[at]
            if first < 0xE0 or first >= 0xF0 or at + 3 > end:  # never changed
                stop = at + 1
                while stop < end and data[stop] & 0xC0 == 0x80:
                    stop += 1
                for k in range(at, stop):
                    folded[size] = data[k]
                    consumed[size] = count
                    size += 1
                at = stop
                count += 1
                last = 0
                continue
            high, low = np.int64(data[at + 1]) & 0x3F, np.int64(data[at + 2]) & 0x3F
            code = int(table[0, (np.int64(first) & 0x0F) << 12 | high << 6 | low])
            at += 3
            if last and (code == 0x3099 or code == 0x309A) and table[code - 0x3098, last]:
                code = int(table[code - 0x3098, last])
                size -= 3
                last = 0
            else:
                consumed[size] = count
                last = code
            count += 1
            if code >= 0x800:
                folded[size] = 0xE0 | code >> 12
                folded[size + 1] = 0x80 | (code >> 6 & 0x3F)
                folded[size + 2] = 0x80 | (code & 0x3F)
                size += 3
            elif code >= 0x80:
                folded[size] = 0xC0 | code >> 6
                folded[size + 1] = 0x80 | (code & 0x3F)
                size += 2
            else:
                folded[size] = code
                size += 1
        ends[i + 1] = size
    consumed[size] = count
    return folded[:size], ends, consumed[: size + 1]
