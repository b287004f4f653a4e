"""Export: subsets as shards for training, each written by one task from the files that hold its pages.

A shard is a range of doc_ids, so its content doesn't depend on the subset's files. Its task merges the row groups that
overlap the range: no text goes through Spark, and a task holds only row groups that overlap each other.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from swallow_spark.config.select import Cleanup
from swallow_spark.corpus.lookups import Lookups
from swallow_spark.errors import filling
from swallow_spark.files.storage import Root
from swallow_spark.kernels.order.sampling import is_sampled
from swallow_spark.kernels.text.tokens import Tokenizer
from swallow_spark.stages.select.cleaned import cleaned
from swallow_spark.tables import PAGES, SUBSETS, TOKENS

BYTES_PER_CHAR: Final = 3  # of Japanese in UTF-8; sizes are estimated by it, since only lengths are known
# Loaders shuffle and skip row groups: small enough to hold several, large enough to read at full speed.
_ROW_GROUP_BYTES: Final = 16 << 20
_ROWS_AT_ONCE: Final = 1024
FORMATS: Final = ("jsonl.zst", "parquet")


class Shard(NamedTuple):
    """The pages with doc_ids above `after`, up to and including `to`, of the Parquet files `texts` (and `tokens`, their
    counts, if any); written to `file`, below the target. Of a built-in subset, documents and characters are those
    before clean-up."""

    file: str
    after: int
    to: int
    documents: int
    characters: int
    texts: tuple[str, ...]
    tokens: tuple[str, ...]
    share: Fraction


@dataclass(frozen=True)
class FromPages:
    """A built-in subset, which is taken from `pages`: which pages, the clean-up of their texts (`repeated`: the lines
    to drop), and what loads the tokenizer that counts their tokens."""

    members: Lookups
    cleanup: Cleanup
    repeated: Lookups | None
    tokenizer: Callable[[], Tokenizer] | None


@dataclass(frozen=True)
class Export:
    """What all shards of a subset have in common; `seed` is that of samples. pages: None if its texts are written
    already, as `select` does."""

    source: Root
    target: Root
    format: str
    scores: tuple[str, ...]
    with_tokens: bool
    seed: int
    pages: FromPages | None = None

    @property
    def schema(self) -> pa.Schema:
        """Columns of a shard."""
        scores = [pa.field(name, pa.float64(), nullable=False) for name in self.scores]
        tokens = [TOKENS.field("num_tokens")] if self.with_tokens else []
        return pa.schema([*SUBSETS, *scores, *tokens])

    @property
    def columns_read(self) -> pa.Schema:
        """Columns of the files with texts."""
        if self.pages:
            return pa.schema([*SUBSETS, *([PAGES.field("host")] if self.pages.repeated else [])])
        return self.schema.empty_table().select([name for name in self.schema.names if name != "num_tokens"]).schema

    def note_of(self, shard: Shard) -> str:
        """The file that describes a shard once it is finished."""
        return f"unfinished/{shard.file}.json"


def sampled(rows: DataFrame, seed: int, share: Fraction) -> DataFrame:
    """The rows (doc_id, …) that are in a sample."""
    return rows.mapInArrow(partial(_sample_task, seed=seed, share=share), rows.schema)


def _sample_task(batches: Iterator[pa.RecordBatch], seed: int, share: Fraction) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.filter(pa.array(is_sampled(batch.column("doc_id").to_numpy(), seed, share)))


def among(rows: DataFrame, members: Lookups) -> DataFrame:
    """The rows (doc_id, …) whose page is a member."""
    return rows.mapInArrow(partial(_among_task, members=members), rows.schema)


def _among_task(batches: Iterator[pa.RecordBatch], members: Lookups) -> Iterator[pa.RecordBatch]:
    yield from map(members.among, batches)


def write_shards(spark: SparkSession, export: Export, shards: Sequence[Shard]) -> None:
    """Writes shards, a task each, and then a note of each (`Export.note_of`): with it a shard is finished."""
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
    """Writes one shard and its note. Raises ValueError if its rows are not those that were planned."""
    stream = _Hashing(export.target.open_output(shard.file))
    read = _Sums()
    documents = characters = tokens = 0
    first = last = None
    place = f"{export.target.location}/{shard.file}"
    with filling(place), pa.PythonFile(stream, mode="w") as sink, _writer(export, sink) as write:
        for group in _with_tokens(export, shard, _groups(_cleaned(export, read.of(_in_order(export, shard))))):
            write(group)
            documents += group.num_rows
            characters += int(group.column("num_chars").to_numpy().sum(dtype=np.int64))
            if export.with_tokens:
                tokens += int(group.column("num_tokens").to_numpy().sum(dtype=np.int64))
            doc_ids = group.column("doc_id")
            first, last = doc_ids[0].as_py() if first is None else first, doc_ids[-1].as_py()
    if (read.documents, read.characters) != (shard.documents, shard.characters):
        raise ValueError(f"{shard.file}: {read.documents} pages where {shard.documents} are due")
    note: dict[str, Any] = {
        "file": shard.file,
        "sha256": stream.hash.hexdigest(),
        "bytes": stream.bytes,
        "documents": documents,
        "characters": characters,
        "first_doc_id": first,
        "last_doc_id": last,
        **({"tokens": tokens} if export.with_tokens else {}),
    }
    export.target.write_atomically(export.note_of(shard), json.dumps(note).encode())


@dataclass
class _Sums:
    """Documents and characters that pass by."""

    documents: int = 0
    characters: int = 0

    def of(self, parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for part in parts:
            self.documents += part.num_rows
            self.characters += int(part.column("num_chars").to_numpy().sum(dtype=np.int64))
            yield part


def _cleaned(export: Export, parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The rows as `select` would write them, if they are those of `pages`: cleaned up, without those left empty."""
    if not export.pages:
        yield from parts
        return
    for part in parts:
        for batch in part.combine_chunks().to_batches(_ROWS_AT_ONCE):
            clean, _ = cleaned(batch, export.pages.cleanup, export.pages.repeated)
            table = pa.Table.from_batches([clean]).select(SUBSETS.names).cast(SUBSETS)
            yield table.filter(pa.array(table.column("num_chars").to_numpy() > 0))


