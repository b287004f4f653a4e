"""Cuts of ordered documents, found by counting documents in ranges, and the place of documents between cuts.

The order is score descending, doc_id ascending. A score becomes a 64-bit integer that ascends as scores descend, so
ranges can be halved without rounding: all finite numbers, also denormal ones, keep their order; both zeros are equal.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_NUMBERS: Final = np.int64(0x7FFFFFFFFFFFFFFF)
MOST_BINS: Final = 4096  # in memory, in a task and in the driver …
LEAST_BINS: Final = 64  # … unless this gives each range fewer than these
LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1


def keys_of(scores: NDArray[np.float64]) -> Integers:
    """int64 keys of finite scores: the higher a score, the lower its key; equal scores have equal keys."""
    bits = (scores + 0.0).view(np.int64)  # + 0.0: the negative zero becomes the positive one
    return ~(bits ^ ((bits >> 63) & _NUMBERS))


def score_of(key: int) -> float:
    """The score of a key."""
    ascending = ~np.int64(key)
    return float((ascending ^ ((ascending >> 63) & _NUMBERS)).view(np.float64))


class Range(NamedTuple):
    """The documents with keys `low` to `high`; if that is one key, only those with doc_ids `first` to `last`."""

    low: int
    high: int
    first: int
    last: int

    @property
    def is_one_key(self) -> bool:
        return self.low == self.high

    @property
    def is_one_document(self) -> bool:
        return self.is_one_key and self.first == self.last

    def shift(self, bins: int) -> int:
        """The shift that turns distances within the range into the numbers of at most `bins` bins."""
        width = self.last - self.first if self.is_one_key else self.high - self.low
        return max(0, width.bit_length() - bins.bit_length() + 1)


EVERYTHING: Final = Range(LOWEST, HIGHEST, LOWEST, HIGHEST)


class Cut(NamedTuple):
    """The last document above a cut.

    documents and weight: of all documents down to it; better: the number of documents with a higher score.
    If `doc_id` is None, all documents with the score are above the cut.
    """

    documents: int
    score: float
    doc_id: int | None
    weight: int
    better: int


class Bin(NamedTuple):
    """The documents in a part of a range: their number, the sum of their weights, the tightest range around them."""

    number: int
    documents: int
    weight: int
    range: Range


Count = Callable[[list[Range], int], Sequence[Sequence[Bin]]]


@dataclass
class _Search:
    """The state of the search for one cut: the cut's document is in `range`; counts are of the documents before it."""

    target: int
    range: Range = EVERYTHING
    documents: int = 0
    weight: int = 0
    better: int = 0

    def advance(self, bins: Sequence[Bin]) -> Bin:
        """Continues with the bin that reaches the target; `bins` of the range, ascending."""
        for found in bins:
            if self.weight + found.weight >= self.target:
                break
            self.documents += found.documents
            self.weight += found.weight
        else:
            raise ValueError(f"a cut after {self.target}, but there are {self.weight}")
        if not self.range.is_one_key:
            self.better = self.documents
        self.range = found.range
        return found


