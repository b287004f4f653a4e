"""What tests of steps have in common."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from rich.console import Console

from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.files.inputs import expand
from swallow_spark.pipeline import STAGES
from swallow_spark.session.progress import Progress
from swallow_spark.stages.run import Run
from swallow_spark.stages.select.step import select

MakeRun = Callable[..., Run]  # the fixture make_run


class Built(NamedTuple):
    """A finished build, and the part of the event log that it wrote."""

    run: Run
    events: list[dict[str, Any]]


def new_run(
    spark: SparkSession, location: Path, inputs: Sequence[Path], *, text: bool = False, overrides: Sequence[str] = ()
) -> Run:
    """A run on a new corpus, with the inputs registered as crawl `c`."""
    corpus = Corpus.open_or_create(str(location))
    corpus.register("c", expand([str(path) for path in inputs], text=text))
    return Run(corpus, load("demo", overrides), Progress(lambda: spark, Console(file=StringIO())), STAGES)


def table(run: Run, name: str, stage: str) -> list[dict[str, Any]]:
    """A table's rows that manifests of a stage list, sorted, read without Spark."""
    files = [file for manifest in run.corpus.manifests(stage) for file in manifest.files if file.table == name]
    parts = [pq.read_table(run.corpus.root.local_path(file.path), partitioning=None) for file in files]
    assert [part.num_rows for part in parts] == [file.rows for file in files]
    rows = pa.concat_tables(parts).to_pylist() if parts else []
    return sorted(rows, key=lambda row: tuple(map(str, row.values())))


def reconfigured(run: Run, directory: Path, overrides: list[str]) -> Run:
    copy = directory / "corpus"
    shutil.copytree(run.corpus.root.local_path(""), copy)
    changed = replace(run, corpus=Corpus.open(str(copy)), config=load("demo", overrides))
    select(changed)
    return changed


@contextmanager
def settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Spark's settings, for a while."""
    before = {name: spark.conf.get(name) for name in values}
    try:
        for name, value in values.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value or "")
