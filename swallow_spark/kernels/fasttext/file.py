"""Reads fastText's model files: `.bin`, and `.ftz` with product-quantised matrices.

The layout is that of fastText 0.9 (file version 12; 11 is the same without subwords in supervised models), little-
endian and unaligned: magic, version, 12 int32 arguments and a double; the dictionary (words, then labels, each zero-
terminated with an int64 count and a type byte; after pruning also the hash buckets that were kept); the input and the
output matrix. Sizes are checked before use: a truncated or damaged file gives a ModelError, never a wrong score.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from swallow_spark.errors import ModelError

MAGIC: Final = 793712314
SUPERVISED: Final = 3
LOSSES: Final = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
CENTROIDS: Final = 256  # of each subquantiser: a code is one byte
NOT_PRUNED: Final = -1
CHUNK_ROWS: Final = 1 << 16
MAX_BUCKETS: Final = 1 << 28  # a damaged number must not allocate 8 GB; fastText's default is 2 M
MAX_NGRAM: Final = 1024
MAX_COUNT: Final = 10**15  # of a label; this is infinity in fastText's hierarchical softmax


class Arguments(NamedTuple):
    """The training arguments in the order of the file."""

    dim: int
    window: int
    epoch: int
    min_count: int
    negatives: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    learning_rate_update: int
    sampling: float


class _Cursor:
    """Reads values in order, never beyond the end of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        try:
            with path.open("rb") as file:
                self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: the file is empty
            raise ModelError(f"{path}: can't read this model file: {error}") from error
        self.size = len(self.map)
        self.bytes = np.frombuffer(self.map, np.uint8)

    def fail(self, what: str) -> NoReturn:
        raise ModelError(f"{self.path}: not a complete fastText model: {what} (at byte {self.offset} of {self.size})")

    def take(self, size: int, what: str) -> NDArray[np.uint8]:
        if size < 0 or size > self.size - self.offset:
            self.fail(f"the file ends within the {what}")
        start, self.offset = self.offset, self.offset + size
        return self.bytes[start : self.offset]

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        layout = "<" + layout
        return struct.unpack(layout, self.take(struct.calcsize(layout), what).tobytes())

    def flag(self, what: str) -> bool:
        (value,) = self.unpack("B", what)
        if value > 1:
            self.fail(f"{what} is {value}")
        return bool(value)

    def floats(self, count: int, what: str) -> NDArray[np.float32]:
        values = np.frombuffer(self.take(4 * count, what).tobytes(), "<f4").astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            self.fail(f"{what} has values that are not finite")
        return values


@dataclass(frozen=True)
class _DenseMatrix:
    cursor: _Cursor
    start: int  # offset of the first row in the file
    num_rows: int
    dim: int

    def chunks(self) -> Iterator[NDArray[np.float32]]:
        for row in range(0, self.num_rows, CHUNK_ROWS):
            rows = min(CHUNK_ROWS, self.num_rows - row)
            self.cursor.offset = self.start + 4 * row * self.dim
            yield self.cursor.floats(rows * self.dim, "matrix").reshape(rows, self.dim)


@dataclass(frozen=True)
class _QuantisedMatrix:
    """Each byte of a row is the number of a centroid for its part of the dimensions; `norms` scale rows of length 1."""

    codes: NDArray[np.uint8]  # (rows, parts)
    centroids: list[NDArray[np.float32]]  # for each part (256, dimensions of that part)
    norms: NDArray[np.float32] | None  # (rows,)
    dim: int

    @property
    def num_rows(self) -> int:
        return len(self.codes)

    def chunks(self) -> Iterator[NDArray[np.float32]]:
        for row in range(0, self.num_rows, CHUNK_ROWS):
            codes = self.codes[row : row + CHUNK_ROWS]
            rows = np.concatenate([part[codes[:, i]] for i, part in enumerate(self.centroids)], axis=1)
            yield rows if self.norms is None else rows * self.norms[row : row + CHUNK_ROWS, None]


Matrix = _DenseMatrix | _QuantisedMatrix


@dataclass(frozen=True)
class ModelFile:
    """The contents of a file. `label_counts`: how often each label occurred in the training data. `kept_buckets`: for
    each hash bucket its row after those of the words (-1: pruned); None in a model without pruning."""

    arguments: Arguments
    words: list[bytes]
    labels: list[str]
    label_counts: list[int]
    kept_buckets: NDArray[np.int32] | None
    input: Matrix
    output: Matrix

    @property
    def loss(self) -> str:
        return LOSSES[self.arguments.loss]


def read(path: Path) -> ModelFile:
    """The supervised model in a file. Raises ModelError if it is missing, truncated, damaged or of another kind."""
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    cursor = _Cursor(path)
    arguments = _read_arguments(cursor)
    words, labels, label_counts, kept = _read_dictionary(cursor, arguments.bucket)
    quantised = cursor.flag("flag of the input matrix")
    if kept is not None and not quantised:
        cursor.fail("a pruned dictionary with a dense matrix")
    num_kept = arguments.bucket if kept is None else int((kept >= 0).sum())
    num_rows = len(words) + num_kept
    matrix = _read_matrix(cursor, quantised, num_rows, arguments.dim, "input matrix")
    output_quantised = cursor.flag("flag of the output matrix")
    output = _read_matrix(cursor, quantised and output_quantised, len(labels), arguments.dim, "output matrix")
    if cursor.offset != cursor.size:
        cursor.fail(f"{cursor.size - cursor.offset} bytes too many")
    return ModelFile(arguments, words, labels, label_counts, kept, matrix, output)


