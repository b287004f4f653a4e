"""Splits examples into a training and a held-out part, by the texts alone, and keeps near-duplicates together.

Near-duplicates are found as in dedup, by bands of MinHash signatures, but with shorter bands: two texts with a Jaccard
similarity of 0.8 share one of 40 bands of 10 values with probability 0.99 (with 0.6: 0.22).
"""

import hashlib
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.kernels import lsh
from swallow_spark.kernels.minhash import minhash
from swallow_spark.training.examples import Examples

BANDS: Final = 40
ROWS_PER_BAND: Final = 10
HASH_RANGE: Final = 1 << 64
_TEXTS_AT_ONCE: Final = 1024


def text_digest(text: str) -> bytes:
    """16 bytes that order the examples and decide which are held out."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def split(examples: Examples, held_out_fraction: float) -> tuple[Examples, Examples]:
    """(training part, held-out part), each in the order of the texts' digests.

    Split and order depend on the texts only, not on files, their order or a seed. Near-duplicates, directly or by a
    chain of others, go where the text with the smallest digest goes.
    """
    digests = [text_digest(text) for text in examples.texts.to_pylist()]
    order = sorted(range(len(digests)), key=lambda row: (digests[row], examples.classes[row]))
    limit = int(held_out_fraction * HASH_RANGE)
    first = near_duplicates(examples.texts.take(pa.array(order, pa.int64()))) if limit else np.arange(len(order))
    is_held_out = [int.from_bytes(digests[order[f]][8:], "big") < limit for f in first]
    held_out = [row for row, held in zip(order, is_held_out, strict=True) if held]
    training = [row for row, held in zip(order, is_held_out, strict=True) if not held]
    return examples.take(training), examples.take(held_out)


def near_duplicates(texts: pa.Array) -> NDArray[np.int64]:
    """For each text, the position of the first text of its group: int64 (n,)."""
    keys = np.empty((len(texts), BANDS), np.int64)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = texts.slice(start, _TEXTS_AT_ONCE)
        signatures = minhash.signatures(part, num_perm=BANDS * ROWS_PER_BAND)
        keys[start : start + len(part)] = lsh.band_keys(signatures, bands=BANDS, rows_per_band=ROWS_PER_BAND)
    first = np.arange(len(texts))

    def root(position: int) -> int:
        while first[position] != position:
            first[position] = first[first[position]]
            position = first[position]
        return position

    for band in range(BANDS):
        order = np.argsort(keys[:, band], kind="stable")
        sorted_keys = keys[order, band]
        for at in np.flatnonzero(sorted_keys[1:] == sorted_keys[:-1]):
            a, b = root(order[at]), root(order[at + 1])
            first[max(a, b)] = min(a, b)
    return np.array([root(position) for position in range(len(texts))], np.int64)


def balance(examples: Examples) -> Examples:
    """The first examples of each class, as many as the rarest class has, in their order."""
    of_class = [np.flatnonzero(examples.classes == number) for number in np.unique(examples.classes)]
    least = min(map(len, of_class), default=0)
    return examples.take(sorted(int(row) for rows in of_class for row in rows[:least]))
