"""Corpora for tests of stages and steps."""

import zlib
from functools import partial
from pathlib import Path

import pytest
from event_log import events_of
from places import DEMO_WARCS
from pyspark.sql import SparkSession
from runs import Built, MakeRun, new_run

from swallow_spark import pipeline


@pytest.fixture
def make_run(spark: SparkSession, tmp_path: Path) -> MakeRun:
    """`make_run(inputs, text=False, overrides=())`: a run on a new corpus."""
    return partial(new_run, spark, tmp_path / "corpus")


@pytest.fixture(scope="session")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three small WARCs: the first records of three of the demo's files, byte for byte; the last one ends too early."""
    directory = tmp_path_factory.mktemp("slices")
    paths = [_slice(DEMO_WARCS[n], directory / f"{n}.warc.gz", records=50) for n in range(3)]
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    return paths


def _slice(source: Path, target: Path, records: int) -> Path:
    content, start = source.read_bytes(), 0
    for _ in range(records):
        member = zlib.decompressobj(31)
        member.decompress(content[start:])
        start = len(content) - len(member.unused_data)
    target.write_bytes(content[:start])
    return target


@pytest.fixture(scope="session")
def built(spark: SparkSession, event_log: Path, slices: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The slices built in one batch, dedup in one partition and one pass. Not to be changed."""
    overrides = ["execution.shuffle_partitions=1", "execution.bands_per_pass=40"]
    run = new_run(spark, tmp_path_factory.mktemp("built") / "corpus", slices, overrides=overrides)
    return Built(run, events_of(spark, event_log, lambda: pipeline.build(run, "c")))
