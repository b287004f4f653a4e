"""A classifier as a memory-mapped file, so that all processes of a machine share one copy of its arrays.

It is an Arrow IPC file of one row, with a list for each array. The rest is in the metadata of its schema, including a
checksum of the arrays: the file is in no manifest, so it must show by itself that it is complete.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.errors import ModelError, filling, is_shortage

_DESCRIPTION: Final = b"swallow_spark.classifier"


@dataclass(frozen=True)
class Table:
    """What scoring needs of a model. Its arrays are read-only."""

    labels: list[str]
    label_counts: list[int]
    loss: str
    num_words: int
    bucket: int
    minn: int
    maxn: int
    word_ngrams: int
    entries: NDArray[np.uint8]
    """The words, then the labels, concatenated; see `features.index_entries` for these four."""
    entry_offsets: NDArray[np.int64]
    entry_hashes: NDArray[np.int64]
    slots: NDArray[np.int32]
    kept: NDArray[np.int32]
    """Empty, or for each hash bucket its row after those of the words, -1 if it was pruned."""
    rows: NDArray[np.float32]
    """(words + hash buckets + 1, width): the last row and unused columns are 0."""
    num_logits: int
    output: NDArray[np.float32]
    """(logits, dim), or (0, 0) if it has been multiplied into the rows."""

    def __post_init__(self) -> None:
        for array in _arrays(self).values():
            array.setflags(write=False)


def _arrays(table: Table) -> dict[str, NDArray[Any]]:
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def write_table(table: Table, path: Path) -> None:
    """Writes the file that `map_table` opens."""
    arrays = _arrays(table)
    rest = {field.name: getattr(table, field.name) for field in fields(table) if field.name not in arrays}
    shapes = {name: array.shape for name, array in arrays.items()}
    description = rest | {"shapes": shapes, "crc32": _sum(arrays.values())}
    columns = []
    for array in arrays.values():
        values = pa.array(array.ravel())
        columns.append(pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values))
    batch = pa.RecordBatch.from_arrays(columns, list(arrays))
    schema = batch.schema.with_metadata({_DESCRIPTION: json.dumps(description)})
    with filling(path), pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(batch.cast(schema))


def map_table(path: Path) -> Table:
    """The table in a file; all processes that map it share its memory. Raises ModelError if it is damaged."""
    try:
        with pa.memory_map(str(path)) as file:
            batch = pa.ipc.open_file(file).get_batch(0)
        description = json.loads(batch.schema.metadata[_DESCRIPTION])
        shapes, expected = description.pop("shapes"), description.pop("crc32")
        arrays = {
            name: batch.column(name).values.to_numpy(zero_copy_only=True).reshape(shape)
            for name, shape in shapes.items()
        }
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        if is_shortage(error):
            raise
        raise ModelError(f"{path}: damaged ({error}); delete it and score again") from None
    if _sum(arrays.values()) != expected:
        raise ModelError(f"{path}: damaged (wrong checksum); delete it and score again")
    return Table(**description, **arrays)


def _sum(arrays: Iterable[NDArray[Any]]) -> int:
    found = 0
    for array in arrays:
        if array.size:
            found = zlib.crc32(array.ravel().view(np.uint8).data, found)
    return found
