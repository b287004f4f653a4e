"""A corpus made by release 0.1 (tests/data/release-0.1.md) stays good: nothing in it is done again but the report,
which looks different now, and the same inputs give the same rows. `config.toml` there asks for each stage that a
configuration can ask for."""

import gzip
import shutil
import tarfile
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from commands import call
from corpora import same_tables, snapshot
from places import EARLIER_RELEASE
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812
from warcs import record

import swallow_spark as sw
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.corpus.read import scan_files
from swallow_spark.tables import PAGES


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
    but = ("runs", "models", "report", "manifests/report")  # all but these
    before = snapshot(corpus, *but)
    done = call("build", *arguments(earlier, corpus, "web"))
    assert done.status == 0, done.err
    assert snapshot(corpus, *but) == before
    everything = snapshot(corpus, "runs", "models")  # with the report, which is not written a second time
    assert call("build", *arguments(earlier, corpus, "web")).status == 0
    assert call("import", *arguments(earlier, corpus, "books")).status == 0
    assert snapshot(corpus, "runs", "models") == everything


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


def test_a_column_that_older_files_lack_is_null(spark: SparkSession, earlier: Path, tmp_path: Path) -> None:
    """Also beside new files, with the same fingerprint."""
    corpus = tmp_path / "corpus"
    shutil.copytree(earlier / "corpus", corpus)
    num_old = sw.open(corpus).table("pages").count_rows()
    page = "<html><p>" + "豆腐の話です。とても長い話になりますので、途中で切れてしまいました。" * 20
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page.encode()
    (tmp_path / "cut.warc.gz").write_bytes(gzip.compress(record(block, extra=b"WARC-Truncated: length\r\n")))
    config = ["--config", earlier / "config.toml"]
    for url in (None, "http://a.example/"):
        opened = sw.open(corpus)
        expected = [None] * num_old + [True] * bool(url)
        arrow = opened.table("pages")
        assert sorted(arrow.to_table().column("truncated").to_pylist(), key=str) == sorted(expected, key=str)
        assert arrow.count_rows(filter=ds.field("truncated")) == bool(url)
        assert opened.duckdb("pages").filter("truncated").to_arrow_table().num_rows == bool(url)
        assert len(opened.polars("pages").collect().drop_nulls("truncated")) == bool(url)
        assert opened.spark("pages", spark).where(F.col("truncated")).count() == bool(url)
        stored = Corpus.open(str(corpus))
        files = [file for batch in stored.manifests("ingest") for file in batch.files if file.table == "pages"]
        scan = scan_files(spark, stored.root, {file.path: file.bytes for file in files}, PAGES)  # as on object stores
        assert scan.mapInArrow(iter, opened.spark("pages", spark).select(*PAGES.names).schema).count() == len(expected)
        shown = url or next(filter(None, arrow.to_table(["url"]).column("url").to_pylist()))
        done = call("explain", "--corpus", corpus, *config, "--url", shown, "--json")
        assert done.json["truncated"] == (True if url else None)
        if not url:
            done = call("ingest", "--corpus", corpus, *config, "--crawl", "more", tmp_path / "cut.warc.gz")
            assert done.status == 0, done.err
