"""Export: subsets as shards for training, each written by one task from the files that its pages lie in.

A shard is a range of doc_ids, so what it holds doesn't depend on how the subset's files are cut. Its task reads the row
groups that overlap the range and puts the rows in order: no text goes through Spark.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from swallow_spark.kernels.sampling import is_sampled
from swallow_spark.storage import Root
from swallow_spark.tables import SUBSETS, TOKENS

BYTES_PER_CHAR: Final = 3  # of Japanese in UTF-8; sizes are reckoned with it, since only lengths are at hand
# Loaders shuffle and skip by row groups: small enough to hold several, large enough to be read at full speed.
_ROW_GROUP_BYTES: Final = 16 << 20
_ROWS_AT_ONCE: Final = 1024
FORMATS: Final = ("jsonl.zst", "parquet")


class Shard(NamedTuple):
    """The pages with doc_ids above `after`, up to and with `to`, of the Parquet files `texts` (and `tokens`, their
    counts, where there are any); written to `file`, below the target."""

    file: str
    after: int
    to: int
    documents: int
    characters: int
    texts: tuple[str, ...]
    tokens: tuple[str, ...]
    share: Fraction


@dataclass(frozen=True)
class Export:
    """Where shards come from and go to; `seed` is that of samples."""

    source: Root
    target: Root
    format: str
    scores: tuple[str, ...]
    with_tokens: bool
    seed: int

    @property
    def schema(self) -> pa.Schema:
        """Columns of a shard."""
        scores = [pa.field(name, pa.float64(), nullable=False) for name in self.scores]
        tokens = [TOKENS.field("num_tokens")] if self.with_tokens else []
        return pa.schema([*SUBSETS, *scores, *tokens])

    def note_of(self, shard: Shard) -> str:
        """Where it is written down that a shard is finished."""
        return f"unfinished/{shard.file}.json"


def sampled(rows: DataFrame, seed: int, share: Fraction) -> DataFrame:
    """Those of the narrow rows (doc_id, …) that are in a sample."""
    return rows.mapInArrow(partial(_sample_task, seed=seed, share=share), rows.schema)


def _sample_task(batches: Iterator[pa.RecordBatch], seed: int, share: Fraction) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.filter(pa.array(is_sampled(batch.column("doc_id").to_numpy(), seed, share)))


def write_shards(spark: SparkSession, export: Export, shards: Sequence[Shard]) -> None:
    """Writes shards, a task each, and beside each what is in it (see `Export.note_of`): last, so that a shard counts
    when its note is there."""
    numbers = spark.range(0, len(shards), 1, max(1, len(shards)))
    numbers.mapInArrow(partial(_write_task, export=export, shards=tuple(shards)), "id long").collect()


def _write_task(
    batches: Iterator[pa.RecordBatch], export: Export, shards: tuple[Shard, ...]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch.column("id").to_pylist():
            write_shard(export, shards[number])
        yield batch


def write_shard(export: Export, shard: Shard) -> None:
    """Writes one shard and its note. Raises ValueError where its rows are not those that were planned."""
    table = _read(export, shard)
    characters = int(table.column("num_chars").to_numpy().sum(dtype=np.int64))
    if (table.num_rows, characters) != (shard.documents, shard.characters):
        raise ValueError(f"{shard.file}: {table.num_rows} pages where {shard.documents} are due")
    stream = _Hashing(export.target.open_output(shard.file))
    with pa.PythonFile(stream, mode="w") as sink:
        _write_parquet(table, sink) if export.format == "parquet" else _write_lines(table, sink)
    doc_ids = table.column("doc_id")
    note: dict[str, Any] = {
        "file": shard.file,
        "sha256": stream.hash.hexdigest(),
        "bytes": stream.bytes,
        "documents": table.num_rows,
        "characters": characters,
        "first_doc_id": doc_ids[0].as_py(),
        "last_doc_id": doc_ids[-1].as_py(),
    }
    if export.with_tokens:
        note["tokens"] = int(table.column("num_tokens").to_numpy().sum(dtype=np.int64))
    export.target.write_atomically(export.note_of(shard), json.dumps(note).encode())


def _read(export: Export, shard: Shard) -> pa.Table:
    names = [name for name in export.schema.names if name != "num_tokens"]
    found = _rows_of(export, shard, shard.texts, export.schema.empty_table().select(names).schema)
    if export.with_tokens:
        tokens = _rows_of(export, shard, shard.tokens, TOKENS)
        if not tokens.column("doc_id").equals(found.column("doc_id")):
            raise ValueError(f"{shard.file}: not all of its pages' tokens are counted")
        found = found.append_column(TOKENS.field("num_tokens"), tokens.column("num_tokens"))
    return found


def _rows_of(export: Export, shard: Shard, paths: tuple[str, ...], schema: pa.Schema) -> pa.Table:
    """The shard's rows, by doc_id."""
    parts = [schema.empty_table()]
    for path in paths:
        with export.source.open_input(path) as stream, pq.ParquetFile(stream) as file:
            for number in _overlapping(file, shard):
                part = file.read_row_group(number, columns=schema.names).select(schema.names).cast(schema)
                parts.append(part.filter(pa.array(_belongs(part.column("doc_id").to_numpy(), export, shard))))
    return pa.concat_tables(parts).sort_by("doc_id").combine_chunks()


def _overlapping(file: pq.ParquetFile, shard: Shard) -> Iterator[int]:
    place = file.schema_arrow.names.index("doc_id")  # columns are flat: their places are those of their chunks
    for number in range(file.metadata.num_row_groups):
        bounds = file.metadata.row_group(number).column(place).statistics
        if bounds is None or not bounds.has_min_max or (bounds.max > shard.after and bounds.min <= shard.to):
            yield number


def _belongs(doc_ids: NDArray[np.int64], export: Export, shard: Shard) -> NDArray[np.bool_]:
    here = (doc_ids > shard.after) & (doc_ids <= shard.to)
    return np.asarray(here & is_sampled(doc_ids, export.seed, shard.share))


def _write_parquet(table: pa.Table, sink: Any) -> None:
    sizes = np.cumsum(table.column("num_chars").to_numpy(), dtype=np.int64) * BYTES_PER_CHAR
    groups = sizes // _ROW_GROUP_BYTES
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    settings = {"compression": "zstd", "compression_level": 3, "use_dictionary": False, "write_page_index": True}
    with pq.ParquetWriter(sink, table.schema, **settings) as writer:
        for start, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
            part = table.slice(start, end - start)
            writer.write_table(part, row_group_size=part.num_rows)


def _write_lines(table: pa.Table, sink: Any) -> None:
    # One frame of zstd: many readers stop behind the first.
    with pa.CompressedOutputStream(sink, "zstd") as lines:
        for batch in table.to_batches(_ROWS_AT_ONCE):
            rows = batch.to_pylist()
            for row in rows:
                row["date"] = row["date"].strftime("%Y-%m-%dT%H:%M:%SZ") if row["date"] else None
            text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
            lines.write(text.encode())


class _Hashing:
    """A stream's bytes, summed up as they are written."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.bytes += len(data)
        self._stream.write(data)
        return len(data)

    def flush(self) -> None:
        pass  # the stream writes when it is closed, at the latest

    def tell(self) -> int:
        return self.bytes

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._stream.close()
