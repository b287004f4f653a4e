"""Counts, histograms and bounded samples that tasks make of their rows, and that the driver adds up.

A task gives out one row, its pickled figures. Their size depends on the configuration (reasons, features, cuts), not on
the number of pages, and no query has more than `MOST_TASKS` tasks that give out figures.
"""

import heapq
import pickle
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

MOST_TASKS: Final = 1000
SCHEMA: Final = "figures binary"


class Figures:
    """Figures on any part of the rows; `merge` gives those on both parts, in any order."""

    def __init__(self) -> None:
        self.counts: Counter[Hashable] = Counter()
        self._least: dict[Hashable, tuple[int, list[tuple[Any, ...]]]] = {}

    def count(self, key: Hashable, number: int) -> None:
        if number:
            self.counts[key] += int(number)

    def bins(self, key: Hashable, places: NDArray[np.int64]) -> None:
        """Counts the places (from 0), each under (key, place)."""
        for place, number in enumerate(np.bincount(places).tolist()):
            self.count((key, place), number)

    def of(self, key: Hashable, number: int) -> tuple[int, ...]:
        """The counts of `number` bins."""
        return tuple(self.counts[key, place] for place in range(number))

    def keep(self, key: Hashable, most: int, rows: Iterable[tuple[Any, ...]]) -> None:
        """Keeps the `most` smallest tuples of those so far and `rows`."""
        _, before = self._least.get(key, (most, []))
        if found := heapq.nsmallest(most, [*before, *rows]):
            self._least[key] = most, found

    def kept(self, key: Hashable) -> list[tuple[Any, ...]]:
        """The smallest tuples, ascending."""
        return self._least.get(key, (0, []))[1]

    def keys(self, kind: str) -> list[tuple[Any, ...]]:
        """The keys of kept tuples that begin with `kind`."""
        return [key for key in self._least if isinstance(key, tuple) and key[0] == kind]

    def merge(self, other: "Figures") -> None:
        self.counts.update(other.counts)
        for key, (most, rows) in other._least.items():
            self.keep(key, most, rows)

    def row(self) -> pa.RecordBatch:
        """The one row of a task."""
        return pa.RecordBatch.from_pydict({"figures": pa.array([pickle.dumps(self)], pa.binary())})


def collected(rows: DataFrame) -> Figures:
    """The sum of what all tasks of a query (of SCHEMA) found."""
    total = Figures()
    for row in rows.collect():
        total.merge(pickle.loads(row.figures))  # noqa: S301 - of our own tasks
    return total


def smallest(most: int, order: NDArray[Any], doc_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the `most` smallest values; of equal ones, those of the lowest doc_ids."""
    if len(order) <= most:
        return np.arange(len(order))
    if not most:
        return np.empty(0, np.int64)
    last = np.partition(order, most - 1)[most - 1]
    sure, equal = np.flatnonzero(order < last), np.flatnonzero(order == last)
    lowest = np.argsort(doc_ids[equal], kind="stable")[: most - len(sure)]
    return np.concatenate([sure, equal[lowest]])
