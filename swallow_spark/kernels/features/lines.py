"""How the lines of a text, without blanks around them, begin, end and repeat: rules of Gopher, C4 and FineWeb."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.features.repetition import repeats
from swallow_spark.kernels.features.texts import Column, Feature, Texts, is_space, optional_ratios, ratio
from swallow_spark.kernels.text.utf8 import Codes, Offsets

SHORT_CHARS: Final = 30  # FineWeb's short_line_length

TERMINAL: Final = frozenset(map(ord, "。．！？.!?…」』”’\"'"))
"""The last character of a line that is a sentence: C4's marks, including quotation marks, and the Japanese ones."""

BULLETS: Final = frozenset(map(ord, "・•‣◦●○◎■□▪▫◆◇▶►※＊*－-"))

_TERMINAL: Final = np.array(sorted(TERMINAL), np.uint32)
_BULLETS: Final = np.array(sorted(BULLETS), np.uint32)


def _compute(texts: Texts) -> list[Column]:
    number, terminal, short, bullets, ellipses, chars, repeated, symbols, visible = _measure(
        texts.codes, texts.offsets, _TERMINAL, _BULLETS
    )
    return [
        ratio(terminal, number),
        ratio(short, number),
        ratio(repeated, chars),
        ratio(bullets, number),
        ratio(ellipses, number),
        ratio(symbols, visible),
    ]


_MEANINGS: Final = {
    "terminal_punctuation_line_fraction": "Share of lines that end in one of 。．！？.!?…」』”’\"'",
    "short_line_fraction": "Share of lines of at most 30 characters.",
    "duplicate_line_fraction_in_character": "Characters of lines that repeat an earlier one, divided by those of all.",
    "bullet_line_fraction": "Share of lines that begin with one of ・•‣◦●○◎■□▪▫◆◇▶►※＊*－-",
    "ellipsis_line_fraction": "Share of lines that end in …, or in three or more of . or ・",
    "symbol_fraction": "# (half and full width) and ellipses, divided by characters that aren't blank.",
}
FEATURE: Final = Feature(
    name="lines",
    version=1,
    group="lines",
    schema=pa.schema(optional_ratios(*_MEANINGS)),
    compute=_compute,
    meanings=_MEANINGS,
    fractions=tuple(_MEANINGS),
)


@njit(cache=True, nogil=True)
def _is_one_of(code: int, codes: Codes) -> bool:
    for other in codes:  # noqa: SIM110 - Numba knows no any()
        if code == other:
            return True
    return False


@njit(cache=True, nogil=True, inline="always")
def _ellipsis_at(codes: Codes, at: int, end: int) -> int:
    """The length of the ellipsis at `at`: one …, or three or more . or ・ in a row; 0 if there is none."""
    c = codes[at]
    if c == 0x2026:
        return 1
    if c != 0x2E and c != 0x30FB:
        return 0
    stop = at + 1
    while stop < end and codes[stop] == c:
        stop += 1
    return stop - at if stop - at >= 3 else 0


@njit(cache=True, nogil=True)
def _measure(codes: Codes, offsets: Offsets, terminal: Codes, bullets: Codes) -> npt.NDArray[np.int64]:
    """int64 (9, texts): lines; those that end in terminal punctuation, are short, begin with a bullet, end in an
    ellipsis; characters of all lines, of repeated lines; hash signs and ellipses; characters that aren't blank."""
    n = offsets.size - 1
    result = np.zeros((9, n), np.int64)
    room = 0 if n == 0 else np.diff(offsets).max()
    kept = np.empty(room, np.uint32)
    bounds = np.empty(room + 2, np.int64)
    table = np.empty(4 * (room + 1), np.int64)
    hashes = np.empty(room + 1, np.int64)
    for i in range(n):
        at, end = offsets[i], offsets[i + 1]
        size = number = 0
        bounds[0] = 0
        while at < end:
            stop = at
            while stop < end and codes[stop] != 0x0A:
                stop += 1
            first, last = at, stop
            while first < last and is_space(int(codes[first])):
                first += 1
            while last > first and is_space(int(codes[last - 1])):
                last -= 1
            if last > first:
                result[1, i] += _is_one_of(codes[last - 1], terminal)
                result[2, i] += last - first <= SHORT_CHARS
                result[3, i] += _is_one_of(codes[first], bullets)
                mark = codes[last - 1]
                dots = mark == 0x2E or mark == 0x30FB
                run = 1
                while dots and last - run > first and run < 3 and codes[last - run - 1] == mark:
                    run += 1
                result[4, i] += mark == 0x2026 or (dots and run == 3)
                number += 1
                k = first
                while k < last:
                    length = _ellipsis_at(codes, k, last)
                    result[7, i] += length > 0 or codes[k] == 0x23 or codes[k] == 0xFF03  # #＃
                    for each in range(k, k + max(1, length)):
                        kept[size] = codes[each]
                        size += 1
                        result[8, i] += not is_space(int(codes[each]))
                    k += max(1, length)
                bounds[number] = size
            at = stop + 1
        result[0, i] = number
        result[5, i] = size
        result[6, i] = repeats(kept, bounds, number, table, hashes)[1]
    return result
