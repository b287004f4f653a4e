"""Whether a page, or a text, is Japanese.

`may_be_japanese` looks at raw bytes before any parsing: for 95 % of a crawl it is all that a page costs, so it errs on
the side of yes. `is_japanese_page` decides, on the text.
"""

import re
from typing import Final

import numpy as np
from numba import njit

from swallow_spark.kernels import charset

__all__ = ["is_japanese", "is_japanese_page", "language_score", "may_be_japanese"]

VERSION: Final = 3  # raise it where another page may be taken for Japanese, or its score differ
_MIN_JAPANESE_FRACTION: Final = 0.05  # kana and Chinese characters among letters; more in all but untranslated pages
_MIN_JAPANESE_LETTERS: Final = 400  # a page with so many is Japanese whatever else it holds
_MIN_KANA_IN_JAPANESE: Final = 0.10  # kana among kana and kanji: 0.3 to 0.7 in prose; Chinese that quotes kana is lower
_MIN_UTF8_KANA: Final = 3  # on raw bytes; other languages have の, or ー, once
_HEAD_BYTES: Final = 2048
_BLOCK_BYTES: Final = 32
_DECLARATION_BYTES: Final = 1024
_SAMPLE_BYTES: Final = 4096

_HTML_LANG: Final = re.compile(rb"""<html\b[^>]*\blang\s*=\s*["']?\s*ja\b""")
_TITLE: Final = re.compile(rb"<title\b[^>]{0,256}>(.{0,1024}?)</title", re.IGNORECASE | re.DOTALL)
_KANA: Final = re.compile("[ぁ-ゖァ-ヺーｦ-ﾟ]")


@njit(cache=True, nogil=True)
def _is_kana_reference(data: np.ndarray, i: int) -> bool:
    """Whether the character reference whose `&#` is at `i` is of U+3040 to U+30FF or a half-width kana."""
    i += 2
    base = 10
    if i < data.size and data[i] | 0x20 == 0x78:  # x
        base = 16
        i += 1
    codepoint = np.int64(0)
    while i < data.size and codepoint <= 0xFF9F:
        digit = np.int64(data[i]) - 0x30
        if digit > 9:
            digit = (np.int64(data[i]) | 0x20) - 0x61 + 10 if data[i] >= 0x41 else np.int64(-1)
        if digit < 0 or digit >= base:
            break
        codepoint = codepoint * base + digit
        i += 1
    return bool(0x3040 <= codepoint <= 0x30FF or 0xFF66 <= codepoint <= 0xFF9F)


@njit(cache=True, nogil=True)
def _signs(data: np.ndarray) -> tuple[int, int, int, bool, bool]:
    """(kana as UTF-8 or in references, pairs that may be kana in Shift_JIS or EUC-JP, where the first of these is,
    whether the bytes are malformed as UTF-8, whether there is an ESC).

    Ends where kana are enough. Blocks of plain ASCII are passed over by a loop that the compiler makes vectors of.
    """
    utf8 = pairs = first = 0
    malformed = escape = False
    for start in range(0, data.size - 1, _BLOCK_BYTES):
        stop = min(start + _BLOCK_BYTES, data.size - 1)
        if stop - start == _BLOCK_BYTES:
            block = data[start : stop + 1]
            seen = np.uint8(0)
            for k in range(_BLOCK_BYTES):
                seen |= (
                    (block[k] & np.uint8(0x80))
                    | np.uint8(block[k] == 0x1B)
                    | (np.uint8(block[k] == 0x26) & np.uint8(block[k + 1] == 0x23))
                )
            if seen == 0:
                continue
        for i in range(start, stop):
            b = data[i]
            if b < 0x80:
                escape |= b == 0x1B
                if b == 0x26 and data[i + 1] == 0x23 and _is_kana_reference(data, i):
                    return _MIN_UTF8_KANA, pairs, first, malformed, escape
                continue
            c = data[i + 1]
            if b >= 0xC0:
                malformed |= c < 0x80 or c > 0xBF
                if i + 2 < data.size and (
                    # U+3040 to U+30FF without ・, which Chinese writes in names; half-width kana: U+FF66 to U+FF9F.
                    (
                        b == 0xE3
                        and 0x81 <= c <= 0x83
                        and data[i + 2] >= 0x80
                        and not (c == 0x83 and data[i + 2] == 0xBB)
                    )
                    or (b == 0xEF and ((c == 0xBD and data[i + 2] >= 0xA6) or (c == 0xBE and data[i + 2] <= 0x9F)))
                ):
                    utf8 += 1
                    if utf8 >= _MIN_UTF8_KANA:
                        return utf8, pairs, first, malformed, escape
            else:
                malformed |= i == 0 or data[i - 1] < 0x80
                if (
                    (b == 0x82 and 0x9F <= c <= 0xF1)
                    or (b == 0x83 and 0x40 <= c <= 0x96)
                    or ((b == 0xA4 or b == 0xA5) and 0xA1 <= c <= 0xF6)
                ):
                    first = i if pairs == 0 else first
                    pairs += 1
    return utf8, pairs, first, malformed, escape


