"""Texts with variants of characters unified: half and full width, hiragana and katakana.

`width` replaces the wide and narrow forms of Unicode by the plain ones (Ａ to A, ｱ to ア, ％ to %); `kana` replaces
hiragana by katakana. With either, a kana and a combining sound mark become one character: half-width ｶﾞ is ガ.
"""

import unicodedata
from collections.abc import Collection
from functools import cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from swallow_spark.kernels.text.utf8 import Codes, Offsets

Folding: TypeAlias = npt.NDArray[np.uint32]  # (3, 65536): a character folded; composed with U+3099; with U+309A; or 0

_VOICED: Final = 0x3099


def folding(variants: Collection[str]) -> Folding:
    """The table for variants: `width`, `kana` or both. Raises ValueError for others."""
    return _table(frozenset(variants))


@cache
def _table(variants: frozenset[str]) -> Folding:
    if unknown := variants - {"width", "kana"}:
        raise ValueError(f"no such variant: {', '.join(sorted(unknown))} (there are: width, kana)")
    table = np.zeros((3, 0x10000), np.uint32)
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


def fold(codes: Codes, offsets: Offsets, table: Folding) -> tuple[Codes, Offsets, Offsets]:
    """`(codes, offsets, origins)` of texts (`utf8.code_points`): folded text i is `codes[offsets[i] : offsets[i + 1]]`.

    `origins`: where each folded code, and the end, was in the original codes.
    """
    folded = np.where(codes < 0x10000, table[0, codes & 0xFFFF], codes)
    is_mark = (folded == _VOICED) | (folded == _VOICED + 1)
    is_mark[offsets[:-1][offsets[:-1] < len(codes)]] = False  # the code before is in another text
    marks = np.flatnonzero(is_mark)
    before = folded[marks - 1]
    composed = np.where(before < 0x10000, table[1 + folded[marks] - _VOICED, before & 0xFFFF], 0)
    marks, composed = marks[composed > 0], composed[composed > 0]
    folded[marks - 1] = composed
    origins = np.delete(np.arange(len(codes) + 1), marks)
    return folded[origins[:-1]], np.searchsorted(origins, offsets), origins
