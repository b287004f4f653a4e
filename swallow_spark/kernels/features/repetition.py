"""The share of repeated paragraphs and sentences in a text (Rae et al. 2021, section A.1.1)."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.features.sentences import split
from swallow_spark.kernels.features.texts import Column, Feature, Texts, ratio, ratios
from swallow_spark.kernels.text.utf8 import Codes, Offsets


def _compute(texts: Texts) -> list[Column]:
    paragraphs, sentences = _measure(texts.codes, texts.offsets)
    return [
        ratio(repeated, total)
        for number, times, chars, repeated_chars in (paragraphs, sentences)
        for repeated, total in ((times, number), (repeated_chars, chars))
    ]


_MEANINGS: Final = {
    "duplicate_paragraph_fraction": "Share of paragraphs that repeat an earlier one.",
    "duplicate_paragraph_fraction_in_character": "The same, weighted by length.",
    "duplicate_sentence_fraction": "Share of sentences that repeat an earlier one.",
    "duplicate_sentence_fraction_in_character": "The same, weighted by length.",
}
FEATURE: Final = Feature(
    name="repetition",
    version=1,
    schema=pa.schema(ratios(*_MEANINGS)),
    compute=_compute,
    meanings=_MEANINGS,
    fractions=tuple(_MEANINGS),
)


@njit(cache=True, nogil=True)
def repeats(codes: Codes, bounds: Offsets, number: int, table: Offsets, hashes: Offsets) -> tuple[int, int]:
    """How many of the pieces `codes[bounds[k] : bounds[k + 1]]` equal an earlier one, and the sum of their lengths.

    Pieces of equal hash are compared character by character. `table` needs 4 * number entries (or 1), `hashes` number.
    """
    size = 1
    while size < 2 * number:
        size *= 2
    table[:size] = -1
    times = chars = 0
    for k in range(number):
        start, length = bounds[k], bounds[k + 1] - bounds[k]
        h = np.int64(length)
        for at in range(start, start + length):
            h = (h ^ np.int64(codes[at])) * 0x100000001B3  # FNV-1a's step; wraps around
            h ^= h >> 32
        slot = h & (size - 1)
        while table[slot] >= 0:
            other = table[slot]
            if hashes[other] == h and bounds[other + 1] - bounds[other] == length:
                same = 0
                while same < length and codes[start + same] == codes[bounds[other] + same]:
                    same += 1
                if same == length:
                    times += 1
                    chars += length
                    break
            slot = (slot + 1) & (size - 1)
        else:
            table[slot] = k
            hashes[k] = h
    return times, chars


@njit(cache=True, nogil=True)
def _measure(codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
    """int64 (2, 4, texts): for paragraphs and for sentences, their number, the repeats, and the same in characters."""
    n = offsets.size - 1
    result = np.zeros((2, 4, n), np.int64)
    room = 0 if n == 0 else np.diff(offsets).max()
    kept = np.empty(room, np.uint32)
    sentences = np.empty(room + 1, np.int64)
    paragraphs = np.empty(room + 2, np.int64)
    table = np.empty(4 * (room + 1), np.int64)
    hashes = np.empty(room + 1, np.int64)
    for i in range(n):
        num_sentences, num_paragraphs = split(codes[offsets[i] : offsets[i + 1]], kept, sentences, paragraphs)
        times, chars = repeats(kept, paragraphs, num_paragraphs, table, hashes)
        size = paragraphs[num_paragraphs]
        result[0, 0, i], result[0, 1, i], result[0, 2, i], result[0, 3, i] = num_paragraphs, times, size, chars
        times, chars = repeats(kept, sentences, num_sentences, table, hashes)
        result[1, 0, i], result[1, 1, i], result[1, 2, i], result[1, 3, i] = num_sentences, times, size, chars
    return result
