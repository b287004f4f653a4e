"""The greedy policy on members of buckets that are few enough for one process: page by page, in their order."""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from swallow_spark.kernels.minhash import estimated_jaccard

MAX_ROWS: Final = 4 << 20  # that one process decides: some 300 MB, with sketches 400 MB more at worst


def falls(
    keys: NDArray[np.int64],
    doc_ids: NDArray[np.int64],
    sketches: NDArray[np.uint8] | None = None,
    min_similarity: float = 0,
) -> NDArray[np.int64]:
    """The pages that fall, ascending, of members of buckets: a key and a doc_id a row, in any order.

    A page falls if in one of its buckets a page before it was kept, and, where sketches are given (a row each), its
    sketch is as similar as `min_similarity` to that of the bucket's first kept page. Takes some 80 bytes a row.
    """
    if not len(keys):
        return np.zeros(0, np.int64)
    order = np.argsort(doc_ids, kind="stable")
    pages, starts = np.unique(doc_ids[order], return_index=True)
    _, buckets = np.unique(keys[order], return_inverse=True)
    if sketches is None:
        own, most_differing = np.zeros((len(pages), 0), np.uint8), 0
    else:
        own = sketches[order[starts]]
        most_differing = _most_differing(8 * own.shape[1], min_similarity)
    fallen = _falls(np.append(starts, len(keys)), buckets, int(buckets.max()) + 1, own, most_differing)
    return pages[fallen]


def _most_differing(bits: int, min_similarity: float) -> int:
    """How many bits may differ for the estimate to reach the similarity; -1 if none is high enough."""
    ones = np.tri(bits + 1, bits, -1, dtype=np.uint8)  # row i begins with i ones
    estimates = estimated_jaccard(np.packbits(ones, axis=1), np.zeros((bits + 1, bits // 8), np.uint8))
    return int((estimates >= np.float32(min_similarity)).sum()) - 1


@njit(cache=True, nogil=True)
def _falls(
    starts: NDArray[np.int64],
    buckets: NDArray[np.int64],
    num_buckets: int,
    sketches: NDArray[np.uint8],
    most_differing: int,
) -> NDArray[np.bool_]:
    """Whether each page falls; those of page i are `buckets[starts[i] : starts[i + 1]]`."""
    leaders = np.full(num_buckets, -1, np.int64)  # the first kept page of each bucket
    fallen = np.zeros(starts.size - 1, np.bool_)
    for page in range(fallen.size):
        own = buckets[starts[page] : starts[page + 1]]
        for bucket in own:
            if leaders[bucket] >= 0 and _differing(sketches[page], sketches[leaders[bucket]]) <= most_differing:
                fallen[page] = True
                break
        if not fallen[page]:
            for bucket in own:
                if leaders[bucket] < 0:
                    leaders[bucket] = page
    return fallen


@njit(cache=True, nogil=True)
def _differing(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """The number of bits in which two sketches differ."""
    bits = 0
    for i in range(one.size):
        different = one[i] ^ other[i]
        while different:
            different &= different - np.uint8(1)
            bits += 1
    return bits