def may_be_japanese(html: bytes, content_type: str | None = None) -> bool:
    """Whether a page has a sign of Japanese: `<html lang=ja>`, kana in the title, three kana anywhere.

    Bytes are read as UTF-8, UTF-16, Shift_JIS, EUC-JP and ISO-2022-JP, whatever the page declares, and character
    references are seen. Says yes to some pages that aren't Japanese (Japanese words in scripts or in a list of
    languages); `is_japanese` decides on the text.
    """
    head = html[:_HEAD_BYTES]
    if _declares_japanese(head.lower()):
        return True
    if b"\x00" in head:
        return _has_kana(html, content_type)
    utf8, pairs, first, malformed, escape = _signs(np.frombuffer(html, dtype=np.uint8))
    if utf8 >= _MIN_UTF8_KANA:
        return True
    if escape and charset.JIS_ESCAPE.search(html) is not None:
        return _has_kana(html, content_type)
    if malformed and pairs >= _MIN_UTF8_KANA:  # in a charset of its own: a few thousand bytes tell which
        start = max(html.rfind(b">", 0, first), 0)  # no half of a character
        return _has_kana(html[:_DECLARATION_BYTES] + html[start : first + _SAMPLE_BYTES], content_type)
    return (
        utf8 + pairs * malformed > 0
        and (title := _TITLE.search(html)) is not None
        and _has_kana(title[1], content_type)
    )


def _declares_japanese(lower: bytes) -> bool:
    """Whether an <html> tag, in lower case, has lang=ja. The expression alone would take as long as all the rest."""
    at = lower.find(b"<html")
    while at >= 0:
        end = lower.find(b">", at)
        tag = lower[at : end if end >= 0 else len(lower)]
        if b"ja" in tag and _HTML_LANG.match(tag) is not None:
            return True
        at = lower.find(b"<html", at + 5)
    return False


def _has_kana(html: bytes, content_type: str | None) -> bool:
    return _KANA.search(charset.decode(html, content_type).text) is not None


def _letter_classes() -> np.ndarray:
    """For each code point of the BMP: 0 no letter, 1 a letter, 2 a Chinese character, 3 kana."""
    classes = np.zeros(0x10000, dtype=np.uint8)
    for codepoint in range(0x10000):
        if chr(codepoint).isalpha():
            classes[codepoint] = 1
    for first, last in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x3005, 0x3007)):
        classes[first : last + 1] = 2
    for first, last in (
        (0x3041, 0x3096),
        (0x309D, 0x309F),
        (0x30A1, 0x30FA),
        (0x30FC, 0x30FF),
        (0x31F0, 0x31FF),
        (0xFF66, 0xFF9F),
    ):
        classes[first : last + 1] = 3
    return classes


_LETTER_CLASSES: Final = _letter_classes()


@njit(cache=True, nogil=True)
def _count_letters(utf8: np.ndarray, classes: np.ndarray) -> tuple[int, int, int]:
    """(letters, Chinese characters, kana) of well-formed UTF-8."""
    letters = han = kana = 0
    i = 0
    n = utf8.size
    while i < n:
        b = utf8[i]
        if b < 0x80:
            letters += classes[b]
            i += 1
            continue
        if b < 0xE0:
            codepoint = (np.int64(b) & 0x1F) << 6 | (np.int64(utf8[i + 1]) & 0x3F)
            i += 2
        elif b < 0xF0:
            codepoint = (
                (np.int64(b) & 0x0F) << 12 | (np.int64(utf8[i + 1]) & 0x3F) << 6 | (np.int64(utf8[i + 2]) & 0x3F)
            )
            i += 3
        else:
            # Above the BMP: Chinese characters are planes 2 and 3 (F0 A0 to F0 BF); the rest is mostly emoji.
            if b == 0xF0 and utf8[i + 1] >= 0xA0:
                letters += 1
                han += 1
            i += 4
            continue
        c = classes[codepoint]
        if c != 0:
            letters += 1
            if c == 2:
                han += 1
            elif c == 3:
                kana += 1
    return letters, han, kana


def _letters(text: str) -> tuple[int, int, int]:
    utf8 = text.encode("utf-8", "replace")  # a lone surrogate is no letter
    return _count_letters(np.frombuffer(utf8, dtype=np.uint8), _LETTER_CLASSES)


def language_score(text: str) -> float:
    """The share of kana (half-width ones included) among a text's letters: 0.0 to 1.0; 0.0 where there are none."""
    letters, _, kana = _letters(text)
    return kana / letters if letters else 0.0


def is_japanese(text: str) -> bool:
    """Whether a text is Japanese: kana and Chinese characters are more than 1/20 of its letters, or 400 of them.

    In both cases kana must be a fair part of these, so that Chinese with a few kana isn't Japanese, nor is a text of
    Chinese characters alone: nothing tells it from Chinese. There is no lower bound on length.
    """
    letters, han, kana = _letters(text)
    japanese = han + kana
    if kana == 0 or kana < _MIN_KANA_IN_JAPANESE * japanese:
        return False
    return japanese > _MIN_JAPANESE_FRACTION * letters or japanese >= _MIN_JAPANESE_LETTERS


def is_japanese_page(text: str, page_text: str) -> bool:
    """Whether a page is Japanese: its main text is, or else all the text that it shows.

    The second finds pages of Japanese sites whose main text is code, a table of names or not translated yet: on the
    pages of `benchmarks/language.py` recall goes from .972 to .998, and 3 of 2,536 pages of other languages are taken
    besides. Such a page has a low `language_score`, by which those who don't want it can tell it.
    """
    return is_japanese(text) or is_japanese(page_text)
