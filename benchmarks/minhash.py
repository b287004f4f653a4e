"""Signatures of 800 permutations: the kernel against datasketch, whose values it gives.

Run: .venv/bin/python -m benchmarks.minhash
"""

import datasketch
import numpy as np
import pyarrow as pa
import xxhash

from benchmarks.timing import documents, race, show
from swallow_spark.kernels import minhash

NUM_PERM, SHINGLE_CHARS = 800, 5


def peer(texts: list[str]) -> list[np.ndarray]:
    """datasketch's signatures: the permutations are made once and shared, shingles are hashed in one batch a text."""
    empty = datasketch.MinHash(num_perm=NUM_PERM, seed=1, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
    signatures = []
    for text in texts:
        one = empty.copy()
        starts = range(max(1, len(text) - SHINGLE_CHARS + 1))
        one.update_batch([shingle.encode() for shingle in {text[at : at + SHINGLE_CHARS] for at in starts}])
        signatures.append(one.hashvalues)
    return signatures


def main() -> None:
    texts = documents()
    few = texts[:200]
    array = pa.array(texts)
    np.testing.assert_array_equal(minhash.signatures(pa.array(few)), np.stack(peer(few)))
    figures = race(
        {
            "swallow-spark": (lambda: minhash.signatures(array), len(texts)),
            "datasketch, scheme affine32 with XXH32": (lambda: peer(few), len(few)),
        }
    )
    title = f"Signatures of {NUM_PERM} permutations, {SHINGLE_CHARS}-character shingles, 1,500 characters each"
    show(f"{title} (equal values)", figures, ("datasketch", "numba", "numpy"))


if __name__ == "__main__":
    main()
