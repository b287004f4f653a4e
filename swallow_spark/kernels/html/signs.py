"""Signs of Japanese in a page's bytes, before any parsing: 95 % of a crawl end here. False positives are accepted."""

import re
from typing import Final

import numpy as np
from numba import njit

from swallow_spark.kernels.html import charset
from swallow_spark.kernels.warc.heads import equals, names

_MIN_UTF8_KANA: Final = 3  # other languages have の, or ー, once
_MIN_LEGACY_KANA: Final = 3  # in Shift_JIS or EUC-JP
_MAX_WRONG_FRACTION: Final = 0.25  # unreadable bytes to readable pairs; charset.py tolerates fewer
_HEAD_BYTES: Final = 2048
_BLOCK_BYTES: Final = 64  # tested at once
_MIN_CERTAIN_FRACTION: Final = 0.2  # kana among the pairs, if all are readable; for charset.py 0.15 is proof
_DECLARATION_BYTES: Final = 1024
_SAMPLE_BYTES: Final = 4096

_HTML_LANG: Final = re.compile(rb"""<html\b[^>]*\blang\s*=\s*["']?\s*ja\b""")
_TITLE: Final = re.compile(rb"<title\b[^>]{0,256}>(.{0,1024}?)</title", re.IGNORECASE | re.DOTALL)
_KANA: Final = re.compile("[ぁ-ゖァ-ヺーｦ-ﾟ]")
_HTML, _, _ = names("html", "", "")

# Typed, so that a comparison takes one byte of a vector.
_ASCII_END, _CONTINUATION_END, _LEAD = np.uint8(0x80), np.uint8(0xBF), np.uint8(0xC0)
_NUL, _TAG_START = np.uint8(0), np.uint8(0x3C)
_SMALL_H, _LARGE_H, _SMALL_T, _LARGE_T = np.uint8(0x68), np.uint8(0x48), np.uint8(0x74), np.uint8(0x54)
_ESC, _AMPERSAND, _HASH = np.uint8(0x1B), np.uint8(0x26), np.uint8(0x23)
_KANA_LEAD, _KANA_FIRST, _KANA_LAST = np.uint8(0xE3), np.uint8(0x81), np.uint8(0x83)
_WIDTH_LEAD, _HALF_FIRST, _HALF_LAST = np.uint8(0xEF), np.uint8(0xBD), np.uint8(0xBE)
_SJIS_FIRST, _SJIS_LAST = np.uint8(0x82), np.uint8(0x83)
_EUC_FIRST, _EUC_LAST = np.uint8(0xA4), np.uint8(0xA5)


def may_be_japanese(html: bytes, content_type: str | None = None) -> bool:
    """Whether a page has a sign of Japanese: `<html lang=ja>`, kana in the title, three kana anywhere.

    Bytes are read as UTF-8, UTF-16, Shift_JIS, EUC-JP and ISO-2022-JP, whatever the page declares, including character
    references. True also for some pages that aren't Japanese (Japanese words in scripts or in a list of languages);
    `japanese.is_japanese` decides on the text.
    """
    data = np.frombuffer(html, dtype=np.uint8)
    begins_declared, has_nul = _look_at_head(data, 0, data.size)
    if begins_declared and _declares_japanese(html[:_HEAD_BYTES].lower()):
        return True
    if has_nul:
        return _has_kana(html, content_type)
    kana, malformed, escape = _scan(data, 0, data.size)
    if kana >= _MIN_UTF8_KANA:
        return True
    if escape and charset.JIS_ESCAPE.search(html) is not None:
        return _has_kana(html, content_type)
    legacy, first, certain = _legacy_kana(data, 0, data.size) if malformed else (0, 0, False)
    if certain:
        return True
    if legacy >= _MIN_LEGACY_KANA:  # a few thousand bytes show whether they are kana
        start = max(html.rfind(b">", 0, first), 0)  # not within a character
        return _has_kana(html[:_DECLARATION_BYTES] + html[start : first + _SAMPLE_BYTES], content_type)
    return kana + legacy > 0 and (title := _TITLE.search(html)) is not None and _has_kana(title[1], content_type)


def _declares_japanese(lower: bytes) -> bool:
    """Whether an <html> tag, in lower case, has lang=ja."""
    at = lower.find(b"<html")
    while at >= 0:
        end = lower.find(b">", at)
        if _HTML_LANG.match(lower[at : end if end >= 0 else len(lower)]) is not None:
            return True
        at = lower.find(b"<html", at + 5)
    return False


