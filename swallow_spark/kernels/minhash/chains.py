"""Chains of witnesses of pages that are few enough for one process: each page's witness may have fallen itself."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_ROWS: Final = 4 << 20
"""Pages whose chains one process follows: some 300 MB."""


def ends(doc_ids: NDArray[np.int64], witnesses: NDArray[np.int64]) -> NDArray[np.int64]:
    """The end of each page's chain of witnesses: the first that is no page of `doc_ids`, which are all different.

    By pointer jumping: a step doubles what a pointer spans, so a chain of n links takes log2(n) of them. Raises
    ValueError where a chain comes back to its beginning. Takes some 60 bytes a page.
    """
    order = np.argsort(doc_ids)
    ascending = doc_ids[order]
    # Place in `ascending` of the page that the chain has been followed to; -1: it has ended, with no page of these.
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
        raise ValueError("a chain of witnesses without end")
    found_ends = np.empty_like(reached)
    found_ends[order] = reached
    return found_ends
