"""MinHash signatures of character n-grams as datasketch 2 defines them, one-bit sketches, and text hashes.

Equal to `datasketch.MinHash(num_perm, seed=seed, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)` updated with a
text's shingles: a shingle's XXH32 goes through MurmurHash3's 32-bit finalizer to h, and value k of the signature is the
least a_k * h + b_k (mod 2**32) over the shingles. The permutations (a, b) are the numbers that datasketch draws.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from swallow_spark.kernels.minhash.xxhash import xxh32_each, xxh64
from swallow_spark.kernels.text.utf8 import Bytes, Offsets, utf8_buffers

VERSION: Final = 1
"""Raise it when a value changes for the same text."""

Signatures = npt.NDArray[np.uint32]

_LANES = 16  # hashes permuted together, without loading or storing minima in between
_BLOCK = 1024  # shingles hashed together; a multiple of _LANES
_SEEN = 4096  # entries of the filter of recent hashes, a power of two; 16 KiB stay in the L1 cache


@lru_cache(maxsize=8)
def _permutations(num_perm: int, seed: int) -> tuple[Signatures, Signatures]:
    """(a, b), each uint32 of shape (num_perm,), as datasketch draws them, from a generator whose stream NumPy
    guarantees (NEP 19). Every a is odd, so different hashes stay different."""
    random = np.random.RandomState(seed)
    a = random.randint(0, 1 << 31, num_perm, np.uint32) * np.uint32(2) + np.uint32(1)
    return a, random.randint(0, 1 << 32, num_perm, np.uint32)


def signatures(texts: Any, *, num_perm: int = 800, shingle_chars: int = 5, seed: int = 1) -> Signatures:
    """The MinHash signatures of a string or large_string array: uint32, shape (len(texts), num_perm).

    Shingles are all runs of `shingle_chars` code points of the unchanged text; a shorter text (nulls count as empty) is
    one shingle. Raises ValueError for a `num_perm` or `shingle_chars` below 1.
    """
    if num_perm < 1 or shingle_chars < 1:
        raise ValueError(f"num_perm and shingle_chars must be at least 1, not {num_perm} and {shingle_chars}")
    data, offsets = utf8_buffers(texts)
    a, b = _permutations(num_perm, seed)
    return _signatures(data, offsets, shingle_chars, a, b)


def text_hashes(texts: Any) -> npt.NDArray[np.int64]:
    """XXH64 (seed 0) of the UTF-8 bytes of each text, read as int64; shape (len(texts),)."""
    return _text_hashes(*utf8_buffers(texts)).view(np.int64)


def one_bit_sketches(signatures: Signatures) -> npt.NDArray[np.uint8]:
    """One bit of each value of the signatures, packed: uint8, shape (n, num_perm // 8), for `estimated_jaccard`.

    This is b-bit MinHash with b = 1 (Li and König, WWW 2010). The bit is the lowest one after MurmurHash3's finalizer,
    not of the value itself: a_k is odd, so the lowest bit of a_k * h + b_k follows that of h for every k, and two texts
    of a few shingles would agree in all their bits or in none. Raises ValueError unless num_perm is a multiple of 8.
    """
    if signatures.shape[1] % 8:
        raise ValueError(f"num_perm must be a multiple of 8, not {signatures.shape[1]}")
    return np.packbits(_mixed_bits(np.ascontiguousarray(signatures, np.uint32)), axis=1)


def estimated_jaccard(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The Jaccard similarity estimated from two arrays of sketches of the same shape (n, bytes): float32, (n,).

    Bits of different minima agree half the time, so the estimate is max(0, 2 * (share of equal bits) - 1). Its standard
    error is sqrt((1 - J**2) / bits): .015 at J = .9 with 800 bits.
    """
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"sketches of the shapes {a.shape} and {b.shape} can't be compared row by row")
    bits = max(1, 8 * a.shape[1])
    differing = np.bitwise_count(a ^ b).sum(axis=1, dtype=np.int64)
    estimate: npt.NDArray[np.float32] = np.maximum(0.0, 1.0 - 2.0 * differing / bits).astype(np.float32)
    return estimate


