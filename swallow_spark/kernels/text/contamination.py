"""How much of a benchmark's questions a page contains: shared character n-grams, after normalisation.

PaLM (Chowdhery et al. 2022, section 8) calls an example contaminated if 70 % of its 8-grams of words are in the
training data. Eight words are about sixteen Japanese characters.

Texts are compared in NFKC, lower case, with letters, digits and marks only: width, blanks, line breaks and punctuation
don't matter. N-grams are compared by 64-bit hashes. With a million n-grams of questions, one in 2e13 n-grams of pages
collides with one of them, too few to affect a decision.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.splitmix64 import mixed_one
from swallow_spark.kernels.text.utf8 import Codes, Offsets, code_points

VERSION: Final = 1

_BASE: Final = 0x9E3779B97F4A7C15  # odd: base of the polynomial hash of an n-gram
_SLOTS: Final = 4  # of the table per n-gram, so that most n-grams of a page hit an empty one at once


class Index(NamedTuple):
    """The distinct n-grams of the questions; the arrays may be memory-mapped."""

    hashes: npt.NDArray[np.uint64]  # of n-gram i
    table: npt.NDArray[np.int32]  # i + 1 by hash; 0: empty
    starts: npt.NDArray[np.int64]  # n-gram i is in questions[starts[i] : starts[i + 1]]
    questions: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]  # distinct n-grams of each question; 0: it is too short


class Contamination(NamedTuple):
    """For each text the largest share of a question's distinct n-grams, and the first question with it, or -1."""

    fraction: npt.NDArray[np.float64]
    question: npt.NDArray[np.int32]


def index(questions: Sequence[str], ngram_chars: int) -> Index:
    """The index of questions. Raises ValueError if all are shorter than an n-gram."""
    codes, offsets = _letters(pa.array(questions, pa.large_string()))
    hashes, of = _ngrams(codes, offsets, ngram_chars)
    if not len(hashes):
        raise ValueError(f"no question has at least {ngram_chars} letters")
    pairs = np.empty(len(hashes), [("hash", np.uint64), ("question", np.int32)])
    pairs["hash"], pairs["question"] = hashes, of
    pairs = np.unique(pairs)
    distinct, starts = np.unique(pairs["hash"], return_index=True)
    table = np.zeros(1 << max(8, int(_SLOTS * len(distinct) - 1).bit_length()), np.int32)
    _fill(distinct, table)
    sizes = np.bincount(pairs["question"], minlength=len(questions)).astype(np.int32)
    ends = np.append(starts, len(pairs)).astype(np.int64)
    return Index(distinct, table, ends, np.ascontiguousarray(pairs["question"]), sizes)


def measure(texts: Any, questions: Index, ngram_chars: int) -> Contamination:
    """The contamination of each text of a (large_)string array."""
    codes, offsets = _letters(texts)
    return Contamination(*_measure(codes, offsets, ngram_chars, questions))


def _letters(texts: Any) -> tuple[Codes, Offsets]:
    """The normalised texts."""
    plain = [unicodedata.normalize("NFKC", text or "").lower() for text in texts.to_pylist()]
    codes, offsets = code_points(pa.array(plain, pa.large_string()))
    kept: tuple[Codes, Offsets] = _filter(codes, offsets, _is_letter())
    return kept


@cache
def _is_letter() -> npt.NDArray[np.bool_]:
    """For each code point, whether it is a letter, digit or mark."""
    return np.array([unicodedata.category(chr(code))[0] in "LNM" for code in range(0x110000)])


@njit(cache=True, nogil=True)
def _filter(codes: Codes, offsets: Offsets, is_letter: npt.NDArray[np.bool_]) -> tuple[Codes, Offsets]:
    kept = np.empty(codes.size, np.uint32)
    ends = np.zeros(offsets.size, np.int64)
    size = 0
    for i in range(offsets.size - 1):
        for at in range(offsets[i], offsets[i + 1]):
            if is_letter[codes[at]]:
                kept[size] = codes[at]
                size += 1
        ends[i + 1] = size
    return kept[:size], ends


@njit(cache=True, nogil=True)
def _power(n: int) -> np.uint64:
    power = np.uint64(1)
    for _ in range(n):
        power *= np.uint64(_BASE)
    return power


@njit(cache=True, nogil=True)
def _ngrams(codes: Codes, offsets: Offsets, n: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """The hash of each n-gram, and the number of its text."""
    hashes = np.empty(codes.size, np.uint64)
    of = np.empty(codes.size, np.int32)
    top = _power(n)
    size = 0
    for i in range(offsets.size - 1):
        h = np.uint64(0)
        for at in range(offsets[i], offsets[i + 1]):
            h = h * np.uint64(_BASE) + np.uint64(codes[at])
            if at - n >= offsets[i]:
                h -= np.uint64(codes[at - n]) * top
            if at - n + 1 >= offsets[i]:
                hashes[size], of[size] = mixed_one(h), i
                size += 1
    return hashes[:size], of[:size]


@njit(cache=True, nogil=True)
def _fill(hashes: npt.NDArray[np.uint64], table: npt.NDArray[np.int32]) -> None:
    for i in range(hashes.size):
        slot = np.int64(hashes[i] & np.uint64(table.size - 1))
        while table[slot]:
            slot = (slot + 1) & (table.size - 1)
        table[slot] = i + 1


@njit(cache=True, nogil=True)
def _measure(
    codes: Codes, offsets: Offsets, n: int, index: Index
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
    hashes, table, starts, questions, sizes = index
    num_texts = offsets.size - 1
    fraction = np.zeros(num_texts, np.float64)
    question = np.full(num_texts, -1, np.int32)
    seen = np.full(hashes.size, -1, np.int64)  # the last text with n-gram i
    found = np.zeros(sizes.size, np.int32)  # n-grams of each question in this text
    touched = np.empty(sizes.size, np.int32)
    top = _power(n)
    for t in range(num_texts):
        num_touched = 0
        h = np.uint64(0)
        for at in range(offsets[t], offsets[t + 1]):
            h = h * np.uint64(_BASE) + np.uint64(codes[at])
            if at - n >= offsets[t]:
                h -= np.uint64(codes[at - n]) * top
            if at - n + 1 < offsets[t]:
                continue
            wanted = mixed_one(h)
            slot = np.int64(wanted & np.uint64(table.size - 1))
            while table[slot]:
                i = table[slot] - 1
                if hashes[i] == wanted:
                    if seen[i] != t:
                        seen[i] = t
                        for k in range(starts[i], starts[i + 1]):
                            if found[questions[k]] == 0:
                                touched[num_touched] = questions[k]
                                num_touched += 1
                            found[questions[k]] += 1
                    break
                slot = (slot + 1) & (table.size - 1)
        for k in range(num_touched):
            q = touched[k]
            share = found[q] / sizes[q]
            if share > fraction[t] or (share == fraction[t] and q < question[t]):
                fraction[t], question[t] = share, q
            found[q] = 0
    return fraction, question
