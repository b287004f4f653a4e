"""Heads of WARC records and HTTP responses: where they end, and the few header fields needed from every record.

Parsing all fields of all records in Python takes as long as inflating them.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit

ABSENT: Final = -1
UNPLAIN: Final = -2
_MAX_NAME_BYTES: Final = 24


class HeadSpans(NamedTuple):
    """Positions in the scanned data. Both are ABSENT for a missing field, UNPLAIN for a repeated or folded one."""

    end: int
    """After the line end of the last field; -1 if no empty line follows within the limit."""
    body: int
    first_start: int
    first_end: int
    second_start: int
    second_end: int
    third_start: int
    third_end: int
    odd: bool
    """Whether a field's name has a control character, or a folded line continues nothing."""


def names(first: str, second: str, third: str) -> np.ndarray:
    """Names of header fields, in lower case, for `scan_head`: uint8 (3, _MAX_NAME_BYTES), padded with zeros."""
    table = np.zeros((3, _MAX_NAME_BYTES), dtype=np.uint8)
    for row, name in zip(table, (first, second, third), strict=True):
        row[: len(name)] = np.frombuffer(name.encode("ascii"), dtype=np.uint8)
    return table


def scan_head(data: bytes | bytearray, start: int, max_bytes: int, fields: np.ndarray) -> HeadSpans:
    """Scans a head for three fields, from `start`, which is in its first line, to the first empty line.

    Lines end in LF, with any number of CR before it: a CRLF that was written as text on Windows is CR CR LF.
    """
    return HeadSpans(*scan(np.frombuffer(data, dtype=np.uint8), start, min(max_bytes, len(data)), fields))


@njit(cache=True, nogil=True)
def equals(data: np.ndarray, start: int, end: int, word: np.ndarray) -> bool:
    """Whether data[start:end], in lower case, equals `word` up to its first zero."""
    n = end - start
    if n < 0 or n > word.size or (n < word.size and word[n] != 0):
        return False
    for k in range(n):
        b = data[start + k]
        if (b | 0x20 if 0x41 <= b <= 0x5A else b) != word[k] or b == 0:
            return False
    return True


@njit(cache=True, nogil=True)
def trimmed(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """The span without the blanks around it."""
    while start < end and (data[start] == 0x20 or (0x09 <= data[start] <= 0x0D and data[start] != 0x0B)):
        start += 1
    while end > start and (data[end - 1] == 0x20 or (0x09 <= data[end - 1] <= 0x0D and data[end - 1] != 0x0B)):
        end -= 1
    return start, end


@njit(cache=True, nogil=True)
def scan(
    data: np.ndarray, start: int, stop: int, fields: np.ndarray
) -> tuple[int, int, int, int, int, int, int, int, bool]:
    """`scan_head` for data[:stop]; returns HeadSpans as a plain tuple."""
    starts0 = starts1 = starts2 = ends0 = ends1 = ends2 = -1
    odd = named = False
    last = -1  # the field that a folded line continues, if it is one of the three
    i = start
    while i < stop and data[i] != 0x0A:
        i += 1
    i += 1
    while i < stop:
        at = i
        while at < stop and data[at] == 0x0D:
            at += 1
        if at < stop and data[at] == 0x0A:
            return i, at + 1, starts0, ends0, starts1, ends1, starts2, ends2, odd
        at = i
        control = False
        while at < stop and data[at] != 0x3A and data[at] != 0x0A:
            control |= data[at] < 0x20 and data[at] != 0x09
            at += 1
        line_end = at
        while line_end < stop and data[line_end] != 0x0A:
            line_end += 1
        field, value = -1, -1
        if data[i] == 0x20 or data[i] == 0x09:
            field, value = last, -2
            odd |= not named
        elif at < line_end:  # at a colon
            odd |= control
            name_end = at
            while name_end > i and (data[name_end - 1] == 0x20 or data[name_end - 1] == 0x09):
                name_end -= 1
            named = name_end > i
            for k in range(3):
                if equals(data, i, name_end, fields[k]):
                    field, value = k, at + 1
            last = field
        end = line_end if value >= 0 else -2
        if field == 0:
            starts0, ends0 = (value, end) if starts0 == -1 else (-2, -2)
        elif field == 1:
            starts1, ends1 = (value, end) if starts1 == -1 else (-2, -2)
        elif field == 2:
            starts2, ends2 = (value, end) if starts2 == -1 else (-2, -2)
        i = line_end + 1
    return -1, -1, starts0, ends0, starts1, ends1, starts2, ends2, odd
