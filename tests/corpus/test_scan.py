"""What a task fetches of a table on an object store."""

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from swallow_spark.corpus import read as scan
from swallow_spark.files.storage import Root
from swallow_spark.kernels import lsh
from swallow_spark.tables import SKETCHES


class Counted(io.FileIO):
    """A file that counts the bytes that are read of it."""

    fetched = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(-1 if size is None else size)
        Counted.fetched += len(content)
        return content

    def readinto(self, buffer: Any) -> int:
        size = super().readinto(buffer)
        Counted.fetched += size
        return size


class CountingRoot(Root):
    def open_input(self, relative: str) -> Any:
        return pa.PythonFile(Counted(self.local_path(relative)), mode="r")


def test_a_task_fetches_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    rows = 5000
    rng = np.random.default_rng(1)
    sketch = lsh.sketch(pa.array([f"{number}" * 9 for number in range(rows)]), bands=40, rows_per_band=20)
    doc_ids = pa.array(rng.integers(0, 1 << 62, rows))
    written = pa.Table.from_arrays([doc_ids, *sketch.columns], schema=SKETCHES)
    pq.write_table(written, tmp_path / "part.parquet", compression="zstd", row_group_size=1000)
    size = (tmp_path / "part.parquet").stat().st_size
    root = CountingRoot(str(tmp_path))
    bytes_of_a_row = {("doc_id",): 8, ("doc_id", "text_hash", "sketch"): 116, ("doc_id", "bands"): 328}
    for names, expected in {**bytes_of_a_row, tuple(SKETCHES.names): 436}.items():
        Counted.fetched = 0
        schema = pa.schema([SKETCHES.field(name) for name in names])
        batches = scan.read_piece(scan.Piece("part.parquet"), root, schema)
        assert pa.Table.from_batches(batches, schema).equals(written.select(names))
        assert Counted.fetched / size == pytest.approx(expected / 436, abs=0.1)


def test_pieces_of_a_file_are_its_rows_once_and_in_order(tmp_path: Path) -> None:
    table = pa.table({"n": range(1000)})
    root = Root(str(tmp_path))
    for row_groups in (1, 3, 10):
        pq.write_table(table, tmp_path / "part.parquet", row_group_size=-(-1000 // row_groups))
        for of in (1, 2, 3, 7, 25):
            found = [list(scan.read_piece(scan.Piece("part.parquet", n, of), root, table.schema)) for n in range(of)]
            assert pa.Table.from_batches(itertools.chain(*found), table.schema).equals(table)
            assert sum(bool(batches) for batches in found) == min(of, row_groups)


class Session:
    """What `scan_files` asks a session for."""

    sparkContext = SimpleNamespace(defaultParallelism=4)  # noqa: N815


@pytest.mark.parametrize(
    ("megabytes", "parts"),
    [([], []), ([0], [1]), ([3], [1]), ([100], [4]), ([1, 15], [1, 4]), ([500], [4]), ([1200, 1], [10, 1])],
)
def test_large_files_are_shared_out_and_small_ones_are_not(megabytes: list[int], parts: list[int]) -> None:
    sizes = {f"{number}.parquet": size << 20 for number, size in enumerate(megabytes)}
    session: Any = Session()
    found = scan.scan_files(session, Root("/nowhere"), sizes, SKETCHES).pieces
    assert [sum(piece.path == path for piece in found) for path in sizes] == parts
    assert all(0 <= piece.number < piece.of for piece in found)


def test_a_scan_is_read_by_the_tasks_that_work_on_it(spark: SparkSession, tmp_path: Path) -> None:
    paths = [f"{number}.parquet" for number in range(3)]
    for number, path in enumerate(paths):
        pq.write_table(pa.table({"n": range(number * 10, number * 10 + 10), "text": ["文"] * 10}), tmp_path / path)
    schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
    found = scan.scan_files(spark, Root(str(tmp_path)), dict.fromkeys(paths, 1), schema)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        read = list(batches)
        assert {name for batch in read for name in batch.schema.names} <= {"n"}
        yield pa.RecordBatch.from_pydict({"sum": [sum(sum(batch.column(0).to_pylist()) for batch in read)]})

    rows = found.select("n").mapInArrow(work, StructType.fromDDL("sum long"))
    assert sorted(row["sum"] for row in rows.collect()) == [45, 145, 245]
    nothing = scan.scan_files(spark, Root(str(tmp_path)), {}, schema)
    assert nothing.mapInArrow(work, StructType.fromDDL("sum long")).agg({"sum": "sum"}).collect()[0][0] in (0, None)