def find(count: Count, targets: Sequence[int]) -> list[Cut | None]:
    """The cuts after the shortest prefixes whose weights reach each of the targets; None for a target of 0.

    `count(ranges, bins)` returns the bins of ascending, disjoint ranges: at most `bins` for each, ascending, without
    empty ones. All cuts are searched in the same passes; each pass narrows a range to one bin, so one cut takes at most
    12. Raises ValueError if the sum of all weights is below a target.
    """
    searches = {target: _Search(target) for target in targets if target > 0}
    found: dict[int, Cut | None] = {}
    while searches:
        ranges = sorted({search.range for search in searches.values()})
        bins = max(LEAST_BINS, MOST_BINS // len(ranges))
        counted = dict(zip(ranges, count(ranges, bins), strict=True))
        for target, search in list(searches.items()):
            last = search.advance(counted[search.range])
            if last.range.is_one_document:
                where = search.documents + last.documents, score_of(last.range.low), last.range.first
                found[target] = Cut(*where, search.weight + last.weight, search.better)
                del searches[target]
    return [found.get(target) for target in targets]


class Bins:
    """Counts per bin of ascending, disjoint ranges. Batches are added one by one."""

    def __init__(self, ranges: list[Range], bins: int) -> None:
        self._ranges = np.array(ranges, np.int64).reshape(-1, 4)
        self._shifts = np.array([one.shift(bins) for one in ranges], np.uint64)
        self._documents = np.zeros((len(ranges), bins), np.int64)
        self._weights = np.zeros((len(ranges), bins), np.int64)
        self._bounds = np.empty((len(ranges), bins, 4), np.int64)
        self._bounds[:, :, 0::2] = HIGHEST
        self._bounds[:, :, 1::2] = LOWEST

    def add(self, keys: Integers, doc_ids: Integers, weights: Integers) -> None:
        """Counts documents; those outside all ranges are ignored."""
        _count(keys, doc_ids, weights, self._ranges, self._shifts, self._documents, self._weights, self._bounds)

    def columns(self) -> Iterator[Integers]:
        """Of bins that aren't empty: range, number, documents, weight, lowest, highest key, lowest, highest doc_id."""
        of, number = np.nonzero(self._documents)
        yield from (of, number, self._documents[of, number], self._weights[of, number])
        yield from np.ascontiguousarray(self._bounds[of, number].T)


@njit(cache=True, nogil=True)
def _count(
    keys: Integers,
    doc_ids: Integers,
    weights: Integers,
    ranges: Integers,
    shifts: NDArray[np.uint64],
    documents: Integers,
    sums: Integers,
    bounds: Integers,
) -> None:
    for i in range(keys.size):
        key, doc_id = keys[i], doc_ids[i]
        found = _num_before(key, doc_id, ranges[:, 0], ranges[:, 2], True) - 1
        if found < 0 or key > ranges[found, 1]:
            continue
        value, low = key, ranges[found, 0]
        if low == ranges[found, 1]:
            value, low = doc_id, ranges[found, 2]
            if doc_id < low or doc_id > ranges[found, 3]:
                continue
        # Unsigned, so that the difference of any two 64-bit integers is right.
        place = np.int64((np.uint64(value) - np.uint64(low)) >> shifts[found])
        documents[found, place] += 1
        sums[found, place] += weights[i]
        bound = bounds[found, place]
        bound[0], bound[1] = min(bound[0], key), max(bound[1], key)
        bound[2], bound[3] = min(bound[2], doc_id), max(bound[3], doc_id)


def num_cuts_above(keys: Integers, doc_ids: Integers, cut_keys: Integers, cut_doc_ids: Integers) -> Integers:
    """How many of the ascending cuts are before each document; the document of a cut is above it."""
    return np.asarray(_place(keys, doc_ids, cut_keys, cut_doc_ids))


@njit(cache=True, nogil=True)
def _place(keys: Integers, doc_ids: Integers, cut_keys: Integers, cut_doc_ids: Integers) -> Integers:
    places = np.empty(keys.size, np.int64)
    for i in range(keys.size):
        places[i] = _num_before(keys[i], doc_ids[i], cut_keys, cut_doc_ids, False)
    return places


@njit(cache=True, nogil=True)
def _num_before(key: int, doc_id: int, keys: Integers, doc_ids: Integers, or_equal: bool) -> int:
    """How many of the ascending pairs are before (key, doc_id), or equal to it if `or_equal`."""
    low, high = 0, keys.size
    while low < high:
        middle = (low + high) // 2
        before = keys[middle] < key or (
            keys[middle] == key and (doc_ids[middle] < doc_id or (or_equal and doc_ids[middle] == doc_id))
        )
        if before:
            low = middle + 1
        else:
            high = middle
    return low
