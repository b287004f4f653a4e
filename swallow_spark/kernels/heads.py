"""Heads of WARC records and HTTP responses: where they end, and the few header fields that every record is asked for.

Parsing all fields of all records in Python takes as long as inflating them.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit

__all__ = ["ABSENT", "UNPLAIN", "HeadSpans", "names", "scan_head"]

ABSENT: Final = -1
UNPLAIN: Final = -2
_MAX_NAME_BYTES: Final = 24


class HeadSpans(NamedTuple):
    """Positions in what was scanned. A field that is not there has ABSENT as both; one that there are several of, or
    that goes on in the next line, UNPLAIN."""

    end: int
    """Behind the line end of the last field; -1 where no empty line follows within the limit."""
    body: int
    first_start: int
    first_end: int
    second_start: int
    second_end: int
    third_start: int
    third_end: int


def names(first: str, second: str, third: str) -> np.ndarray:
    """Names of header fields, in lower case, for `scan_head`."""
    table = np.zeros((3, _MAX_NAME_BYTES), dtype=np.uint8)
    for row, name in zip(table, (first, second, third), strict=True):
        row[: len(name)] = np.frombuffer(name.encode("ascii"), dtype=np.uint8)
    return table


def scan_head(data: bytes | bytearray, start: int, max_bytes: int, fields: np.ndarray) -> HeadSpans:
    """Scans a head from `start`, which is in its first line, to the first empty line, for three fields."""
    return HeadSpans(*_scan(np.frombuffer(data, dtype=np.uint8), start, min(max_bytes, len(data)), fields))


@njit(cache=True, nogil=True)
def _scan(data: np.ndarray, start: int, stop: int, fields: np.ndarray) -> tuple[int, int, int, int, int, int, int, int]:
    starts0 = starts1 = starts2 = ends0 = ends1 = ends2 = -1
    last = -1  # the field that the line before belongs to, if it is one of the three
    i = start
    while i < stop and data[i] != 0x0A:
        i += 1
    i += 1
    while i < stop:
        if data[i] == 0x0A or (data[i] == 0x0D and i + 1 < stop and data[i + 1] == 0x0A):
            body = i + (1 if data[i] == 0x0A else 2)
            return i, body, starts0, ends0, starts1, ends1, starts2, ends2
        line_end = i
        while line_end < stop and data[line_end] != 0x0A:
            line_end += 1
        if data[i] == 0x20 or data[i] == 0x09:
            field, value = last, -2
        else:
            field, value = -1, -1
            for k in range(3):
                n = 0
                while fields[k, n] != 0 and i + n < line_end and (data[i + n] | 0x20) == (fields[k, n] | 0x20):
                    n += 1
                if fields[k, n] == 0:
                    at = i + n
                    while at < line_end and (data[at] == 0x20 or data[at] == 0x09):
                        at += 1
                    if at < line_end and data[at] == 0x3A:
                        field, value = k, at + 1
        end = line_end if value >= 0 else -2
        if field == 0:
            starts0, ends0 = (value, end) if starts0 == -1 else (-2, -2)
        elif field == 1:
            starts1, ends1 = (value, end) if starts1 == -1 else (-2, -2)
        elif field == 2:
            starts2, ends2 = (value, end) if starts2 == -1 else (-2, -2)
        last = field
        i = line_end + 1
    return -1, -1, starts0, ends0, starts1, ends1, starts2, ends2