def _has_kana(html: bytes, content_type: str | None) -> bool:
    return _KANA.search(charset.decode(html, content_type).text) is not None


@njit(cache=True, nogil=True)
def has_no_sign(data: np.ndarray, start: int, end: int) -> bool:
    """True only if `may_be_japanese` of data[start:end] is False; True for nearly all such pages."""
    may_be_declared, has_nul = _look_at_head(data, start, end)
    if may_be_declared or has_nul:
        return False
    kana, malformed, escape = _scan(data, start, end)
    return kana == 0 and not escape and not (malformed and _legacy_kana(data, start, end)[0] > 0)


@njit(cache=True, nogil=True)
def _look_at_head(data: np.ndarray, start: int, end: int) -> tuple[bool, bool]:
    """(whether an <html> tag has the letters ja, whether there is a NUL) in the first _HEAD_BYTES."""
    end = min(end, start + _HEAD_BYTES)
    ja = nul = False
    i = start
    while i < end:
        stop = i + _BLOCK_BYTES
        if stop + 2 > end:
            stop = end
        else:
            block = data[i : stop + 2]
            seen = False
            for k in range(_BLOCK_BYTES):
                h, t = block[k + 1], block[k + 2]
                is_ht = ((h == _SMALL_H) | (h == _LARGE_H)) & ((t == _SMALL_T) | (t == _LARGE_T))
                seen |= (block[k] == _NUL) | ((block[k] == _TAG_START) & is_ht)
            if not seen:
                i = stop
                continue
        while i < stop:
            nul |= data[i] == 0
            if data[i] == 0x3C and i + 4 < end and equals(data, i + 1, i + 5, _HTML):
                while i < end and data[i] != 0x3E:
                    ja |= data[i] | 0x20 == 0x61 and data[i - 1] | 0x20 == 0x6A
                    nul |= data[i] == 0
                    i += 1
            i += 1
    return ja, nul


@njit(cache=True, nogil=True)
def _scan(data: np.ndarray, start: int, end: int) -> tuple[int, bool, bool]:
    """(kana as UTF-8 or in character references, whether the bytes are malformed as UTF-8, whether there is an ESC), up
    to where there are enough kana. A vectorised loop skips blocks without any of these."""
    kana = 0
    malformed = escape = False
    if start < end:
        malformed = _ASCII_END <= data[start] <= _CONTINUATION_END
    i = start
    while i + 1 < end:
        stop = min(i + _BLOCK_BYTES, end - 1)
        if stop - i == _BLOCK_BYTES:
            block = data[i : stop + 1]
            seen = wrong = False
            for k in range(_BLOCK_BYTES):
                a, b = block[k], block[k + 1]
                seen |= (
                    (a == _ESC)
                    | ((a == _AMPERSAND) & (b == _HASH))
                    | ((a == _KANA_LEAD) & (b >= _KANA_FIRST) & (b <= _KANA_LAST))
                    | ((a == _WIDTH_LEAD) & (b >= _HALF_FIRST) & (b <= _HALF_LAST))
                )
                continues = (b >= _ASCII_END) & (b <= _CONTINUATION_END)
                wrong |= ((a >= _LEAD) & (not continues)) | ((a < _ASCII_END) & continues)
            malformed |= wrong
            if not seen:
                i = stop
                continue
        while i < stop:
            a, b = data[i], data[i + 1]
            continues = _ASCII_END <= b <= _CONTINUATION_END
            malformed |= not continues if a >= _LEAD else a < _ASCII_END and continues
            escape |= a == _ESC
            if a == _AMPERSAND and b == _HASH:
                if _is_kana_reference(data, i, end):
                    return _MIN_UTF8_KANA, malformed, escape
            elif i + 2 < end:
                c = data[i + 2]
                # U+3040 to U+30FF without ・, which Chinese writes in names; half-width kana: U+FF66 to U+FF9F.
                kana += (a == 0xE3 and 0x81 <= b <= 0x83 and c >= 0x80 and not (b == 0x83 and c == 0xBB)) or (
                    a == 0xEF and ((b == 0xBD and c >= 0xA6) or (b == 0xBE and c <= 0x9F))
                )
                if kana >= _MIN_UTF8_KANA:
                    return kana, malformed, escape
            i += 1
    return kana, malformed, escape


