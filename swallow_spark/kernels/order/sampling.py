"""Samples by doc_id and seed: independent of order and batches; a larger share contains a smaller one's pages."""

from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from swallow_spark.kernels.splitmix64 import mixed

VERSION: Final = 1


def hashes(doc_ids: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Evenly spread 64-bit hashes of doc_id and seed."""
    start = np.uint64(seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    return mixed(mixed(np.asarray(doc_ids, np.int64).view(np.uint64)) ^ start)


def is_sampled(doc_ids: NDArray[np.int64], seed: int, share: Fraction) -> NDArray[np.bool_]:
    """Whether each page is in a sample of this share (0 to 1) of all pages."""
    least_out = share.numerator * (1 << 64) // share.denominator
    if least_out >= 1 << 64:
        return np.ones(len(doc_ids), np.bool_)
    return hashes(doc_ids, seed) < np.uint64(least_out)
