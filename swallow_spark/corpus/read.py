"""Tables as they are read.

`read_files` gives a DataFrame: by Spark's own reader if that reaches the root, else by PyArrow inside tasks, since
PySpark has no JAR for object stores. PyArrow's rows don't get Spark's pruning of columns and filters, so callers name
the columns that they use.

`dataset` gives the same rows to a process without Spark, with PyArrow's pruning.

A `Scan` is for text: the tasks that process it read it themselves, so it passes through no other process.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from swallow_spark.files.storage import Root, filesystem

if TYPE_CHECKING:
    import pyarrow.dataset as ds

FEW_ROWS = 100_000
"""One task is done with so many narrow rows before a shuffle has started. Frames of no more rows are not exchanged."""
_MOST_TASKS: Final = 20_000
_BATCH_ROWS: Final = 1000
_BATCH_BYTES: Final = 16 << 20
# Bounds of a task's share of a file, as Spark splits files itself: all cores get work, but no tiny tasks.
_LEAST_BYTES, _MOST_BYTES = 4 << 20, 128 << 20

Work = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class Piece(NamedTuple):
    """The row groups in part `number` (from 0) of `of` parts of a file."""

    path: str
    number: int = 0
    of: int = 1


@dataclass(frozen=True)
class Scan:
    """Rows of Parquet files below the root, for stages that select columns and map batches: it has these two methods of
    a DataFrame. The tasks of `mapInArrow` read the files."""

    spark: SparkSession
    root: Root
    pieces: tuple[Piece, ...]
    schema: pa.Schema

    def select(self, *names: str) -> "Scan":
        return replace(self, schema=pa.schema([self.schema.field(name) for name in names]))

    def mapInArrow(self, work: Work, schema: StructType) -> DataFrame:  # noqa: N802 - as a DataFrame's
        number = min(len(self.pieces), _MOST_TASKS)
        ends = [len(self.pieces) * task // number for task in range(1, number + 1)]
        tasks = [self.pieces[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        read = partial(_map, root=self.root, tasks=tasks, schema=self.schema, work=work)
        return self.spark.range(0, number, 1, max(1, number)).mapInArrow(read, schema)


def scan_files(spark: SparkSession, root: Root, sizes: Mapping[str, int], schema: pa.Schema) -> Scan:
    """The rows of Parquet files below the root; `sizes` are path -> bytes."""
    share = sum(sizes.values()) // spark.sparkContext.defaultParallelism
    share = min(_MOST_BYTES, max(_LEAST_BYTES, share))
    parts = {path: -(-size // share) or 1 for path, size in sizes.items()}
    pieces = [Piece(path, number, of) for path, of in parts.items() for number in range(of)]
    return Scan(spark, root, tuple(pieces), schema)


def read_files(spark: SparkSession, root: Root, paths: Sequence[str], schema: pa.Schema) -> DataFrame:
    """The rows of Parquet files below the root; an empty frame if there are none."""
    spark_schema = from_arrow_schema(schema)
    if not paths:
        return spark.createDataFrame(schema.empty_table(), spark_schema)
    if root.spark_reads:
        return spark.read.schema(spark_schema).parquet(*map(root.spark_path, paths))
    return Scan(spark, root, tuple(map(Piece, paths)), schema).mapInArrow(iter, spark_schema)  # as they are


def dataset(root: Root, sizes: Mapping[str, int], schema: pa.Schema) -> "ds.Dataset":
    """The rows of Parquet files below the root, for processes without Spark; `sizes` are path -> bytes. A column that
    an older file lacks is null."""
    import pyarrow.dataset as ds  # here, since it loads pandas, which takes half a second

    parquet = ds.ParquetFileFormat()
    files, base = filesystem(root.location)
    paths = [(f"{base.rstrip('/')}/{path}", size) for path, size in sizes.items()]
    fragments = [parquet.make_fragment(path, files, file_size=size) for path, size in paths]
    return ds.FileSystemDataset(fragments, schema, parquet, files)


def are_few(rows: int) -> bool:
    """Whether one task suffices for rows, of which there are about so many."""
    return rows <= FEW_ROWS


def in_order(df: DataFrame, rows: int, partitions: int, *columns: Column | str) -> DataFrame:
    """The frame of some `rows` sorted by columns within `partitions` ranges; few rows in one range."""
    ranges = df.coalesce(1) if are_few(rows) else df.repartitionByRange(partitions, *columns)
    return ranges.sortWithinPartitions(*columns)


def _map(
    numbers: Iterable[pa.RecordBatch], root: Root, tasks: Sequence[Sequence[Piece]], schema: pa.Schema, work: Work
) -> Iterator[pa.RecordBatch]:
    pieces = (piece for batch in numbers for number in batch.column(0).to_pylist() for piece in tasks[number])
    yield from work(batch for piece in pieces for batch in read_piece(piece, root, schema))


def read_piece(piece: Piece, root: Root, schema: pa.Schema, most_rows: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """As Spark reads files by a schema: a column that an older file lacks is null."""
    with root.open_input(piece.path) as stream:
        file = pq.ParquetFile(stream, pre_buffer=True)
        lacking = [field for field in schema if field.nullable and field.name not in file.schema_arrow.names]
        first, last = (file.num_row_groups * number // piece.of for number in (piece.number, piece.number + 1))
        for rows in file.iter_batches(most_rows, row_groups=range(first, last), columns=schema.names):
            for field in lacking:
                rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
            yield from _bounded(rows.select(schema.names).cast(schema))


def _bounded(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows in batches of limited bytes, however long the texts are."""
    if rows.nbytes <= _BATCH_BYTES or rows.num_rows < 2:
        yield rows
    else:
        half = rows.num_rows // 2
        yield from _bounded(rows.slice(0, half))
        yield from _bounded(rows.slice(half))
