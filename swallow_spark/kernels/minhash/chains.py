"""Chains of witnesses in one process: the witness of a removed page may be removed itself."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_ROWS: Final = 4 << 20
"""The most pages for one process: 300 MB."""


def ends(doc_ids: NDArray[np.int64], witnesses: NDArray[np.int64]) -> NDArray[np.int64]:
    """The end of each page's chain of witnesses: the first that is not among `doc_ids`, which must be distinct.

    Pointer jumping: each step doubles the span of a pointer, so a chain of n links takes log2(n) steps. Raises
    ValueError for a cycle. Takes about 60 bytes per page.
    """
    order = np.argsort(doc_ids)
    ascending = doc_ids[order]
    # The place in `ascending` of the page reached so far; -1: the chain has ended.
    onward = np.searchsorted(ascending, witnesses[order])
    onward[onward == len(ascending)] = 0
    found = ascending[onward] == witnesses[order] if len(ascending) else np.zeros(0, np.bool_)
    onward = np.where(found, onward, -1)
    reached = witnesses[order]
    for _ in range(len(doc_ids).bit_length() + 1):
        open_ = np.flatnonzero(onward >= 0)
        if not len(open_):
            break
        at = onward[open_]
        reached[open_], onward[open_] = reached[at], onward[at]
    else:
        raise ValueError("a chain of witnesses without end: there is a cycle")
    found_ends = np.empty_like(reached)
    found_ends[order] = reached
    return found_ends
