"""Whether a page or text is Japanese: `may_be_japanese` tests raw bytes, `is_japanese_page` decides on the text."""

from functools import lru_cache
from typing import Final

import numpy as np
from numba import njit

from swallow_spark.kernels.html.signs import may_be_japanese

__all__ = ["is_japanese", "is_japanese_page", "language_score", "may_be_japanese"]

VERSION: Final = 4  # raise it when a page's verdict or score may change
_MIN_JAPANESE_FRACTION: Final = 0.05  # kana and Chinese characters among letters; only untranslated pages have fewer
_MIN_JAPANESE_LETTERS: Final = 400  # a page with this many is Japanese whatever else it contains
_MIN_KANA_FRACTION: Final = 0.01  # of letters: names and quotations have fewer
_MIN_LETTERS_BESIDE: Final = 60  # around a text that isn't Japanese, on a page that declares another language
_MIN_KANA_IN_JAPANESE: Final = 0.10  # kana among kana and kanji: 0.3 to 0.7 in prose, less in Chinese that quotes kana


def _letter_classes() -> np.ndarray:
    """For each code point of the BMP: 0 no letter, 1 another letter, 2 a Chinese character, 3 kana."""
    classes = np.zeros(0x10000, dtype=np.uint8)
    for codepoint in range(0x10000):
        if chr(codepoint).isalpha():
            classes[codepoint] = 1
    chinese = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x3005, 0x3007))
    kana = ((0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))
    for letter_class, ranges in ((2, chinese), (3, kana)):
        for first, last in ranges:
            classes[first : last + 1] = letter_class
    return classes


_LETTER_CLASSES: Final = _letter_classes()


@njit(cache=True, nogil=True)
def _count_letters(utf8: np.ndarray, classes: np.ndarray) -> tuple[int, int, int]:
    """(letters, Chinese characters, kana) in well-formed UTF-8 of less than 4 GiB."""
    letters = han = kana = 0
    n = np.uint32(utf8.size)  # unsigned indices need no test for negative ones
    i = np.uint32(0)
    while i < n:
        b = np.uint32(utf8[i])
        if b < 0x80:
            letters += classes[b]
            i += np.uint32(1)
            continue
        second = np.uint32(utf8[i + np.uint32(1)]) & np.uint32(0x3F)
        if b < 0xE0:
            codepoint = (b & np.uint32(0x1F)) << np.uint32(6) | second
            i += np.uint32(2)
        elif b < 0xF0:
            third = np.uint32(utf8[i + np.uint32(2)]) & np.uint32(0x3F)
            codepoint = (b & np.uint32(0x0F)) << np.uint32(12) | second << np.uint32(6) | third
            i += np.uint32(3)
        else:
            # Above the BMP: Chinese characters are planes 2 and 3 (F0 A0 to F0 BF); the rest is mostly emoji.
            if b == 0xF0 and second >= 0x20:
                letters += 1
                han += 1
            i += np.uint32(4)
            continue
        c = classes[codepoint]  # no branches: no processor can predict how kana and kanji alternate
        letters += c != 0
        han += c == 2
        kana += c == 3
    return letters, han, kana


@lru_cache(maxsize=2)  # a page's main text and all its text
def _letters(text: str) -> tuple[int, int, int]:
    return _counted(text.encode("utf-8", "replace"))  # a lone surrogate is no letter


def _counted(utf8: bytes) -> tuple[int, int, int]:
    counted: tuple[int, int, int] = _count_letters(np.frombuffer(utf8, dtype=np.uint8), _LETTER_CLASSES)
    return counted


def language_score(text: str | bytes) -> float:
    """The share of kana (including half-width ones) among the letters of a text or its UTF-8; 0.0 without letters."""
    letters, _, kana = _letters(text) if isinstance(text, str) else _counted(text)
    return kana / letters if letters else 0.0


def is_japanese(text: str) -> bool:
    """Whether a text is Japanese: more than 1/20 of its letters, or at least 400, are kana and Chinese characters.

    In both cases a tenth of these must be kana: Chinese with a few kana isn't Japanese, nor is a text of Chinese
    characters alone, which can't be told from Chinese. There is no lower bound on length.
    """
    letters, han, kana = _letters(text)
    japanese = han + kana
    if kana == 0 or kana < _MIN_KANA_IN_JAPANESE * japanese:
        return False
    return japanese >= _MIN_JAPANESE_LETTERS or (
        japanese > _MIN_JAPANESE_FRACTION * letters and kana >= _MIN_KANA_FRACTION * letters
    )


def is_japanese_page(text: str, page_text: str, lang: str) -> bool:
    """Whether a page is Japanese by its main text or by all its visible text. `lang`: the language it declares.

    All the text finds pages of Japanese sites whose main text is code, a table of names or not yet translated: on the
    pages of `benchmarks/language.py` recall rises from .970 to .998. Such pages have a low `language_score`, so they
    can be filtered out. If a page declares another language, a few words around the main text are not enough.
    """
    if is_japanese(text):
        return True
    if not is_japanese(page_text):
        return False
    if not lang or lang.lower().startswith("ja"):
        return True
    _, han, kana = _letters(page_text)
    return han + kana >= _MIN_LETTERS_BESIDE