class _RowGroup(NamedTuple):
    """A row group of a file, and a lower bound of its doc_ids."""

    first: int
    path: str
    number: int


def _row_groups(export: Export, shard: Shard, paths: Sequence[str]) -> list[_RowGroup]:
    """The row groups that overlap the shard, by their first doc_ids."""
    found = []
    for path in paths:
        with export.source.open_input(path) as stream, pq.ParquetFile(stream) as file:
            place = file.schema_arrow.names.index("doc_id")  # columns are flat, so this is the chunk's number too
            for number in range(file.metadata.num_row_groups):
                bounds = file.metadata.row_group(number).column(place).statistics
                if bounds is None or not bounds.has_min_max:
                    found.append(_RowGroup(shard.after, path, number))
                elif bounds.max > shard.after and bounds.min <= shard.to:
                    found.append(_RowGroup(bounds.min, path, number))
    return sorted(found)


def _read(export: Export, shard: Shard, group: _RowGroup, schema: pa.Schema) -> pa.Table:
    """The rows of a row group that belong to the shard."""
    with export.source.open_input(group.path) as stream, pq.ParquetFile(stream) as file:
        rows = file.read_row_group(group.number, columns=schema.names).select(schema.names).cast(schema)
    doc_ids = rows.column("doc_id").to_numpy()
    here = (doc_ids > shard.after) & (doc_ids <= shard.to) & is_sampled(doc_ids, export.seed, shard.share)
    if export.pages:
        here &= export.pages.members.find(doc_ids)[0]
    return rows if here.all() else rows.filter(pa.array(here))


