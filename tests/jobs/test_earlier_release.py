"""A corpus made by release 0.1 (tests/data/release-0.1.md) stays good: nothing in it is done again, and the same
inputs give the same rows. `config.toml` there asks for each stage that a configuration can ask for."""

import tarfile
from pathlib import Path

import pytest
from commands import call
from corpora import same_tables, snapshot
from places import EARLIER_RELEASE
from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("earlier")
    with tarfile.open(EARLIER_RELEASE) as archive:
        archive.extractall(directory, filter="data")
    return directory


def arguments(earlier: Path, corpus: Path, crawl: str) -> list[str | Path]:
    # As URIs, so that what names a file is its path from crawl-data/ on, wherever that lies.
    found = sorted((earlier / "crawl-data" / "release-0.1" / crawl).iterdir())
    inputs = [path.resolve().as_uri() for path in found]
    return ["--corpus", corpus, "--config", earlier / "config.toml", "--crawl", crawl, *inputs]


def test_nothing_is_done_again(spark: SparkSession, earlier: Path) -> None:
    corpus = earlier / "corpus"
    checked = call("check", "--corpus", corpus, "--config", earlier / "config.toml", "--content", "--json")
    assert checked.json["damaged"] == checked.json["not_done"] == []
    before = snapshot(corpus, "runs", "models")
    done = call("build", *arguments(earlier, corpus, "web"))
    assert done.status == 0, done.err
    assert snapshot(corpus, "runs", "models") == before
    assert call("import", *arguments(earlier, corpus, "books")).status == 0
    assert snapshot(corpus, "runs", "models") == before


def test_a_new_corpus_has_the_same_rows(spark: SparkSession, earlier: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    for command, crawl in (("build", "web"), ("import", "books")):
        done = call(command, *arguments(earlier, corpus, crawl), "--until", "ingest")
        assert done.status == 0, done.err
    (tmp_path / "urls").write_text("https://debian-handbook.info/browse/ja-JP/stable/sect.quotas.html\n")
    done = call("build", *arguments(earlier, corpus, "web"), "--until", "select")
    assert done.status == 0, done.err
    assert call("remove", "--corpus", corpus, "--urls", tmp_path / "urls").status == 0
    assert call("build", *arguments(earlier, corpus, "web"), "--until", "select").status == 0
    same_tables(earlier / "corpus", corpus, added={"pages": {"truncated"}})
