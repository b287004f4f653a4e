"""Repeated character n-grams over the whole text, including line breaks.

Counting is exact: an n-gram is identified by the number of its first n - 1 characters and its last character, which a
hash table compares in full. Positions with a unique n-gram are skipped for longer n: most after two or three steps.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.features.texts import Column, Feature, Texts, ratio, ratios
from swallow_spark.kernels.text.utf8 import Codes, Offsets

_SHORTEST: Final = 2
_TOP: Final = range(2, 5)
_DUPLICATE: Final = range(5, 11)


def _compute(texts: Texts) -> list[Column]:
    total, top, distinct, repeated, occurrences = _count(texts.codes, texts.offsets)
    return [
        *(ratio(top[n - _SHORTEST], total[n - _SHORTEST]) for n in _TOP),
        *(ratio(repeated[n - _SHORTEST], distinct[n - _SHORTEST]) for n in _DUPLICATE),
        *(ratio(occurrences[n - _SHORTEST], total[n - _SHORTEST]) for n in _DUPLICATE),
    ]


_MEANINGS: Final = {
    f"{name.format(n)}_fraction": meaning.format(n)
    for name, lengths, meaning in (
        ("top_{}gram_character", _TOP, "Occurrences of the most frequent {}-gram among all occurrences."),
        ("duplicate_{}gram_character", _DUPLICATE, "Share of distinct {}-grams that occur more than once."),
        ("duplicate_{}gram_occurrence", _DUPLICATE, "Occurrences of {}-grams that occur more than once, among all."),
    )
    for n in lengths
}
FEATURE: Final = Feature(
    name="ngrams",
    version=1,
    schema=pa.schema(ratios(*_MEANINGS)),
    compute=_compute,
    meanings=_MEANINGS,
    fractions=tuple(_MEANINGS),
)


@njit(cache=True, nogil=True)
def _count(codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
    """int64 (5, lengths, texts), for n-grams of 2 to 10 characters: all occurrences, occurrences of the most frequent,
    distinct ones, distinct ones that occur more than once, and the occurrences of these."""
    n = offsets.size - 1
    result = np.zeros((5, 9, n), np.int64)
    room = 0 if n == 0 else np.diff(offsets).max()
    places = np.empty(room, np.int64)  # where n-grams begin that may be repeated ...
    numbers = np.empty(room, np.int64)  # ... and the number of each: equal for equal ones
    times = np.empty(room, np.int64)  # by number
    keys = np.empty(room, np.uint64)  # by number
    size = 16
    while size < 2 * room:
        size *= 2
    table = np.empty(size, np.int32)  # number + 1; 0 is free
    for i in range(n):
        text = codes[offsets[i] : offsets[i + 1]]
        open_places = text.size
        for at in range(text.size):
            places[at] = at
            numbers[at] = text[at]
        for length in range(2, 11):
            total = text.size - length + 1
            if total < 1:
                break
            size = 16
            while size < 2 * open_places:
                size *= 2
            table[:size] = 0
            distinct = looked_at = 0
            for k in range(open_places):
                at = places[k]
                if at >= total:
                    continue
                key = np.uint64(numbers[k]) << np.uint64(32) | np.uint64(text[at + length - 1])
                h = key * np.uint64(0x9E3779B97F4A7C15)
                h = (h ^ (h >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
                slot = np.int64(h >> np.uint64(32)) & (size - 1)
                while table[slot] and keys[table[slot] - 1] != key:
                    slot = (slot + 1) & (size - 1)
                if table[slot]:
                    number = table[slot] - 1
                    times[number] += 1
                else:
                    number = distinct
                    distinct += 1
                    table[slot] = distinct
                    keys[number] = key
                    times[number] = 1
                places[looked_at] = at
                numbers[looked_at] = number
                looked_at += 1
            top = 1
            repeated = occurrences = 0
            for number in range(distinct):
                if times[number] > 1:
                    repeated += 1
                    occurrences += times[number]
                    top = max(top, times[number])
            result[0, length - 2, i] = total
            result[1, length - 2, i] = top
            result[2, length - 2, i] = total - looked_at + distinct
            result[3, length - 2, i] = repeated
            result[4, length - 2, i] = occurrences
            open_places = 0
            for k in range(looked_at):
                if times[numbers[k]] > 1:
                    places[open_places] = places[k]
                    numbers[open_places] = numbers[k]
                    open_places += 1
    return result
