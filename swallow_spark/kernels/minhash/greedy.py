"""The greedy policy in one process: page by page, in order."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from swallow_spark.kernels.lsh import sketch_bytes
from swallow_spark.kernels.minhash.minhash import estimated_jaccard
from swallow_spark.kernels.text.utf8 import Bytes

Keys = NDArray[np.int64]

MAX_ROWS: Final = 4 << 20
"""The most bucket members for one process: 300 MB, and up to 400 MB for sketches if each is a different page."""


def falls(pages: Iterable[pa.RecordBatch], num_keys: int, min_similarity: float | None = None) -> Keys:
    """The removed doc_ids, ascending. `pages`: doc_id, ascending, and `keys` of its buckets, `num_keys` in all.

    A page is removed if an earlier page of one of its buckets was kept and, with `min_similarity`, its `sketch` is at
    least as similar to that of the bucket's first kept page. Takes about 70 bytes per key, and each page's sketch once.
    Raises ValueError if pages don't ascend, or the number of keys is not `num_keys`.
    """
    # Allocated for the largest case: pages of memory that aren't written take none.
    doc_ids, keys = np.empty(num_keys, np.int64), np.empty(num_keys, np.int64)
    starts, sketches = np.zeros(num_keys + 1, np.int64), np.empty((num_keys, 0), np.uint8)
    num_pages = held = 0
    for batch in pages:
        lists = batch.column("keys")
        here, of_keys = slice(num_pages, num_pages + len(lists)), lists.flatten().to_numpy()
        if max(here.stop, held + len(of_keys)) > num_keys:
            raise ValueError(f"there are more than the {num_keys} keys expected")
        doc_ids[here] = batch.column("doc_id").to_numpy()
        keys[held : held + len(of_keys)] = of_keys
        starts[here.start + 1 : here.stop + 1] = held + np.cumsum(pc.list_value_length(lists).to_numpy())
        if min_similarity is not None and len(lists):
            packed = sketch_bytes(batch.column("sketch"))
            if not num_pages:
                sketches = np.empty((num_keys, packed.shape[1]), np.uint8)
            sketches[here] = packed
        num_pages, held = here.stop, held + len(of_keys)
    doc_ids, starts = doc_ids[:num_pages], starts[: num_pages + 1]
    if held != num_keys or (np.diff(doc_ids) <= 0).any():
        raise ValueError(f"{held} of {num_keys} keys expected, or pages that are not in order of doc_id")
    if not num_keys:
        return doc_ids
    numbers, buckets = np.unique(keys, return_inverse=True)
    most_differing = 0 if min_similarity is None else _most_differing(8 * sketches.shape[1], min_similarity)
    return doc_ids[_falls(starts, buckets, len(numbers), sketches[:num_pages], most_differing)]


def _most_differing(bits: int, min_similarity: float) -> int:
    """The most bits that may differ for the estimate to reach the similarity; -1 if no estimate does."""
    ones = np.tri(bits + 1, bits, -1, dtype=np.uint8)  # row i begins with i ones
    estimates = estimated_jaccard(np.packbits(ones, axis=1), np.zeros((bits + 1, bits // 8), np.uint8))
    return int((estimates >= np.float32(min_similarity)).sum()) - 1


@njit(cache=True, nogil=True)
def _falls(starts: Keys, buckets: Keys, num_buckets: int, sketches: Bytes, most_differing: int) -> NDArray[np.bool_]:
    """Whether each page is removed; the buckets of page i are `buckets[starts[i] : starts[i + 1]]`."""
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
def _differing(one: Bytes, other: Bytes) -> int:
    """The number of bits in which two sketches differ."""
    bits = 0
    for i in range(one.size):
        different = one[i] ^ other[i]
        while different:
            different &= different - np.uint8(1)
            bits += 1
    return bits
