"""The greedy policy on pages that are few enough for one process: page by page, in their order."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from swallow_spark.kernels.lsh import sketch_bytes
from swallow_spark.kernels.minhash.minhash import estimated_jaccard

MAX_ROWS: Final = 4 << 20
"""Members of buckets that one process decides: some 300 MB, with sketches 400 MB more where each is of another page."""


def falls(pages: Iterable[pa.RecordBatch], num_keys: int, min_similarity: float | None = None) -> NDArray[np.int64]:
    """The pages that fall, ascending, of pages (doc_id, ascending; keys: of its buckets), with `num_keys` keys in all.

    A page falls if in one of its buckets a page before it was kept, and, where `min_similarity` is given, its column
    `sketch` is as similar to that of the bucket's first kept page. Takes some 70 bytes a key, and a page's sketch once.
    Raises ValueError where pages don't ascend, or there are other keys than said.
    """
    # Room for the most that there can be; what isn't filled takes no memory.
    doc_ids, keys = np.empty(num_keys, np.int64), np.empty(num_keys, np.int64)
    starts, sketches = np.zeros(num_keys + 1, np.int64), np.empty((num_keys, 0), np.uint8)
    num_pages = held = 0
    for batch in pages:
        lists = batch.column("keys")
        here, of_keys = slice(num_pages, num_pages + len(lists)), lists.flatten().to_numpy()
        if max(here.stop, held + len(of_keys)) > num_keys:
            raise ValueError(f"more than the {num_keys} keys that were said to come")
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
        raise ValueError(f"{held} keys of {num_keys}, or pages that are not in their order")
    if not num_keys:
        return doc_ids
    numbers, buckets = np.unique(keys, return_inverse=True)
    most_differing = 0 if min_similarity is None else _most_differing(8 * sketches.shape[1], min_similarity)
    return doc_ids[_falls(starts, buckets, len(numbers), sketches[:num_pages], most_differing)]


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
