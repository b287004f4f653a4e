"""Signatures of 800 permutations: ours, datasketch (the same values), rensa, and the processor's limit.

Run: python -m benchmarks.minhash, with swallow-spark[bench] installed. One thread.
"""

import os
import time
from collections.abc import Callable

os.environ["RAYON_NUM_THREADS"] = "1"  # rensa's, before it is imported

import datasketch
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rensa
import xxhash
from numba import njit

from benchmarks.timing import documents, race, show
from swallow_spark.kernels.minhash import minhash

Words = npt.NDArray[np.uint32]

NUM_PERM, SHINGLE_CHARS = 800, 5

DOUBRI = 454.0
"""Documents/s of doubri's C++ program `doubri-minhash` on such documents, one thread: reported to us,
not measured by this benchmark."""

PIPES, LANES = 4, 8
"""Of a Zen 4 core: four pipes of 256 bits for integer vectors, each eight 32-bit lanes; AVX-512 takes them in pairs."""
OPERATIONS = 3
"""For each value: a multiplication, an addition, a minimum. What a shingle costs but once (its hash, MurmurHash3's
finalizer) is not in the loop over the permutations."""


def shingles(text: str) -> list[str]:
    return [text[at : at + SHINGLE_CHARS] for at in range(max(1, len(text) - SHINGLE_CHARS + 1))]


def new() -> datasketch.MinHash:
    return datasketch.MinHash(num_perm=NUM_PERM, seed=1, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)


def one_by_one(texts: list[str], empty: datasketch.MinHash) -> list[np.ndarray]:
    """datasketch's `update`, as its documentation shows it."""
    signatures = []
    for text in texts:
        one = empty.copy()
        for shingle in set(shingles(text)):
            one.update(shingle.encode())
        signatures.append(one.hashvalues)
    return signatures


def batched(texts: list[str], empty: datasketch.MinHash) -> list[np.ndarray]:
    """datasketch's `update_batch`: all shingles of a text at once."""
    signatures = []
    for text in texts:
        one = empty.copy()
        one.update_batch([shingle.encode() for shingle in set(shingles(text))])
        signatures.append(one.hashvalues)
    return signatures


def rensas(tokens: list[list[str]]) -> object:
    return rensa.RMinHash.digest_matrix_from_token_sets(tokens, num_perm=NUM_PERM, seed=1)


def main() -> None:
    texts = documents()
    array = pa.array(texts)
    few, some = texts[:100], texts[:500]
    empty = new()
    ours = minhash.signatures(pa.array(few))
    np.testing.assert_array_equal(ours, np.stack(batched(few, empty)))
    np.testing.assert_array_equal(ours[:10], np.stack(one_by_one(few[:10], empty)))
    cut = [shingles(text) for text in some]
    figures = race(
        {
            "swallow-spark": (lambda: minhash.signatures(array), len(texts)),
            "datasketch, shingle by shingle (equal values)": (lambda: one_by_one(few[:10], empty), 10),
            "datasketch, a text's shingles at once (equal values)": (lambda: batched(few, empty), len(few)),
            "rensa, R-MinHash, from texts": (lambda: rensas([shingles(text) for text in some]), len(some)),
            "rensa, R-MinHash, texts cut into shingles beforehand": (lambda: rensas(cut), len(some)),
        }
    )
    figures["doubri-minhash: quoted, not measured in this run"] = DOUBRI
    title = f"Signatures of {NUM_PERM} permutations, {SHINGLE_CHARS}-character shingles, 1,500 characters each"
    show(title, figures, ("datasketch", "rensa", "numba", "numpy"))
    print()
    limits(figures["swallow-spark"], sum(len(set(shingles(text))) for text in some) / len(some))


def limits(documents_per_second: float, distinct: float) -> None:
    """Prints how near the loop over the permutations is to what the vector units can do."""
    a, b = minhash._permutations(NUM_PERM, 1)
    hashes = np.random.default_rng(1).integers(0, 2**32, minhash._BLOCK, dtype=np.uint32)
    minima = np.full(NUM_PERM, 0xFFFFFFFF, np.uint32)
    rounds = 500
    values = rounds * hashes.size * NUM_PERM
    hertz = best(lambda: chain(20_000_000), 4 * 20_000_000)
    loop = best(lambda: lower(minima, hashes, a, b, rounds), values) / hertz
    whole = documents_per_second * distinct * NUM_PERM / hertz
    computed = PIPES * LANES / OPERATIONS
    print(f"| values a cycle, at {hertz / 1e9:.2f} GHz | | of what is computed |\n|---|---:|---:|")
    print(f"| computed: {PIPES} pipes of {LANES} lanes, {OPERATIONS} operations a value | {computed:.1f} | |")
    print(f"| a tight loop: one block of hashes, again and again | {loop:.1f} | {loop / computed:.0%} |")
    print(f"| signatures from texts, {distinct:,.0f} distinct shingles each | {whole:.1f} | {whole / computed:.0%} |")


def best(work: Callable[[], object], number: int) -> float:
    """Per CPU second, the best of some rounds."""
    work()
    found = 0.0
    for _ in range(7):
        start = time.process_time()
        work()
        found = max(found, number / (time.process_time() - start))
    return found


@njit
def chain(n: int) -> np.uint64:
    """Four cycles a step on any x86-64 of the last ten years: a multiplication takes three, an XOR one."""
    x = np.uint64(1)
    for i in range(n):
        x = x * np.uint64(6364136223846793005) ^ np.uint64(i)
    return x


@njit
def lower(minima: Words, hashes: Words, a: Words, b: Words, rounds: int) -> None:
    for _ in range(rounds):
        minhash._lower(minima, hashes, hashes.size, a, b)


if __name__ == "__main__":
    main()
