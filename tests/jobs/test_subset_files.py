"""Subsets open by their directory, in programs that know nothing of this one."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from corpora import rows


def of_datasets(directory: Path, scratch: Path) -> set[tuple[int, str]]:
    import datasets  # here: it takes a second

    datasets.disable_progress_bars()
    found = datasets.load_dataset(str(directory), split="train", cache_dir=str(scratch))
    return {(row["doc_id"], row["text"]) for row in found}


READERS: dict[str, Callable[[Path, Path], set[tuple[int, str]]]] = {
    "pandas": lambda directory, _: {*pd.read_parquet(directory)[["doc_id", "text"]].itertuples(index=False, name=None)},
    "polars": lambda directory, _: {*pl.read_parquet(directory).select("doc_id", "text").rows()},
    "duckdb": lambda directory, _: {*duckdb.query(f"SELECT doc_id, text FROM '{directory}/**/*.parquet'").fetchall()},
    "datasets": of_datasets,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_subset_opens_by_its_directory(built: Path, tmp_path: Path, reader: str) -> None:
    expected = {(row["doc_id"], row["text"]) for row in rows(built, "subsets/edu-top10-30")}
    assert len(expected) > 3
    assert READERS[reader](built / "subsets" / "edu-top10-30", tmp_path) == expected


def test_the_directory_holds_nothing_but_parquet_by_zstd(built: Path) -> None:
    files = [path for path in (built / "subsets" / "edu-top10").rglob("*") if path.is_file()]
    assert files
    for path in files:
        metadata = pq.read_metadata(path)  # fails for other files
        columns = [metadata.row_group(0).column(number) for number in range(metadata.num_columns)]
        assert {column.compression for column in columns} == {"ZSTD"}
