"""Lines that repeat across the pages of a host: keys to count them by, and texts without too frequent lines.

Lines are separated by line feeds and compared without the blanks around them. A line of less than three characters has
no key: a brace that closes a block of code is on many pages, but no menu. The key of a line is the XXH64 of its UTF-8,
seeded with the key of its host, without one bit: an int64 that is never negative. Lookups compare the host's key too,
so lines collide only within a host: with a million dropped lines of a host, one in 9e12 of its other lines does.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.features.texts import is_space
from swallow_spark.kernels.minhash.xxhash import xxh64
from swallow_spark.kernels.text.utf8 import Bytes, Offsets, code_point, utf8_buffers

VERSION: Final = 1

Keys = npt.NDArray[np.int64]
_NO_HOST: Final = -1
_LEAST_CHARS: Final = 3


class Lines(NamedTuple):
    """The lines with keys, in order: the number of the text, the key of its host and the key of the line."""

    text: npt.NDArray[np.int32]
    host: Keys
    line: Keys


class Counts(NamedTuple):
    """The number of pages with each line of a host: distinct (host, line), ascending."""

    host: Keys
    line: Keys
    num_pages: npt.NDArray[np.int32]


class Without(NamedTuple):
    """Texts without some lines, their lengths in code points, and how many lines each lost."""

    texts: pa.Array
    num_chars: npt.NDArray[np.int32]
    num_lines: npt.NDArray[np.int32]


def host_keys(hosts: Any) -> Keys:
    """int64 (hosts,): the key of each host of a (large_)string array; -1 if it is null or empty."""
    keys: Keys = _host_keys(*utf8_buffers(hosts))
    return keys


def lines(texts: Any, hosts: Keys) -> Lines:
    """The lines of a (large_)string array; `hosts`: their `host_keys`. Texts without a host have none."""
    return Lines(*_lines(*utf8_buffers(texts), hosts))


def count(texts: Any, hosts: Keys) -> Counts:
    """The number of texts with each line of a host. A line that a text has twice counts once."""
    text, host, line = lines(texts, hosts)
    order = np.lexsort((line, text))  # a text has one host
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(line[order]) != 0) | (np.diff(text[order]) != 0)
    kept = order[first]
    return combine(host[kept], line[kept], np.ones(len(kept), np.int32))


def combine(host: Keys, line: Keys, num_pages: npt.NDArray[np.int32]) -> Counts:
    """Counts with equal keys added up."""
    if not len(host):
        return Counts(host, line, num_pages)
    order = np.lexsort((line, host))
    host, line = host[order], line[order]
    starts = np.flatnonzero(np.append(True, (np.diff(host) != 0) | (np.diff(line) != 0)))
    return Counts(host[starts], line[starts], np.add.reduceat(num_pages[order], starts, dtype=np.int32))


def without(texts: Any, of: npt.NDArray[np.int32], dropped: npt.NDArray[np.bool_]) -> Without:
    """The texts of a (large_)string array without the lines that are `dropped`; `of` is `lines(…).text`.

    If a text loses lines, blank lines at its beginning and end are removed too. Other texts are not changed.
    """
    data, offsets = utf8_buffers(texts)
    kept, ends, num_chars, num_lines = _without(data, offsets, of, dropped)
    array = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(kept))
    return Without(array.cast(texts.type), num_chars, num_lines)


@njit(cache=True, nogil=True)
def _host_keys(data: Bytes, offsets: Offsets) -> Keys:
    keys = np.full(offsets.size - 1, _NO_HOST, np.int64)
    for i in range(keys.size):
        if offsets[i] < offsets[i + 1]:
            keys[i] = np.int64(xxh64(data, offsets[i], offsets[i + 1], 0) >> np.uint64(1))
    return keys


@njit(cache=True, nogil=True)
def _line(data: Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """For the line that begins at `at`: its start and end without the blanks around it (equal if it is blank), its
    characters between these, and where the line ends."""
    first = last = at
    chars = upto = 0
    blank = True
    while at < end and data[at] != 0x0A:
        here = at
        code, at = code_point(data, at, end)
        chars += not blank
        if not is_space(int(code)):
            if blank:
                first, blank, chars = here, False, 1
            last, upto = at, chars
    return first, last, upto, at


@njit(cache=True, nogil=True)
def _lines(data: Bytes, offsets: Offsets, hosts: Keys) -> tuple[npt.NDArray[np.int32], Keys, Keys]:
    room = 0
    for i in range(hosts.size):
        if hosts[i] != _NO_HOST:
            room += 1
            for at in range(offsets[i], offsets[i + 1]):
                room += data[at] == 0x0A
    texts = np.empty(room, np.int32)
    keys = np.empty(room, np.int64)
    number = 0
    for i in range(hosts.size):
        at, end = offsets[i], offsets[i + 1]
        while at < end and hosts[i] != _NO_HOST:
            first, last, chars, stop = _line(data, at, end)
            if chars >= _LEAST_CHARS:
                texts[number] = i
                keys[number] = np.int64(xxh64(data, first, last, hosts[i]) >> np.uint64(1))
                number += 1
            at = stop + 1
    return texts[:number], hosts[texts[:number]], keys[:number]


@njit(cache=True, nogil=True)
def _without(
    data: Bytes, offsets: Offsets, of: npt.NDArray[np.int32], dropped: npt.NDArray[np.bool_]
) -> tuple[Bytes, Offsets, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    n = offsets.size - 1
    kept = np.empty(offsets[n] - offsets[0], np.uint8)
    ends = np.zeros(n + 1, np.int64)
    num_chars = np.zeros(n, np.int32)
    num_lines = np.zeros(n, np.int32)
    size = number = 0
    for i in range(n):
        at, end = offsets[i], offsets[i + 1]
        stop = number
        while stop < of.size and of[stop] == i:
            num_lines[i] += dropped[stop]
            stop += 1
        if num_lines[i] == 0:
            kept[size : size + end - at] = data[at:end]
            size += end - at
            number = stop
        whole = size  # up to the last line that isn't blank
        while at < end and num_lines[i] > 0:
            first, last, chars, stop_of_line = _line(data, at, end)
            drop = False
            if chars >= _LEAST_CHARS:
                drop = dropped[number]
                number += 1
            if not drop and (first < last or whole > ends[i]):
                if size > ends[i]:
                    kept[size] = 0x0A
                    size += 1
                kept[size : size + stop_of_line - at] = data[at:stop_of_line]
                size += stop_of_line - at
                if first < last:
                    whole = size
            at = stop_of_line + 1
        size = ends[i + 1] = whole
        for k in range(ends[i], size):
            num_chars[i] += (kept[k] & 0xC0) != 0x80
    return kept[:size], ends, num_chars, num_lines
