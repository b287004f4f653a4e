"""Damaged WARCs in a whole run: good records become pages, damage becomes rows in `failures`, nothing stops."""

from pathlib import Path
from typing import Any

import pytest
from commands import Ran, call
from corpora import members, rows
from places import BROKEN, DEMO_WARCS
from pyspark.sql import SparkSession

from swallow_spark.tables import unpack_doc_id

FILES = sorted(path for path in BROKEN.iterdir() if ".warc" in path.name)
Broken = tuple[Path, Ran]


@pytest.fixture(scope="module")
def broken(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """All of the damaged files as one corpus."""
    corpus = tmp_path_factory.mktemp("broken") / "corpus"
    return corpus, call("build", "--corpus", corpus, "--config", "demo", "--json", *FILES)


def pages_and_failures(corpus: Path, name: str) -> tuple[int, list[dict[str, Any]]]:
    number = [path.name for path in FILES].index(name)
    pages = [row for row in rows(corpus, "pages") if unpack_doc_id(row["doc_id"]).file_no == number]
    return len(pages), [row for row in rows(corpus, "failures") if row["file_no"] == number]


def test_damage_stops_no_run(broken: Broken) -> None:
    corpus, ran = broken
    summary = ran.json
    passed_over, failures = sum(summary["passed_over"].values()), sum(summary["failures"].values())
    assert summary["records"] == summary["pages"] + passed_over + failures
    assert summary["survivors"] + summary["duplicates"] == summary["pages"] == len(rows(corpus, "pages"))
    found = rows(corpus, "failures")
    assert failures == sum(row["scope"] == "record" for row in found)
    assert sum(summary["file_failures"].values()) == sum(row["scope"] != "record" for row in found)
    assert all(row["stage"] == "ingest" and row["reason"] and row["detail"] for row in found)


@pytest.mark.parametrize(
    ("name", "num_pages", "damage"),
    [
        ("bad-crc-in-one-member.warc.gz", 2, ("record", "bad_crc", 2628)),
        ("empty.warc.gz", 0, ("file", "empty", 0)),
        ("garbage-between-members.warc.gz", 3, ("gap", "garbage", 3238)),
        ("not-a-warc.warc.gz", 0, ("file", "unsupported_format", 0)),
        ("single-member.warc.gz", 1, ("file", "shared_gzip_member", 0)),
        ("truncated-in-member.warc.gz", 3, ("record", "truncated", 13497)),
        ("uncompressed.warc", 1, None),
        ("wrong-content-length.warc", 2, ("record", "wrong_content_length", 5693)),
    ],
)
def test_what_becomes_of_each_file(
    broken: Broken, name: str, num_pages: int, damage: tuple[str, str, int] | None
) -> None:
    found, failures = pages_and_failures(broken[0], name)
    assert found == num_pages
    assert [(row["scope"], row["reason"], row["offset"]) for row in failures] == ([damage] if damage else [])
    # 7 records each, but for the two files that are no WARC; a record that is damaged is one of them.
    number = [path.name for path in FILES].index(name)
    records = sum(row["num_records"] for row in rows(broken[0], "ledger") if row["file_no"] == number)
    assert records == (0 if name in ("empty.warc.gz", "not-a-warc.warc.gz") else 7)


def test_a_crawl_without_a_japanese_page(spark: SparkSession, tmp_path: Path) -> None:
    english = [content for _, url, content in members(DEMO_WARCS[0]) if url and "/en-US/" in url]
    assert english
    source = tmp_path / "english.warc.gz"
    source.write_bytes(b"".join(english))
    corpus = tmp_path / "corpus"
    summary = call("build", "--corpus", corpus, "--config", "demo", "--json", source).json
    assert summary["records"] == len(english)
    assert summary["pages"] == summary["duplicates"] == summary["survivors"] == summary["accepted"] == 0
    assert summary["rejected"] == {}
    assert set(summary["subsets"]) == {"wiki-top10", "wiki-top10-30", "edu-top10", "edu-top10-30"}
    assert all(number == 0 for subset in summary["subsets"].values() for number in subset.values())
    assert all(score is None for bands in summary["thresholds"].values() for score in bands.values())
    assert (corpus / "report" / "index.html").exists()
    assert "no page" in call("explain", "--corpus", corpus, "--doc-id", str(1 << 53)).complaint
