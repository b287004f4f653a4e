"""The number of characters in each script."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.features.texts import Column, Feature, Texts, counts, ratio, ratios
from swallow_spark.kernels.text.utf8 import Codes, Offsets

_KINDS: Final = ("hiragana", "katakana", "kanji", "kuten", "toten")


def _compute(texts: Texts) -> list[Column]:
    kinds = _count(texts.codes, texts.offsets)
    japanese = kinds.sum(axis=0)
    letters = np.diff(texts.offsets)
    return [letters, *kinds, japanese, *(ratio(kind, japanese) for kind in kinds), ratio(japanese, letters)]


def num_japanese_letters(texts: Texts) -> npt.NDArray[np.int64]:
    """Hiragana, katakana, kanji, and Japanese full stops and commas of each text."""
    japanese: npt.NDArray[np.int64] = _count(texts.codes, texts.offsets).sum(axis=0)
    return japanese


_COUNTS: Final = {
    "num_letters": "All characters.",
    "num_hiragana_letters": "Hiragana: U+3041-3096.",
    "num_katakana_letters": "Katakana: U+30A1-30FA.",
    "num_kanji_letters": "Kanji: 々〇〻, U+3400-9FFF, U+F900-FAFF, U+20000-2FFFF.",
    "num_kuten": "。．！？",
    "num_toten": "、，",
    "num_japanese_letters": "Japanese letters: the sum of these five. They lack ー, ・, ゝ and half-width kana.",
}
_FRACTIONS: Final = {
    **{f"{kind}_fraction": f"Share of {kind} among the Japanese letters." for kind in _KINDS},
    "japanese_fraction": "Share of Japanese letters among all characters.",
}
FEATURE: Final = Feature(
    name="letters",
    version=1,
    schema=pa.schema(counts(*_COUNTS) + ratios(*_FRACTIONS)),
    compute=_compute,
    meanings=_COUNTS | _FRACTIONS,
    fractions=tuple(_FRACTIONS),
)


@njit(cache=True, nogil=True)
def _count(codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
    """int64 (kinds, texts)."""
    n = offsets.size - 1
    result = np.zeros((5, n), np.int64)
    for i in range(n):
        hiragana = katakana = kanji = kuten = toten = 0
        for c in codes[offsets[i] : offsets[i + 1]]:
            hiragana += 0x3041 <= c <= 0x3096
            katakana += 0x30A1 <= c <= 0x30FA
            kanji += (
                (0x3400 <= c <= 0x9FFF)
                | (0xF900 <= c <= 0xFAFF)
                | (0x20000 <= c <= 0x2FFFF)
                | (c == 0x3005)  # 々
                | (c == 0x3007)  # 〇
                | (c == 0x303B)  # 〻
            )
            kuten += (c == 0x3002) | (c == 0xFF0E) | (c == 0xFF01) | (c == 0xFF1F)  # 。．！？
            toten += (c == 0x3001) | (c == 0xFF0C)  # 、，
        result[0, i], result[1, i], result[2, i], result[3, i], result[4, i] = hiragana, katakana, kanji, kuten, toten
    return result
