"""A corpus from Python: what each of the readers gives is what manifests list, on a disk and on an object store."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from commands import call
from corpora import tables
from object_store import object_store
from pyspark.sql import SparkSession

import swallow_spark as sw

Rows = list[dict[str, Any]]
READERS: dict[str, Callable[[sw.Corpus, str], Rows]] = {
    "arrow": lambda corpus, name: corpus.table(name).to_table().to_pylist(),
    "spark": lambda corpus, name: [row.asDict() for row in corpus.spark(name).collect()],
    "duckdb": lambda corpus, name: corpus.duckdb(name).to_arrow_table().to_pylist(),
    "polars": lambda corpus, name: corpus.polars(name).collect().to_dicts(),
}
STORE = "s3://corpora/one/corpus"


@pytest.fixture(scope="module")
def stored(spark: SparkSession, built: Path) -> Iterator[str]:
    with object_store("corpora") as store:
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        for path in built.rglob("*"):
            if path.is_file():
                store.put("corpora", f"one/corpus/{path.relative_to(built)}", path.read_bytes())
        with mock.patch.dict(spark.sparkContext.environment, aws):  # workers have that of the JVM, which is older
            yield STORE


def ids(rows: Rows) -> list[int]:
    return sorted(row["doc_id"] for row in rows)


@pytest.mark.parametrize("reader", READERS)
def test_the_rows_that_manifests_list(spark: SparkSession, copy: Path, reader: str) -> None:
    expected = tables(copy)
    page = next((copy / "pages").rglob("*.parquet"))
    shutil.copy(page, page.with_name("part-left-behind.parquet"))  # of a killed run
    corpus = sw.open(copy)
    assert {*corpus.tables} == {*expected, "inputs", "failures"}
    for name, rows in expected.items():
        found = READERS[reader](corpus, name)
        columns = {column: part for column, part in found[0].items() if column not in rows[0]}
        assert columns == own_columns(name), name
        if "doc_id" in rows[0]:
            assert ids(found) == ids(rows), name
        assert len(found) == len(rows), name
    (text,) = {row["text"] for row in expected["pages"] if row["doc_id"] == expected["pages"][0]["doc_id"]}
    assert text in {row["text"] for row in READERS[reader](corpus, "pages")}


def own_columns(name: str) -> dict[str, str]:
    kind, _, part = name.partition("/")
    column, _, value = part.rpartition("=")
    return ({column or kind.removesuffix("s"): value} if part else {}) | {"crawl": "c"}


@pytest.mark.parametrize("reader", READERS)
def test_an_object_store(spark: SparkSession, built: Path, stored: str, reader: str) -> None:
    corpus = sw.open(stored)
    assert corpus.tables == sw.open(built).tables
    for name in ("pages", "verdicts", "subsets/edu-top10", "inputs", "failures"):
        here, there = (READERS[reader](opened, name) for opened in (sw.open(built), corpus))
        assert sorted(map(repr, there)) == sorted(map(repr, here)), name


def test_filters_and_columns_are_pushed_down(built: Path, copy: Path) -> None:
    corpus = sw.open(copy)
    edu = ds.field("classifier") == "edu"
    assert len(list(corpus.table("scores").get_fragments(filter=edu))) == len(
        list(corpus.table("scores/classifier=edu").get_fragments())
    )
    for path in (copy / "scores" / "classifier=wiki").rglob("*.parquet"):
        path.write_bytes(b"not to be read")
    number = sw.open(built).table("scores/classifier=edu").count_rows()
    assert corpus.table("scores").count_rows(filter=edu) == number
    assert len(corpus.duckdb("scores").filter("classifier = 'edu'").select("score").fetchall()) == number


def test_a_connection_of_ones_own(built: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE known AS SELECT 'c' AS crawl")
        pages = sw.open(built).duckdb("pages", connection)
        pages.create_view("pages")
        found = connection.sql("SELECT count(*) FROM pages JOIN known USING (crawl)").fetchall()
    assert found == [(sw.open(built).table("pages").count_rows(),)]


@pytest.mark.parametrize("reader", READERS)
def test_files_of_an_older_release_lack_a_column(spark: SparkSession, copy: Path, reader: str) -> None:
    before = sw.open(copy).table("groups").count_rows()
    (manifest,) = (copy / "manifests" / "deduplicate").rglob("*.json")
    content = json.loads(manifest.read_text())
    path = "groups/crawl=old/unit-0123456789ab/part-0.parquet"
    (copy / path).parent.mkdir(parents=True)
    pq.write_table(pa.table({"doc_id": [1]}), copy / path)
    files = [{"table": "groups", "path": path, "rows": 1, "bytes": (copy / path).stat().st_size}]
    manifest.with_name("older.json").write_text(json.dumps({**content, "version": "0.0.1", "files": files}))
    rows = READERS[reader](sw.open(copy), "groups")
    assert len(rows) == before + 1
    assert [row for row in rows if row["crawl"] == "old"] == [{"doc_id": 1, "num_duplicates": None, "crawl": "old"}]


@pytest.mark.parametrize("reader", READERS)
def test_a_table_without_rows(spark: SparkSession, built: Path, reader: str) -> None:
    assert READERS[reader](sw.open(built), "failures") == []
    assert sw.open(built).spark("failures").columns == sw.open(built).table("failures").schema.names


def test_a_table_that_is_not_there(built: Path) -> None:
    corpus = sw.open(built)
    with pytest.raises(sw.CorpusError, match=r"no table 'page', did you mean pages\? \(there are: duplicates, "):
        corpus.table("page")
    with pytest.raises(sw.CorpusError, match=r"did you mean subsets/edu-top10\?"):
        corpus.polars("subset/edu-top10")
    with pytest.raises(sw.CorpusError, match=r"no table 'subsets/e'"):  # no directory's name
        corpus.duckdb("subsets/e")


def test_a_relative_path_means_the_same_after_a_change_of_directory(
    spark: SparkSession, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built.parent)
    corpus = sw.open(built.name)
    monkeypatch.chdir("/")
    assert corpus.table("pages").count_rows() == corpus.spark("pages").count() > 0


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(sw.CorpusError, match="no corpus there"):
        sw.open(tmp_path)


def test_a_manifest_that_is_damaged(copy: Path) -> None:
    next((copy / "manifests" / "ingest").rglob("*.json")).write_text("{")
    with pytest.raises(sw.CorpusError, match="damaged"):
        sw.open(copy)


@pytest.mark.parametrize("package", ["duckdb", "polars"])
def test_a_package_that_is_not_installed(built: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"{package} is not installed: pip install {package}"):
        getattr(sw.open(built), package)("pages")


def test_build_gives_what_the_command_prints(copy: Path, warcs: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    summary = sw.build(copy, warcs, config="demo", crawl="c")
    assert capfd.readouterr().out == ""
    assert call("build", "--corpus", copy, "--config", "demo", "--crawl", "c", "--json", *warcs).json == summary
    assert sw.build(str(copy), warcs[0], config="demo", crawl="c", until="ingest")["pages"] == summary["pages"]


def test_a_build_that_is_refused(tmp_path: Path, warcs: list[Path]) -> None:
    corpus = tmp_path / "corpus"
    with pytest.raises(sw.ConfigError, match=r"no_such"):
        sw.build(corpus, warcs, config="demo", overrides=["rules.no_such=1"])
    with pytest.raises(sw.ConfigError, match="no such configuration"):
        sw.build(corpus, warcs, config="demos")
    with pytest.raises(sw.InputError):
        sw.build(corpus, tmp_path / "none.warc.gz", config="demo")
    with pytest.raises(
        sw.UsageError, match=r"until='scores': no such stage, did you mean score\? \(there are: ingest, "
    ):
        sw.build(corpus, warcs, config="demo", until="scores")
    with pytest.raises(sw.UsageError, match="index"):
        sw.build(corpus, warcs, config="demo", hosts=["*.ac.jp"])
    assert not corpus.exists()
