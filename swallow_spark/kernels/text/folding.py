"""Texts in which variants of a character are one: half and full width, hiragana and katakana.

`width` takes each character that Unicode calls a wide or narrow form to the plain one (Ａ to A, ｱ to ア, ％ to %);
`kana` takes hiragana to katakana. With either, a kana and a combining sound mark behind it become one character, so
half-width ｶﾞ is ガ.
"""

import unicodedata
from collections.abc import Collection
from functools import cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from swallow_spark.kernels.text.utf8 import Codes, Offsets

Widths: TypeAlias = npt.NDArray[np.uint8]
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


def fold(codes: Codes, offsets: Offsets, table: Folding) -> tuple[Codes, Offsets, Widths]:
    """`(codes, offsets, widths)` of texts (`utf8.code_points`): text i folded is `codes[offsets[i] : offsets[i + 1]]`.

    `widths`, of the length of `codes`, tells of how many code points of the text as it stood each was made: 1 or 2.
    """
    folded: tuple[Codes, Offsets, Widths] = _fold(codes, offsets, table)
    return folded


@njit(cache=True, nogil=True)
def _fold(codes: Codes, offsets: Offsets, table: Folding) -> tuple[Codes, Offsets, Widths]:
    folded = np.empty(codes.size, np.uint32)
    widths = np.ones(codes.size, np.uint8)
    ends = np.zeros(offsets.size, np.int64)
    size = 0
    for i in range(offsets.size - 1):
        last = np.int64(0)  # the character before, of this text; 0 where none can be composed with it
        for at in range(offsets[i], offsets[i + 1]):
            code = np.int64(codes[at])
            if code < 0x10000:
                code = np.int64(table[0, code])
                if (code == 0x3099 or code == 0x309A) and table[code - 0x3098, last]:
                    folded[size - 1] = table[code - 0x3098, last]
                    widths[size - 1] = 2
                    last = np.int64(0)
                    continue
            last = code if code < 0x10000 else np.int64(0)
            folded[size] = code
            size += 1
        ends[i + 1] = size
    return folded[:size], ends, widths[:size]