def _in_order(export: Export, shard: Shard) -> Iterator[pa.Table]:
    """The shard's rows by doc_id, some at a time: those before the first doc_id of the next row group."""
    schema = export.columns_read
    groups = _row_groups(export, shard, shard.texts)
    held = schema.empty_table()
    for place, group in enumerate(groups):
        held = pa.concat_tables([held, _read(export, shard, group, schema)])
        is_last = place + 1 == len(groups)
        ready = held.column("doc_id").to_numpy() < (shard.to + 1 if is_last else groups[place + 1].first)
        if 2 * ready.sum() < held.num_rows:
            continue  # most rows would be copied, to be held again
        rows = held if ready.all() else held.filter(pa.array(ready))
        held = schema.empty_table() if ready.all() else held.filter(pa.array(~ready))
        doc_ids = rows.column("doc_id").to_numpy()
        yield rows if (doc_ids[1:] > doc_ids[:-1]).all() else rows.sort_by("doc_id")


def _groups(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in pieces of about `_ROW_GROUP_BYTES` of text, cut by their lengths alone."""
    held: list[pa.Table] = []
    characters = number = 0  # of all rows so far; of the piece
    for part in parts:
        ends = characters + np.cumsum(part.column("num_chars").to_numpy(), dtype=np.int64)
        numbers = ends * BYTES_PER_CHAR // _ROW_GROUP_BYTES
        starts = np.flatnonzero(np.diff(numbers, prepend=number))
        for start, end in zip([0, *starts], [*starts, part.num_rows], strict=True):
            if end == start:
                continue
            if numbers[start] != number and held:
                yield pa.concat_tables(held).combine_chunks()
                held = []
            number = int(numbers[start])
            held.append(part.slice(start, end - start))
        characters = int(ends[-1]) if part.num_rows else characters
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _with_tokens(export: Export, shard: Shard, groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The groups with the column num_tokens, if tokens are counted; holds the counts of the whole shard."""
    if not export.with_tokens:
        yield from groups
        return
    if export.pages:
        assert export.pages.tokenizer
        count = export.pages.tokenizer()
        for group in groups:
            counted = pa.array(count(group.column("text").combine_chunks()), TOKENS.field("num_tokens").type)
            yield group.append_column(TOKENS.field("num_tokens"), counted)
        return
    parts = [_read(export, shard, group, TOKENS) for group in _row_groups(export, shard, shard.tokens)]
    counts = pa.concat_tables([TOKENS.empty_table(), *parts]).sort_by("doc_id")
    doc_ids, num_tokens = (counts.column(name).to_numpy() for name in ("doc_id", "num_tokens"))
    for group in groups:
        wanted = group.column("doc_id").to_numpy()
        places = np.searchsorted(doc_ids, wanted)
        if len(doc_ids) < places[-1] + 1 or not np.array_equal(doc_ids[places], wanted):
            raise ValueError(f"{shard.file}: not all of its pages' tokens are counted")
        yield group.append_column(TOKENS.field("num_tokens"), pa.array(num_tokens[places]))


@contextmanager
def _writer(export: Export, sink: Any) -> Iterator[Callable[[pa.Table], None]]:
    """A function that writes a group."""
    if export.format == "parquet":
        settings = {"compression": "zstd", "compression_level": 3, "use_dictionary": False, "write_page_index": True}
        with pq.ParquetWriter(sink, export.schema, **settings) as writer:
            yield lambda group: writer.write_table(group, row_group_size=group.num_rows)
    else:
        # One frame of zstd: many readers stop after the first.
        with pa.CompressedOutputStream(sink, "zstd") as lines:
            yield partial(_write_lines, lines=lines)


def _write_lines(group: pa.Table, lines: Any) -> None:
    for batch in group.to_batches(_ROWS_AT_ONCE):
        rows = batch.to_pylist()
        for row in rows:
            row["date"] = row["date"].strftime("%Y-%m-%dT%H:%M:%SZ") if row["date"] else None
        text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
        lines.write(text.encode())


class _Hashing:
    """A stream that hashes and counts the bytes written to it."""

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