@njit(cache=True, nogil=True, inline="always")
def _fmix32(h: np.uint32) -> np.uint32:
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@njit(cache=True, nogil=True)
def _lower(minima: Signatures, hashes: Signatures, count: int, a: Signatures, b: Signatures) -> None:
    """Lowers `minima` by the permuted `hashes[:count]`; `hashes` has room up to the next multiple of _LANES."""
    while count % _LANES:  # repeating a hash does not change the minimum
        hashes[count] = hashes[count - 1]
        count += 1
    for start in range(0, count, _LANES):
        h0, h1, h2, h3 = hashes[start], hashes[start + 1], hashes[start + 2], hashes[start + 3]
        h4, h5, h6, h7 = hashes[start + 4], hashes[start + 5], hashes[start + 6], hashes[start + 7]
        h8, h9, h10, h11 = hashes[start + 8], hashes[start + 9], hashes[start + 10], hashes[start + 11]
        h12, h13, h14, h15 = hashes[start + 12], hashes[start + 13], hashes[start + 14], hashes[start + 15]
        for k in range(a.size):  # LLVM vectorises this loop
            a_k, b_k, least = a[k], b[k], minima[k]
            least = min(least, np.uint32(a_k * h0 + b_k))
            least = min(least, np.uint32(a_k * h1 + b_k))
            least = min(least, np.uint32(a_k * h2 + b_k))
            least = min(least, np.uint32(a_k * h3 + b_k))
            least = min(least, np.uint32(a_k * h4 + b_k))
            least = min(least, np.uint32(a_k * h5 + b_k))
            least = min(least, np.uint32(a_k * h6 + b_k))
            least = min(least, np.uint32(a_k * h7 + b_k))
            least = min(least, np.uint32(a_k * h8 + b_k))
            least = min(least, np.uint32(a_k * h9 + b_k))
            least = min(least, np.uint32(a_k * h10 + b_k))
            least = min(least, np.uint32(a_k * h11 + b_k))
            least = min(least, np.uint32(a_k * h12 + b_k))
            least = min(least, np.uint32(a_k * h13 + b_k))
            least = min(least, np.uint32(a_k * h14 + b_k))
            least = min(least, np.uint32(a_k * h15 + b_k))
            minima[k] = least


@njit(cache=True, nogil=True)
def _find_chars(data: Bytes, at: int, end: int, places: Offsets, held: int) -> tuple[int, int]:
    """Appends the offsets of the code points of `data[at:end]` to the first `held` of `places` while there is room,
    and `end` after the last one. Returns where to continue, and the new number of offsets."""
    while at < end and held < places.size - 1:
        places[held] = at
        held += data[np.uint64(at)] & 0xC0 != 0x80
        at += 1
    if at == end:
        places[held] = end
    return at, held


@njit(cache=True, nogil=True)
def _signatures(data: Bytes, offsets: Offsets, shingle_chars: int, a: Signatures, b: Signatures) -> Signatures:
    n = offsets.size - 1
    result = np.full((n, a.size), np.uint32(0xFFFFFFFF), np.uint32)
    places = np.empty(_BLOCK + shingle_chars, np.int64)
    parts = np.empty((5, _BLOCK), np.uint32)
    hashes = np.empty(_BLOCK, np.uint32)
    seen = np.empty(_SEEN, np.uint32)
    for i in range(n):
        seen[:] = 0
        seen[0] = 1  # hash 0 belongs in entry 0 and 1 does not: nothing has been seen
        start, end = offsets[i], offsets[i + 1]
        places[0] = start
        at, held = _find_chars(data, min(start + 1, end), end, places, int(start < end))
        while True:
            # A code point ends where the next one begins; for the last one this is known only at `end`.
            count = held - shingle_chars + int(at == end)
            if count > 0:
                xxh32_each(data, places[:count], places[shingle_chars : shingle_chars + count], parts, hashes)
            else:  # a text shorter than a shingle
                count = 1
                xxh32_each(data, places[:1], places[held : held + 1], parts, hashes)
            fresh = 0
            for j in range(count):
                h = hashes[j]
                slot = h & np.uint32(_SEEN - 1)
                hashes[fresh] = _fmix32(h)
                fresh += seen[slot] != h
                seen[slot] = h
            if fresh:
                _lower(result[i], hashes, fresh, a, b)
            if at == end:
                break
            for j in range(shingle_chars):
                places[j] = places[count + j]
            at, held = _find_chars(data, at, end, places, shingle_chars)
    return result


@njit(cache=True, nogil=True)
def _text_hashes(data: Bytes, offsets: Offsets) -> npt.NDArray[np.uint64]:
    result = np.empty(offsets.size - 1, np.uint64)
    for i in range(result.size):
        result[i] = xxh64(data, offsets[i], offsets[i + 1], 0)
    return result


@njit(cache=True, nogil=True)
def _mixed_bits(signatures: Signatures) -> Bytes:
    result = np.empty(signatures.shape, np.uint8)
    for i in range(signatures.shape[0]):
        for k in range(signatures.shape[1]):
            result[i, k] = np.uint8(_fmix32(signatures[i, k]) & np.uint32(1))
    return result
