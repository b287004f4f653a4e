"""Corpora that several tests look at; copy one before changing it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import Ran, call, run
from corpora import slice_of
from places import DEMO_WARCS
from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def warcs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four small WARCs: 45 records each, of four of the demo's files."""
    directory = tmp_path_factory.mktemp("warcs")
    return [slice_of(DEMO_WARCS[number], directory / f"{number}.warc.gz", slice(0, 45)) for number in range(4)]


@pytest.fixture(scope="session")
def built(spark: SparkSession, warcs: Sequence[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus built from the small WARCs in one batch, undisturbed. Copy it before changing it."""
    corpus = tmp_path_factory.mktemp("built") / "corpus"
    assert call("build", "--corpus", corpus, "--config", "demo", "--crawl", "c", *warcs).status == 0
    return corpus


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """A finished corpus to change."""
    return Path(shutil.copytree(built, tmp_path / "copy"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A corpus built from two of the demo's files by a process of its own, and how that ended."""
    corpus = tmp_path_factory.mktemp("demo") / "corpus"
    ran = run("build", "--corpus", corpus, "--config", "demo", "--crawl", "demo", "--json", *DEMO_WARCS[:2])
    return corpus, ran
