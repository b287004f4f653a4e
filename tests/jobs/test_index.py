"""Only what an index names, fetched by byte range: the pages of a scan, as far as they are on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import call
from corpora import rows
from crawls import CRAWL, Crawl, crawl_of
from misbehaving import Web, good, refusing, serving
from pyspark.sql import SparkSession

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.tables import unpack_doc_id

INPUT = f"cc:{CRAWL}"


@pytest.fixture(scope="module")
def crawl(warcs: list[Path]) -> Crawl:
    return crawl_of(warcs[:3])


@pytest.fixture(scope="module")
def web(crawl: Crawl) -> Iterator[Web]:
    with serving(Web(files=crawl.served())) as running:
        yield running


def ingest(corpus: Path, web: Web, *arguments: str) -> Any:
    options = ["--corpus", corpus, "--config", "demo", "--crawl", "c", "--base-url", web.url, "--json"]
    return call("ingest", *options, "--set", "ingest.max_failed_fraction=1", *arguments, INPUT)


@pytest.fixture(scope="module")
def scanned(spark: SparkSession, crawl: Crawl, web: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All records of the crawl, from a server that breaks off; one of its files is not there."""
    web.orders[f"/{crawl.lines[0]}"] = [good(cut=20_000), refusing(503), good(cut=9)]
    corpus = tmp_path_factory.mktemp("scanned") / "corpus"
    assert ingest(corpus, web).json["file_failures"] == {"unreadable": 1}
    return corpus


def is_wanted(capture: dict[str, Any]) -> bool:
    html, japanese = capture["content_mime_detected"] == "text/html", "jpn" in (capture["content_languages"] or "")
    return html and japanese and capture["fetch_status"] == 200


def wanted_pages(scanned: Path, crawl: Crawl, captures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    places = {(crawl.lines.index(row["warc_filename"]), row["warc_record_offset"]) for row in captures}
    return [row for row in rows(scanned, "pages") if unpack_doc_id(row["doc_id"])[1:] in places]


def test_the_pages_of_a_scan(scanned: Path, crawl: Crawl, web: Web, tmp_path: Path) -> None:
    captures = [row for row in crawl.captures if is_wanted(row)]
    expected = wanted_pages(scanned, crawl, captures)
    assert len(expected) > 10
    web.orders[f"/{crawl.lines[0]}"] = [refusing(503), good(cut=100)]
    sent = web.bytes_sent
    ran = ingest(tmp_path / "corpus", web, "--index", INPUT, "--set", "ingest.max_gap_bytes=0")
    summary = ran.json
    assert f"Fetched by index: {summary['bytes_fetched']:,} of " in ran.err
    assert rows(tmp_path / "corpus", "pages") == expected
    outcomes = sum(summary["passed_over"].values()) + sum(summary["failures"].values())
    assert summary["records"] == len(captures) == len(expected) + outcomes
    assert summary["bytes_fetched"] == sum(row["warc_record_length"] for row in captures)
    assert summary["bytes_of_files_fetched_from"] == sum(
        len(crawl.files[line]) for line in crawl.files if line in crawl.lines
    )
    assert sent + summary["bytes_fetched"] < web.bytes_sent
    # The file that isn't there held nothing that is wanted, so it is no failure; nothing is left to do.
    assert summary["file_failures"] == {}
    assert Corpus.open(str(tmp_path / "corpus")).pending("c") == []
    asked = len(web.requests)
    assert ingest(tmp_path / "corpus", web, "--index", INPUT).json["records"] == len(captures)
    assert len(web.requests) == asked + 1, "the listing"


def test_hosts_and_files_and_what_is_refused(scanned: Path, crawl: Crawl, web: Web, tmp_path: Path) -> None:
    host = next(row["url"].split("/")[2] for row in crawl.captures if is_wanted(row))
    captures = [row for row in crawl.captures if is_wanted(row) and row["url"].split("/")[2] == host]
    corpus, narrowed = tmp_path / "corpus", ("--index", INPUT, "--hosts", host)
    found = ingest(corpus, web, *narrowed, "--files", "0:1")
    assert found.json["records"] == sum(row["warc_filename"] == crawl.lines[0] for row in captures)
    assert ingest(corpus, web, *narrowed).json["records"] == len(captures)
    assert rows(corpus, "pages") == wanted_pages(scanned, crawl, captures)
    for other in ([], ["--index", INPUT], ["--index", INPUT, "--hosts", "*"]):
        assert "ingest them as another crawl" in ingest(corpus, web, *other).complaint
    assert "no such file" in ingest(tmp_path / "new", web, "--index", "/no/such/index").complaint
    assert "give --index too" in ingest(corpus, web, "--hosts", "*").complaint
    assert "as another crawl" in ingest(scanned, web, *narrowed).complaint


def test_a_file_that_breaks_off_is_tried_again_whole(crawl: Crawl, web: Web, scanned: Path, tmp_path: Path) -> None:
    """Nothing of it stays, its second try gives all, and the files read the first time keep their pages."""
    corpus = tmp_path / "corpus"
    ends = (crawl.lines[0], crawl.lines[-1])
    contents = [web.files.pop(f"/{line}") for line in ends]
    try:
        found = ingest(corpus, web, "--index", INPUT).json
        assert found["file_failures"] == {"unreadable": 2}
        first = rows(corpus, "pages")
    finally:
        web.files.update({f"/{line}": content for line, content in zip(ends, contents, strict=True)})
    assert 0 < len(first) < len(rows(scanned, "pages"))
    assert [file.file_no for file in Corpus.open(str(corpus)).pending("c")] == [0, len(crawl.lines) - 1]
    assert ingest(corpus, web, "--index", INPUT).status == 0
    captures = [row for row in crawl.captures if is_wanted(row)]
    assert rows(corpus, "pages") == wanted_pages(scanned, crawl, captures)
