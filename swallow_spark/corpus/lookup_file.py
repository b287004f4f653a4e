"""Decisions by doc_id, for applying them to text without a shuffle: a sorted, memory-mapped table on disk.

A lookup is a directory with one .npy file a column (`doc_id.npy`, and any others), all of the same length. The 8 bytes
a row of `doc_id.npy` lie side by side, so a probe touches few pages, and the processes of a machine share them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from swallow_spark.files.storage import replacing
from swallow_spark.kernels.splitmix64 import mixed

_KEY: Final = "doc_id"


class Identity(NamedTuple):
    """Identifies a set of doc_ids, whatever their order. The sums of disjoint parts add up."""

    number: int
    low: int
    high: int


def identity(doc_ids: npt.NDArray[np.int64]) -> Identity:
    """The number of doc_ids, and the sums of the halves of their 64-bit hashes (int64 for less than 2**31 doc_ids)."""
    hashes = mixed(doc_ids.astype(np.uint64))
    halves = (hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32))
    return Identity(len(doc_ids), *(int(half.sum(dtype=np.uint64)) for half in halves))


class Lookup:
    """An open lookup: `doc_ids`, ascending, and `columns`, by name and of the same length; all memory-mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity = _identity(path)
        self.doc_ids: npt.NDArray[np.int64] = _map(path / f"{_KEY}.npy")
        self.columns: dict[str, npt.NDArray[Any]] = {
            file.stem: _map(file) for file in sorted(path.glob("*.npy")) if file.stem != _KEY
        }

    def __len__(self) -> int:
        return len(self.doc_ids)

    def find(self, doc_ids: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """`(mask, rows)`: which of `doc_ids` (any order, duplicates allowed) are in the table, and in which rows.

        `mask` has the length of `doc_ids`, `rows` one entry for each True, in the order of `doc_ids`; so
        `columns[name][rows]` are the values of `doc_ids[mask]`. Ascending doc_ids are found fastest.
        """
        doc_ids = np.asarray(doc_ids, np.int64)
        if not len(self):
            return np.zeros(len(doc_ids), np.bool_), np.zeros(0, np.int64)
        rows = np.searchsorted(self.doc_ids, doc_ids)
        mask = self.doc_ids[np.minimum(rows, len(self) - 1)] == doc_ids
        return mask, rows[mask]


# Those in use. A mapped file keeps its place on the disk and its addresses, also when it is deleted.
_open_lookups: WeakValueDictionary[Path, Lookup] = WeakValueDictionary()


def open_lookup(path: str | Path) -> Lookup:
    """The lookup at `path`. A process has it open once, as long as it is referred to; one that was replaced is opened
    anew. Raises FileNotFoundError."""
    path = Path(path)
    found = _open_lookups.get(path)
    if found is None or found.identity != _identity(path):
        found = _open_lookups[path] = Lookup(path)
    return found


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path / f"{_KEY}.npy")
    return status.st_ino, status.st_mtime_ns


def write(path: str | Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Writes a lookup, replacing one at `path`; returns the number of rows. Holds one batch at a time.

    The first column of every batch is `doc_id`, strictly ascending over all batches; the others are numbers or
    booleans. Without any batch the lookup has no rows and no other columns. Raises ValueError, and leaves `path` as it
    was, if doc_ids don't ascend, or a column holds nulls, isn't numeric or differs between batches.
    """
    with replacing(Path(path)) as directory:
        return _write(directory, batches)


def _write(directory: Path, batches: Iterator[pa.RecordBatch]) -> int:
    directory.mkdir()
    first = next(batches, None)
    schema = pa.schema([(_KEY, pa.int64())]) if first is None else first.schema
    _check(schema)
    dtypes = [np.dtype(field.type.to_pandas_dtype()) for field in schema]
    num_rows, last = 0, -1
    with ExitStack() as stack:
        files = [stack.enter_context((directory / f"{name}.npy").open("wb")) for name in schema.names]
        for file, dtype in zip(files, dtypes, strict=True):
            _write_header(file, dtype, 0)
        for batch in chain(() if first is None else (first,), batches):
            if not batch.schema.equals(schema):
                raise ValueError(f"a batch has other columns or types: {batch.schema.names}, not {schema.names}")
            if any(column.null_count for column in batch.columns):
                raise ValueError("a lookup can't hold nulls")
            if not batch.num_rows:
                continue
            doc_ids = batch.column(0).to_numpy()
            if doc_ids[0] <= last or (np.diff(doc_ids) <= 0).any():
                raise ValueError(f"doc_ids do not ascend strictly after row {num_rows} ({last})")
            num_rows, last = num_rows + batch.num_rows, int(doc_ids[-1])
            for file, dtype, column in zip(files, dtypes, batch.columns, strict=True):
                file.write(np.ascontiguousarray(column.to_numpy(zero_copy_only=False), dtype).data)
        for file, dtype in zip(files, dtypes, strict=True):
            file.seek(0)
            _write_header(file, dtype, num_rows)  # NumPy pads headers for any length, so this one fits over the first
    return num_rows


def _check(schema: pa.Schema) -> None:
    if schema.names[:1] != [_KEY] or schema.field(0).type != pa.int64():
        raise ValueError(f"the first column of a lookup must be {_KEY} (int64); columns: {schema.names}")
    for field in schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_boolean(field.type)):
            raise ValueError(f"a lookup holds numbers; column {field.name} is {field.type}")
    if len(set(schema.names)) != len(schema.names):
        raise ValueError(f"duplicate column names: {schema.names}")


def _write_header(file: IO[bytes], dtype: np.dtype[Any], num_rows: int) -> None:
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (num_rows,)}
    np.lib.format.write_array_header_1_0(file, description)


def _map(file: Path) -> npt.NDArray[Any]:
    try:
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError:  # an empty array can't be mapped
        mapped = np.load(file, allow_pickle=False)
        if len(mapped):
            raise
    return mapped  # type: ignore[no-any-return]
