"""Locality-sensitive hashing of MinHash signatures: bands, and the sketches that deduplication uses.

A signature has `bands` bands of `rows_per_band` values; two texts share a bucket of a band if all its values are equal.
(Textbooks call the number of bands b and the rows r; doubri's options swap the two.)
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.minhash import minhash
from swallow_spark.kernels.minhash.xxhash import xxh64
from swallow_spark.kernels.text.utf8 import Bytes
from swallow_spark.tables import SKETCHES

VERSION: Final = 1
"""Raise it when a value of `band_keys` or `sketch` changes without a new `minhash.VERSION`."""

_ROWS_AT_ONCE = 1024  # texts whose signatures are in memory: 3.2 MB with 800 permutations

_SKETCH: Final = pa.schema([SKETCHES.field(name) for name in ("bands", "sketch", "text_hash")])


def band_keys(signatures: minhash.Signatures, *, bands: int = 40, rows_per_band: int = 20) -> npt.NDArray[np.int64]:
    """A 64-bit key for each band of each signature: int64, shape (n, bands).

    The key of band j is the XXH64, with seed j, of the band's `rows_per_band` values as little-endian uint32, read as
    int64. Keys of different bands do not collide, so one exchange by key serves all bands: among the 40 x 8.3 billion
    keys of a corpus the probability that a page meets any other by accident is below one in a million.

    Raises ValueError if signatures have fewer than bands * rows_per_band values (further ones are ignored).
    """
    _check(bands, rows_per_band)
    if signatures.ndim != 2 or signatures.shape[1] < bands * rows_per_band:
        raise ValueError(f"{bands} bands x {rows_per_band} rows do not fit signatures of the shape {signatures.shape}")
    values = np.ascontiguousarray(signatures, dtype="<u4")
    return _band_keys(values.view(np.uint8), bands, 4 * rows_per_band).view(np.int64)


def collision_probability(jaccard: float, *, bands: int = 40, rows_per_band: int = 20) -> float:
    """The probability that two texts of a given Jaccard similarity share at least one bucket: 1 - (1 - J**r)**b.

    Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.2. With 40 bands of 20 rows: .994 at J = .9,
    .371 at J = .8. Raises ValueError for a similarity outside 0..1.
    """
    _check(bands, rows_per_band)
    if not 0 <= jaccard <= 1:
        raise ValueError(f"a Jaccard similarity must be within 0 and 1, not {jaccard}")
    return float(1 - (1 - jaccard**rows_per_band) ** bands)


def sketch(
    texts: Any, *, bands: int = 40, rows_per_band: int = 20, shingle_chars: int = 5, seed: int = 1
) -> pa.RecordBatch:
    """The sketch of each text of a (large_)string array: `tables.SKETCHES` without doc_id.

    Columns: `bands`, the keys of `band_keys`; `sketch`, one bit of each of the bands * rows_per_band values of the
    signature (100 bytes for 800); `text_hash` of the whole text. Memory beyond the result is bounded.
    Raises ValueError unless bands * rows_per_band is a positive multiple of 8.
    """
    _check(bands, rows_per_band)
    num_perm = bands * rows_per_band
    if num_perm % 8:
        raise ValueError(f"bands x rows_per_band must be a multiple of 8, not {num_perm}")
    n = len(texts)
    keys = np.empty((n, bands), np.int64)
    bits = np.empty((n, num_perm // 8), np.uint8)
    for start in range(0, n, _ROWS_AT_ONCE):
        part = texts.slice(start, _ROWS_AT_ONCE)
        rows = slice(start, start + len(part))
        values = minhash.signatures(part, num_perm=num_perm, shingle_chars=shingle_chars, seed=seed)
        keys[rows] = band_keys(values, bands=bands, rows_per_band=rows_per_band)
        bits[rows] = minhash.one_bit_sketches(values)
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(keys.ravel()), bands).cast(pa.list_(pa.int64())),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(num_perm // 8), n, [None, pa.py_buffer(bits)]).cast(pa.binary()),
        pa.array(minhash.text_hashes(texts)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SKETCH)


def text_keys(text_hashes: npt.NDArray[np.int64], sketches: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """A 64-bit key for each text, the same for equal texts: the XXH64 of its sketch, with its hash as the seed.

    text_hashes: shape (n,). sketches: uint8, shape (n, bytes). Other texts have the same key by accident only: two
    pairs are expected among 8.3 billion pages.
    """
    return _text_keys(text_hashes.view(np.uint64), sketches).view(np.int64)


def sketch_bytes(sketches: Any) -> npt.NDArray[np.uint8]:
    """The bytes of a binary array of sketches: uint8, shape (n, bytes), a view of Arrow's buffer. Raises ValueError if
    their lengths differ, or one is null."""
    if not len(sketches):
        return np.zeros((0, 0), np.uint8)
    _, offsets, data = sketches.buffers()
    ends = np.frombuffer(offsets, np.int32)[sketches.offset : sketches.offset + len(sketches) + 1]
    width = int(ends[1] - ends[0])
    if sketches.null_count or (np.diff(ends) != width).any():
        raise ValueError("sketches of different lengths can't be compared")
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].reshape(len(sketches), width)


def _check(bands: int, rows_per_band: int) -> None:
    if bands < 1 or rows_per_band < 1:
        raise ValueError(f"bands and rows_per_band must be at least 1, not {bands} and {rows_per_band}")


@njit(cache=True, nogil=True)
def _text_keys(seeds: npt.NDArray[np.uint64], sketches: Bytes) -> npt.NDArray[np.uint64]:
    keys = np.empty(len(seeds), np.uint64)
    for i in range(len(seeds)):
        keys[i] = xxh64(sketches[i], 0, sketches.shape[1], seeds[i])
    return keys


@njit(cache=True, nogil=True)
def _band_keys(rows: Bytes, bands: int, bytes_per_band: int) -> npt.NDArray[np.uint64]:
    keys = np.empty((rows.shape[0], bands), np.uint64)
    for i in range(rows.shape[0]):
        for band in range(bands):
            keys[i, band] = xxh64(rows[i], band * bytes_per_band, (band + 1) * bytes_per_band, band)
    return keys
