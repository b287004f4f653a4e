"""What a task fetches of a table on an object store."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swallow_spark import scan
from swallow_spark.kernels import lsh
from swallow_spark.storage import Root
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
    root, number = CountingRoot(str(tmp_path)), pa.record_batch({"id": [0]})
    bytes_of_a_row = {("doc_id",): 8, ("doc_id", "text_hash", "sketch"): 116, ("doc_id", "bands"): 328}
    for names, expected in {**bytes_of_a_row, tuple(SKETCHES.names): 436}.items():
        Counted.fetched = 0
        schema = pa.schema([SKETCHES.field(name) for name in names])
        batches = scan._read([number], root, [["part.parquet"]], schema)
        assert pa.Table.from_batches(batches, schema).equals(written.select(names))
        assert Counted.fetched / size == pytest.approx(expected / 436, abs=0.1)
