"""Decisions applied to text without a join: sorted doc_ids, in pieces by range, that tasks memory-map.

A task writes each piece below the corpus root; others open it in place if the workers see the root as a file system,
else from one copy per machine. So no text is shuffled, and all workers of a machine share the memory of a piece (8
bytes per page, and its columns).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from swallow_spark.corpus import lookup_file as lookup
from swallow_spark.corpus.read import in_order
from swallow_spark.files.storage import Root

_ROWS_PER_PIECE: Final = 16 << 20
_PIECE: Final = pa.schema([("first", pa.int64()), ("path", pa.string())])


@dataclass(frozen=True)
class Lookups:
    """Sorted doc_ids with numeric columns; `pieces` are (first doc_id, path), ascending. A task keeps the pieces open
    that it has used, and its end lets go of them."""

    root: Root
    directory: str
    pieces: tuple[tuple[int, str], ...]
    columns: tuple[str, ...]
    _opened: dict[str, lookup.Lookup] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def find(self, doc_ids: NDArray[np.int64]) -> tuple[NDArray[np.bool_], dict[str, NDArray[Any]]]:
        """Which of the doc_ids are present (bool mask), and each column's values for those, in their order."""
        present = np.zeros(len(doc_ids), np.bool_)
        values: dict[str, NDArray[Any]] = {}
        piece_of = np.searchsorted([first for first, _ in self.pieces], doc_ids, side="right") - 1
        for piece in np.unique(piece_of[piece_of >= 0]):
            here = np.flatnonzero(piece_of == piece)
            table = self._open(self.pieces[piece][1])
            found, rows = table.find(doc_ids[here])
            present[here] = found
            for name in self.columns:
                column = table.columns[name]
                values.setdefault(name, np.zeros(len(doc_ids), column.dtype))[here[found]] = column[rows]
        return present, {name: column[present] for name, column in values.items()}

    def _open(self, path: str) -> lookup.Lookup:
        if path not in self._opened:
            self._opened[path] = lookup.open_lookup(self.root.local_copy(path))
        return self._opened[path]

    def among(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch whose doc_id is present."""
        return batch.filter(pa.array(self.find(batch.column("doc_id").to_numpy())[0]))


def ship(df: DataFrame, root: Root, name: str, rows: int, chosen_from: int = 0) -> Lookups:
    """Writes a frame (unique doc_id, and numeric columns) as lookups below the root. `rows`, an estimate, sets the
    number of pieces. `chosen_from`: the rows that the frame's are chosen from, if they may be many more; else one task
    might have to read them all."""
    directory = f"lookups/{name}-{uuid4().hex[:12]}"
    pieces = max(1, -(-rows // _ROWS_PER_PIECE))
    ordered = in_order(df, max(rows, chosen_from), pieces, "doc_id")
    schema = "first long, path string"
    listed = ordered.mapInArrow(partial(_write_piece, root=root, directory=directory), schema).collect()
    columns = tuple(column for column in df.columns if column != "doc_id")
    return Lookups(root, directory, tuple(sorted((row.first, row.path) for row in listed)), columns)


def _write_piece(batches: Iterator[pa.RecordBatch], root: Root, directory: str) -> Iterator[pa.RecordBatch]:
    relative = f"{directory}/{uuid4().hex}"
    with tempfile.TemporaryDirectory() as scratch:
        place = root.local_path(relative) if root.is_local else Path(scratch) / "piece"
        place.parent.mkdir(parents=True, exist_ok=True)
        lookup.write(place, batches)
        first = lookup.Lookup(place).doc_ids[:1].tolist()  # empty if the piece is
        if not root.is_local:
            root.upload(place, relative)
    yield pa.RecordBatch.from_pylist([{"first": doc_id, "path": relative} for doc_id in first], schema=_PIECE)