def _read_arguments(cursor: _Cursor) -> Arguments:
    magic, version = cursor.unpack("ii", "header")
    if magic != MAGIC or version not in (11, 12):
        cursor.fail(f"magic number {magic} and version {version} instead of {MAGIC} and 12")
    arguments = Arguments(*cursor.unpack("12id", "arguments"))
    if arguments.model != SUPERVISED:
        cursor.fail("these are word vectors, not a classifier (train it with `supervised`)")
    if version == 11:
        arguments = arguments._replace(maxn=0)
    if (
        arguments.loss not in LOSSES
        or arguments.dim <= 0
        or not 0 <= arguments.bucket <= MAX_BUCKETS
        or max(arguments.maxn, arguments.word_ngrams) > MAX_NGRAM
        or arguments.word_ngrams < 0
        or (arguments.bucket == 0 and (arguments.maxn > 0 or arguments.word_ngrams > 1))
    ):
        cursor.fail(f"impossible arguments {arguments}")
    return arguments


def _read_dictionary(
    cursor: _Cursor, bucket: int
) -> tuple[list[bytes], list[str], list[int], NDArray[np.int32] | None]:
    size, num_words, num_labels, _, num_kept = cursor.unpack("iiiqq", "head of the dictionary")
    if num_words < 0 or num_labels <= 0 or size != num_words + num_labels or num_kept < NOT_PRUNED:
        cursor.fail(f"a dictionary of {size} entries with {num_words} words and {num_labels} labels")
    # An entry takes at least 10 bytes, so a damaged size can't allocate more memory than the file has.
    if size > (cursor.size - cursor.offset) // 10:
        cursor.fail("the file ends within the dictionary")
    entries: list[bytes] = []
    label_counts: list[int] = []
    for number in range(size):
        end = cursor.map.find(b"\0", cursor.offset)
        if end < 0:
            cursor.fail("a word without an end")
        entry = cursor.take(end - cursor.offset, "word").tobytes()
        cursor.offset += 1
        count, kind = cursor.unpack("qB", "entry of the dictionary")
        if kind != (number >= num_words):
            cursor.fail(f"dictionary entry {number} is of type {kind}")
        if kind and not 0 <= count < MAX_COUNT:
            cursor.fail(f"dictionary entry {number} has a count of {count}")
        entries.append(entry)
        if kind:
            label_counts.append(count)
    if len(set(entries)) != size:
        cursor.fail("a word is in the dictionary twice")
    try:
        labels = [entry.decode() for entry in entries[num_words:]]
    except UnicodeDecodeError:
        cursor.fail("a label is not UTF-8")
    if num_kept == NOT_PRUNED:
        return entries[:num_words], labels, label_counts, None
    pairs = np.frombuffer(cursor.take(8 * num_kept, "kept buckets").tobytes(), "<i4").reshape(num_kept, 2)
    buckets, rows = pairs[:, 0], pairs[:, 1]
    if num_kept and not (
        buckets.min() >= 0 and buckets.max() < bucket and (np.sort(rows) == np.arange(num_kept)).all()
    ):
        cursor.fail("kept buckets out of range")
    kept = np.full(bucket, -1, np.int32)
    kept[buckets] = rows
    if (kept >= 0).sum() != num_kept:
        cursor.fail("a bucket is kept twice")
    return entries[:num_words], labels, label_counts, kept


def _read_matrix(cursor: _Cursor, quantised: bool, num_rows: int, dim: int, what: str) -> Matrix:
    with_norms = cursor.flag(f"norms of the {what}") if quantised else False
    shape = cursor.unpack("qq", f"shape of the {what}")
    if shape != (num_rows, dim):
        cursor.fail(f"{what} of shape {shape} instead of {(num_rows, dim)}")
    if not quantised:
        start = cursor.offset
        cursor.take(4 * num_rows * dim, what)
        return _DenseMatrix(cursor, start, num_rows, dim)
    (code_bytes,) = cursor.unpack("i", f"codes of the {what}")
    codes = cursor.take(code_bytes, f"codes of the {what}")
    centroids = _read_centroids(cursor, dim, f"centroids of the {what}")
    if code_bytes != num_rows * len(centroids):
        cursor.fail(f"{what} with {code_bytes} codes for {num_rows} rows of {len(centroids)} parts")
    norms = None
    if with_norms:
        norm_codes = np.array(cursor.take(num_rows, f"norms of the {what}"))
        norms = _read_centroids(cursor, 1, f"norms of the {what}")[0][norm_codes, 0]
    return _QuantisedMatrix(np.array(codes).reshape(num_rows, len(centroids)), centroids, norms, dim)


def _read_centroids(cursor: _Cursor, dim: int, what: str) -> list[NDArray[np.float32]]:
    file_dim, num_parts, part_dim, last_dim = cursor.unpack("iiii", what)
    if (
        file_dim != dim
        or part_dim <= 0
        or num_parts != -(-dim // part_dim)
        or last_dim != dim - (num_parts - 1) * part_dim
    ):
        cursor.fail(f"{what}: {num_parts} parts of {part_dim} (the last of {last_dim}) for {dim} dimensions")
    sizes = [part_dim] * (num_parts - 1) + [last_dim]
    return [cursor.floats(CENTROIDS * size, what).reshape(CENTROIDS, size) for size in sizes]
