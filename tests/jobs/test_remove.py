"""Pages that are removed: from subsets, from later ingests, and what is told of them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
from commands import call
from corpora import ids, rows, snapshot
from pyspark.sql import SparkSession


def subset_pages(corpus: Path) -> dict[int, set[str]]:
    """doc_id -> the subsets that it is in."""
    found: dict[int, set[str]] = {}
    for table in (corpus / "subsets").iterdir():
        if table.is_dir():
            for row in rows(corpus, f"subsets/{table.name}"):
                found.setdefault(row["doc_id"], set()).add(table.name)
    return found


def test_removed_pages_leave_the_subsets_and_do_not_come_back(
    spark: SparkSession, copy: Path, warcs: list[Path], tmp_path: Path
) -> None:
    pages = {row["doc_id"]: row for row in rows(copy, "pages")}
    duplicates = rows(copy, "duplicates")
    before = subset_pages(copy)
    # A page that others fell for, one by its host, and one that fell itself.
    represented = next(row["representative"] for row in duplicates if row["representative"] in pages)
    by_url = next(doc_id for doc_id in sorted(before) if pages[doc_id]["host"] != pages[represented]["host"])
    by_host = pages[represented]["host"]
    (tmp_path / "urls").write_text(pages[by_url]["url"].upper() + "#top\nhttps://nowhere.example/\n")
    (tmp_path / "hosts").write_text(f"# by mail\n{by_host}.\n")

    arguments = ["remove", "--corpus", copy, "--urls", tmp_path / "urls", "--hosts", tmp_path / "hosts"]
    removed = {d for d, row in pages.items() if row["host"] == by_host or row["url"] == pages[by_url]["url"]}
    others = {
        other
        for row in duplicates
        for other in ({row["witness"], row["representative"]} if row["doc_id"] in removed else {row["doc_id"]})
        if {row["doc_id"], row["witness"], row["representative"]} & removed
    } - removed
    first = call(*arguments, "--json", "--duplicates", tmp_path / "listed.jsonl").json["removal"]
    assert first == {
        "urls_added": 2,
        "hosts_added": 1,
        "urls": 2,
        "hosts": 1,
        "pages": len(removed),
        "duplicates": first["duplicates"],
    }
    listed = [json.loads(line) for line in (tmp_path / "listed.jsonl").read_text().splitlines()]
    assert {row["doc_id"] for row in listed} == others
    assert all(row["url"] == pages[row["doc_id"]]["url"] for row in listed)
    assert len(listed) == first["duplicates"] >= len(others)

    again = snapshot(copy, "runs")
    assert call(*arguments, "--json").json["removal"] == {**first, "urls_added": 0, "hosts_added": 0}
    assert snapshot(copy, "runs") == again

    # What leaves the corpus is without them too: subsets wait for `select`, samples don't.
    subset = min(before[by_url])
    export = ["export", "--corpus", copy, "--subset", subset, "--output", tmp_path / "out", "--json"]
    assert "first `swallow-spark select`" in call(*export).complaint
    sampled = tmp_path / "sample.parquet"
    assert call("sample", "--corpus", copy, "--sample", "10000", "--of", "pages", "--output", sampled).status == 0
    assert {*pq.read_table(sampled)["doc_id"].to_pylist()} == pages.keys() - removed

    decisions = ids(copy, "ingest", "sketch", "measure", "deduplicate", "decide", "score")
    summary = call("select", "--corpus", copy, "--json").json
    assert summary["removed"]["pages"] == len(removed)
    assert subset_pages(copy) == {doc_id: names for doc_id, names in before.items() if doc_id not in removed}
    assert ids(copy, "ingest", "sketch", "measure", "deduplicate", "decide", "score") == decisions
    assert call(*export).status == 0
    exported = {*pq.read_table(tmp_path / "out" / subset)["doc_id"].to_pylist()}
    assert exported == {doc_id for doc_id, names in before.items() if subset in names} - removed
    explained = call("explain", "--corpus", copy, "--doc-id", str(by_url), "--json").json
    assert explained["removed"] is True
    assert explained["subsets"] == []

    units = ids(copy, "select")
    assert call("select", "--corpus", copy).status == 0
    assert ids(copy, "select") == units

    assert call("discard", "--corpus", copy, "--stage", "tombstones").status == 0
    assert call("select", "--corpus", copy).status == 0
    assert subset_pages(copy) == before

    assert call(*arguments).status == 0
    later = call("ingest", "--corpus", copy, "--crawl", "later", *warcs, "--json").json
    assert later["passed_over"]["removed"] == len(removed)
    assert later["records"] == 2 * summary["records"]
    assert not {row["url"] for row in rows(copy, "pages") if row["doc_id"] not in pages} & {
        pages[doc_id]["url"] for doc_id in removed
    }


def test_nothing_to_remove_is_wrong_usage(built: Path) -> None:
    assert "--urls or --hosts; or --duplicates alone" in call("remove", "--corpus", built).complaint
    for nowhere in ("/nowhere/listed.jsonl", "s3://bucket/listed.jsonl"):
        complaint = call("remove", "--corpus", built, "--duplicates", nowhere).complaint
        assert f"--duplicates {nowhere}: give a file in an existing directory" in complaint
    assert "nowhere" in call("remove", "--corpus", built, "--urls", "/nowhere/urls").complaint
    there = built / "corpus.json"
    assert f"--duplicates {there}: exists already" in call("remove", "--corpus", built, "--duplicates", there).complaint
