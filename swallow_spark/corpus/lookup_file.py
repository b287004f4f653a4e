"""Decisions by doc_id, for applying them to text without a shuffle: a sorted, memory-mapped table on disk.

A lookup is a directory with one .npy file a column (`doc_id.npy`, and any others), all of the same length. The 8 bytes
a row of `doc_id.npy` lie side by side, so a probe touches few pages, and the processes of a machine share them.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from swallow_spark.files.storage import replacing
from swallow_spark.kernels.splitmix64 import mixed

_KEY: Final = "doc_id"


class Identity(NamedTuple):
    """Sums that tell sets of doc_ids apart, whatever order and parts they come in: those of parts add up."""

    number: int
    low: int
    high: int


def identity(doc_ids: npt.NDArray[np.int64]) -> Identity:
    """How many they are, and the sums of the halves of their 64-bit hashes. Below 2**31 doc_ids, each fits int64."""
    hashes = mixed(doc_ids.astype(np.uint64))
    halves = (hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32))
    return Identity(len(doc_ids), *(int(half.sum(dtype=np.uint64)) for half in halves))


class Lookup:
    """An open lookup: `doc_ids`, ascending, and `columns`, by name and of the same length; all memory-mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.doc_ids: npt.NDArray[np.int64] = _map(path / f"{_KEY}.npy")
        self.columns: dict[str, npt.NDArray[Any]] = {
            file.stem: _map(file) for file in sorted(path.glob("*.npy")) if file.stem != _KEY
        }

    def __len__(self) -> int:
        return len(self.doc_ids)

    def find(self, doc_ids: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """`(mask, rows)`: which of `doc_ids` (any order, doubles allowed) are in the table, and in which rows.

        `mask` has the length of `doc_ids`, `rows` one entry for each True, in the order of `doc_ids`; so
        `columns[name][rows]` are the values of `doc_ids[mask]`. Ascending doc_ids are found fastest.
        """
        doc_ids = np.asarray(doc_ids, np.int64)
        if not len(self):
            return np.zeros(len(doc_ids), np.bool_), np.zeros(0, np.int64)
        rows = np.searchsorted(self.doc_ids, doc_ids)
        mask = self.doc_ids[np.minimum(rows, len(self) - 1)] == doc_ids
        return mask, rows[mask]


_open_lookups: dict[Path, tuple[tuple[int, int], Lookup]] = {}


def open_lookup(path: str | Path) -> Lookup:
    """The lookup written to `path`. A process opens a lookup once, and again when another was written in its place.

    Raises FileNotFoundError where there is none.
    """
    path = Path(path)
    status = os.stat(path / f"{_KEY}.npy")
    identity = status.st_ino, status.st_mtime_ns
    if path not in _open_lookups or _open_lookups[path][0] != identity:
        _open_lookups[path] = identity, Lookup(path)
    return _open_lookups[path][1]


def write(path: str | Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Writes a lookup, in place of one that may be there; gives the number of rows. Holds one batch at a time.

    The first column of every batch is `doc_id`, strictly ascending over all batches; the others are numbers or
    booleans. Without any batch the lookup has no row and no other column. Raises ValueError where doc_ids do not
    ascend, or a column is null somewhere, no number, or not the same in all batches; then `path` is as it was.
    """
    with replacing(Path(path)) as directory:
        return _write(directory, batches)


def _write(directory: Path, batches: Iterator[pa.RecordBatch]) -> int:
    directory.mkdir()
    schema = None
    num_rows, last = 0, -1
    with ExitStack() as stack:
        files: list[IO[bytes]] = []
        dtypes: list[np.dtype[Any]] = []

        def add_column(name: str, dtype: np.dtype[Any]) -> None:
            files.append(stack.enter_context((directory / f"{name}.npy").open("wb")))
            dtypes.append(dtype)
            _write_header(files[-1], dtype, 0)

        for batch in batches:
            if schema is None:
                schema = batch.schema
                _check(schema)
                for field in schema:
                    add_column(field.name, np.dtype(field.type.to_pandas_dtype()))
            elif not batch.schema.equals(schema):
                raise ValueError(
                    f"a batch of other columns: {batch.schema.names}, not {schema.names} of the same types"
                )
            if any(column.null_count for column in batch.columns):
                raise ValueError("a null in a lookup")
            if not batch.num_rows:
                continue
            doc_ids = batch.column(0).to_numpy()
            if doc_ids[0] <= last or (np.diff(doc_ids) <= 0).any():
                raise ValueError(f"doc_ids do not ascend strictly after row {num_rows} ({last})")
            num_rows, last = num_rows + batch.num_rows, int(doc_ids[-1])
            for file, dtype, column in zip(files, dtypes, batch.columns, strict=True):
                file.write(np.ascontiguousarray(column.to_numpy(zero_copy_only=False), dtype).data)
        if schema is None:
            add_column(_KEY, np.dtype(np.int64))
        for file, dtype in zip(files, dtypes, strict=True):
            file.seek(0)
            _write_header(file, dtype, num_rows)  # NumPy leaves room for any length, so this fits over the first
    return num_rows


def _check(schema: pa.Schema) -> None:
    if schema.names[:1] != [_KEY] or schema.field(0).type != pa.int64():
        raise ValueError(f"the first column of a lookup is {_KEY}, int64; not of {schema.names}")
    for field in schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_boolean(field.type)):
            raise ValueError(f"a lookup holds numbers; column {field.name} is {field.type}")
    if len(set(schema.names)) != len(schema.names):
        raise ValueError(f"a column comes twice in {schema.names}")


def _write_header(file: IO[bytes], dtype: np.dtype[Any], num_rows: int) -> None:
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (num_rows,)}
    np.lib.format.write_array_header_1_0(file, description)


def _map(file: Path) -> npt.NDArray[Any]:
    try:
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError:  # an array without a row can't be mapped
        mapped = np.load(file, allow_pickle=False)
        if len(mapped):
            raise
    return mapped  # type: ignore[no-any-return]
