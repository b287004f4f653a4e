"""Tables as Spark reads them: by its own reader where that reaches the root, else by PyArrow inside tasks.

PySpark brings no JAR for object stores, and needs none here: tasks read as they write. What that lacks is Spark's
pruning of columns and filters, so whoever reads names the columns that are used.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.storage import Root

_MOST_TASKS: Final = 20_000
_BATCH_ROWS: Final = 1000
_BATCH_BYTES: Final = 16 << 20


def read_files(spark: SparkSession, root: Root, paths: Sequence[str], schema: pa.Schema) -> DataFrame:
    """The rows of Parquet files below the root. A frame without rows where there are none."""
    spark_schema = from_arrow_schema(schema)
    if not paths:
        return spark.createDataFrame([], spark_schema)
    if root.spark_reads:
        return spark.read.schema(spark_schema).parquet(*map(root.spark_path, paths))
    number = min(len(paths), _MOST_TASKS)
    tasks = [paths[len(paths) * i // number : len(paths) * (i + 1) // number] for i in range(number)]
    read = partial(_read, root=root, tasks=tasks, schema=schema)
    return spark.range(0, number, 1, number).mapInArrow(read, spark_schema)


def _read(
    numbers: Iterable[pa.RecordBatch], root: Root, tasks: Sequence[Sequence[str]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in numbers:
        for number in batch.column(0).to_pylist():
            for path in tasks[number]:
                with root.open_input(path) as stream:
                    file = pq.ParquetFile(stream, pre_buffer=True)
                    for rows in file.iter_batches(_BATCH_ROWS, columns=schema.names):
                        yield from _bounded(rows.select(schema.names).cast(schema))


def _bounded(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows in batches that don't grow with long texts."""
    if rows.nbytes <= _BATCH_BYTES or rows.num_rows < 2:
        yield rows
    else:
        half = rows.num_rows // 2
        yield from _bounded(rows.slice(0, half))
        yield from _bounded(rows.slice(half))
