"""XXH32 and XXH64 for compiled kernels (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).

Numba widens uint32 arithmetic to 64 bits, hence the cast after every step; LLVM narrows it again.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from swallow_spark.kernels.text.utf8 import Bytes, Offsets

Words = npt.NDArray[np.uint32]

_P32_1 = np.uint32(0x9E3779B1)
_P32_2 = np.uint32(0x85EBCA77)
_P32_3 = np.uint32(0xC2B2AE3D)
_P32_4 = np.uint32(0x27D4EB2F)
_P32_5 = np.uint32(0x165667B1)

_P64_1 = np.uint64(0x9E3779B185EBCA87)
_P64_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P64_3 = np.uint64(0x165667B19E3779F9)
_P64_4 = np.uint64(0x85EBCA77C2B2AE63)
_P64_5 = np.uint64(0x27D4EB2F165667C5)


@njit(cache=True, nogil=True, inline="always")
def _rotate32(x: np.uint32, bits: int) -> np.uint32:
    return np.uint32((x << np.uint32(bits)) | (x >> np.uint32(32 - bits)))


@njit(cache=True, nogil=True, inline="always")
def _read32(data: Bytes, at: int | np.uint64) -> np.uint32:
    # A signed index might count from the end, which would keep LLVM from making this one load.
    first = np.uint64(at)
    return np.uint32(
        np.uint32(data[first])
        | np.uint32(data[first + np.uint64(1)]) << np.uint32(8)
        | np.uint32(data[first + np.uint64(2)]) << np.uint32(16)
        | np.uint32(data[first + np.uint64(3)]) << np.uint32(24)
    )


@njit(cache=True, nogil=True, inline="always")
def _round32(lane: np.uint32, word: np.uint32) -> np.uint32:
    return np.uint32(_rotate32(np.uint32(lane + np.uint32(word * _P32_2)), 13) * _P32_1)


@njit(cache=True, nogil=True)
def xxh32(data: Bytes, start: int, end: int) -> np.uint32:
    """XXH32, seed 0, of `data[start:end]`."""
    at = start
    if end - start >= 16:
        v1 = np.uint32(_P32_1 + _P32_2)
        v2 = _P32_2
        v3 = np.uint32(0)
        v4 = np.uint32(np.uint32(0) - _P32_1)
        while at + 16 <= end:
            v1 = _round32(v1, _read32(data, at))
            v2 = _round32(v2, _read32(data, at + 4))
            v3 = _round32(v3, _read32(data, at + 8))
            v4 = _round32(v4, _read32(data, at + 12))
            at += 16
        h = np.uint32(_rotate32(v1, 1) + _rotate32(v2, 7) + _rotate32(v3, 12) + _rotate32(v4, 18))
    else:
        h = _P32_5
    h = np.uint32(h + np.uint32(end - start))
    while at + 4 <= end:
        h = _add_word32(h, _read32(data, at))
        at += 4
    while at < end:
        h = _add_byte32(h, np.uint32(data[at]))
        at += 1
    return _finish32(h)


@njit(cache=True, nogil=True, inline="always")
def _add_word32(h: np.uint32, word: np.uint32) -> np.uint32:
    return np.uint32(_rotate32(np.uint32(h + np.uint32(word * _P32_3)), 17) * _P32_4)


@njit(cache=True, nogil=True, inline="always")
def _add_byte32(h: np.uint32, byte: np.uint32) -> np.uint32:
    return np.uint32(_rotate32(np.uint32(h + np.uint32(byte * _P32_5)), 11) * _P32_1)


@njit(cache=True, nogil=True, inline="always")
def _finish32(h: np.uint32) -> np.uint32:
    h = np.uint32((h ^ (h >> np.uint32(15))) * _P32_2)
    h = np.uint32((h ^ (h >> np.uint32(13))) * _P32_3)
    return np.uint32(h ^ (h >> np.uint32(16)))


_LONGER = np.uint32(16)  # any size of 16 or more


@njit(cache=True, nogil=True)
def xxh32_each(data: Bytes, starts: Offsets, stops: Offsets, parts: Words, hashes: Words) -> None:
    """XXH32, seed 0, of each `data[starts[i]:stops[i]]` into hashes[i], several at a time in vector lanes.

    starts, stops: (n,); hashes: (at least n,); parts: scratch space of shape (5, at least n).
    """
    first, second, third, rest, sizes = parts[0], parts[1], parts[2], parts[3], parts[4]
    readable = np.uint64(max(0, data.size - 15))  # 16 bytes can be read from any place before this one
    longer = False
    for i in range(starts.size):
        start, size = np.uint64(starts[i]), np.uint64(stops[i] - starts[i])
        if size < np.uint64(16) and start < readable:
            first[i] = _read32(data, start)
            second[i] = _read32(data, start + np.uint64(4))
            third[i] = _read32(data, start + np.uint64(8))
            rest[i] = _read32(data, start + (size & np.uint64(12)))
            sizes[i] = np.uint32(size)
        else:  # with emoji, or at the end of the column
            longer = True
            sizes[i] = _LONGER
    _below_16_bytes(first, second, third, rest, sizes, hashes, starts.size)
    if longer:
        for i in range(starts.size):
            if sizes[i] == _LONGER:
                hashes[i] = xxh32(data, starts[i], stops[i])


@njit(cache=True, nogil=True)
def _below_16_bytes(
    first: Words, second: Words, third: Words, rest: Words, sizes: Words, hashes: Words, n: int
) -> None:
    """XXH32 of strings of `sizes` bytes, given their first three words and the one after the last full word.

    Without branches, so that LLVM vectorises the loop: steps that a string is too short for are computed and discarded.
    """
    for i in range(n):
        size, tail = sizes[i], rest[i]
        h = np.uint32(_P32_5 + size)
        longer = _add_word32(h, first[i])
        h = longer if size >= 4 else h
        longer = _add_word32(h, second[i])
        h = longer if size >= 8 else h
        longer = _add_word32(h, third[i])
        h = longer if size >= 12 else h
        odd = size & np.uint32(3)
        longer = _add_byte32(h, np.uint32(tail & np.uint32(0xFF)))
        h = longer if odd >= 1 else h
        longer = _add_byte32(h, np.uint32(tail >> np.uint32(8) & np.uint32(0xFF)))
        h = longer if odd >= 2 else h
        longer = _add_byte32(h, np.uint32(tail >> np.uint32(16) & np.uint32(0xFF)))
        h = longer if odd >= 3 else h
        hashes[i] = _finish32(h)


@njit(cache=True, nogil=True, inline="always")
def _rotate64(x: np.uint64, bits: int) -> np.uint64:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@njit(cache=True, nogil=True, inline="always")
def _read64(data: Bytes, at: int) -> np.uint64:
    return np.uint64(_read32(data, at)) | np.uint64(_read32(data, at + 4)) << np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def _round64(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _rotate64(lane + word * _P64_2, 31) * _P64_1


@njit(cache=True, nogil=True, inline="always")
def _merge64(h: np.uint64, lane: np.uint64) -> np.uint64:
    return (h ^ _round64(np.uint64(0), lane)) * _P64_1 + _P64_4


@njit(cache=True, nogil=True)
def xxh64(data: Bytes, start: int, end: int, seed: int) -> np.uint64:
    """XXH64 of `data[start:end]`."""
    at = start
    s = np.uint64(seed)
    if end - start >= 32:
        v1 = s + _P64_1 + _P64_2
        v2 = s + _P64_2
        v3 = s
        v4 = s - _P64_1
        while at + 32 <= end:
            v1 = _round64(v1, _read64(data, at))
            v2 = _round64(v2, _read64(data, at + 8))
            v3 = _round64(v3, _read64(data, at + 16))
            v4 = _round64(v4, _read64(data, at + 24))
            at += 32
        h = _rotate64(v1, 1) + _rotate64(v2, 7) + _rotate64(v3, 12) + _rotate64(v4, 18)
        h = _merge64(_merge64(_merge64(_merge64(h, v1), v2), v3), v4)
    else:
        h = s + _P64_5
    h = h + np.uint64(end - start)
    while at + 8 <= end:
        h = _rotate64(h ^ _round64(np.uint64(0), _read64(data, at)), 27) * _P64_1 + _P64_4
        at += 8
    if at + 4 <= end:
        h = _rotate64(h ^ np.uint64(_read32(data, at)) * _P64_1, 23) * _P64_2 + _P64_3
        at += 4
    while at < end:
        h = _rotate64(h ^ np.uint64(data[at]) * _P64_5, 11) * _P64_1
        at += 1
    h = (h ^ (h >> np.uint64(33))) * _P64_2
    h = (h ^ (h >> np.uint64(29))) * _P64_3
    return h ^ (h >> np.uint64(32))