@njit(cache=True, nogil=True)
def _is_kana_reference(data: np.ndarray, i: int, end: int) -> bool:
    """Whether the character reference that begins at `i` is U+3040 to U+30FF or a half-width kana."""
    i += 2
    base = 10
    if i < end and data[i] | 0x20 == 0x78:  # x
        base = 16
        i += 1
    codepoint = np.int64(0)
    while i < end and codepoint <= 0xFF9F:
        digit = np.int64(data[i]) - 0x30
        if digit > 9:
            digit = (np.int64(data[i]) | 0x20) - 0x61 + 10 if data[i] >= 0x41 else np.int64(-1)
        if digit < 0 or digit >= base:
            break
        codepoint = codepoint * base + digit
        i += 1
    return bool(0x3040 <= codepoint <= 0x30FF or 0xFF66 <= codepoint <= 0xFF9F)


@njit(cache=True, nogil=True)
def _legacy_kana(data: np.ndarray, start: int, end: int) -> tuple[int, int, bool]:
    """(number of kana as Shift_JIS, or if they are too few, as EUC-JP; place of the first; whether this is certain).

    Pairs of bytes are delimited from the first byte of a run. If many don't fit a charset, the page isn't in it: Big5
    has second bytes that EUC-JP lacks, and no charset like EUC has the lead bytes of Shift_JIS's kana.
    """
    found = 0, start, False
    if _any_between(data, start, end, _SJIS_FIRST, _SJIS_LAST):
        found = _shift_jis_kana(data, start, end)
    if found[0] < _MIN_LEGACY_KANA and _any_between(data, start, end, _EUC_FIRST, _EUC_LAST):
        euc = _euc_jp_kana(data, start, end)
        if euc[0] > found[0]:
            return euc
    return found


@njit(cache=True, nogil=True)
def _any_between(data: np.ndarray, start: int, end: int, low: np.uint8, high: np.uint8) -> bool:
    """Whether any byte is from `low` to `high`. The inner loop is vectorised."""
    for i in range(start, end, _BLOCK_BYTES):
        block = data[i : min(i + _BLOCK_BYTES, end)]
        seen = False
        for k in range(block.size):
            seen |= (block[k] >= low) & (block[k] <= high)
        if seen:
            return True
    return False


@njit(cache=True, nogil=True)
def _shift_jis_kana(data: np.ndarray, start: int, end: int) -> tuple[int, int, bool]:
    kana = pairs = wrong = 0
    first = start
    i = start
    while i + 1 < end:
        a, b = data[i], data[i + 1]
        if a < 0x80 or 0xA1 <= a <= 0xDF:
            i += 1
        elif a == 0x80 or a == 0xA0 or a > 0xFC or b < 0x40 or b == 0x7F or b > 0xFC:
            wrong += 1
            i += 1
        else:
            pairs += 1
            if (a == 0x82 and 0x9F <= b <= 0xF1) or (a == 0x83 and 0x40 <= b <= 0x96):
                first = i if kana == 0 else first
                kana += 1
            i += 2
    certain = wrong == 0 and kana >= max(_MIN_LEGACY_KANA, _MIN_CERTAIN_FRACTION * pairs)
    return (0 if wrong > _MAX_WRONG_FRACTION * pairs else kana), first, certain


@njit(cache=True, nogil=True)
def _euc_jp_kana(data: np.ndarray, start: int, end: int) -> tuple[int, int, bool]:
    kana = pairs = wrong = 0
    first = start
    i = start
    while i + 1 < end:
        a, b = data[i], data[i + 1]
        if a < 0x80:
            i += 1
        elif not (0xA1 <= a <= 0xFE or a == 0x8E or a == 0x8F) or not 0xA1 <= b <= 0xFE:
            wrong += 1
            i += 1
        else:
            pairs += 1
            if (a == 0xA4 or a == 0xA5) and b <= 0xF6:
                first = i if kana == 0 else first
                kana += 1
            i += 3 if a == 0x8F else 2
    certain = wrong == 0 and kana >= max(_MIN_LEGACY_KANA, _MIN_CERTAIN_FRACTION * pairs)
    return (0 if wrong > _MAX_WRONG_FRACTION * pairs else kana), first, certain
