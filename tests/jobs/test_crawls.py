"""Crawls that come later, go, and come again."""

import json
from pathlib import Path

import pytest
from commands import call
from corpora import ids, rows, same_tables, snapshot, tables
from pyspark.sql import SparkSession

EARLY = ("ingest", "sketch", "measure")
NEW = "これは新しい月の頁である。前の月にはまだ無かった話を、ここに初めて書いておく。読む人は少ないかもしれない。"


@pytest.fixture
def texts(built: Path, tmp_path: Path) -> Path:
    """Inputs of a new crawl: three accepted pages that the corpus has, and two that it hasn't."""
    accepted = {row["doc_id"] for row in rows(built, "verdicts/preset=swallow-v2") if row["accepted"]}
    old = [row["text"] for row in rows(built, "pages") if row["doc_id"] in accepted][:3]
    new = ["".join(f"{NEW[at:]}第{at}節。" for at in range(start, start + 20)) for start in (0, 20)]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in (*old, *new)), encoding="utf-8")
    return path


def follow(corpus: Path, *stages: str) -> None:
    for stage in stages:
        assert call(stage, "--corpus", corpus).status == 0, stage


def test_a_new_crawl_leaves_verdicts_and_scores_of_old_ones(
    spark: SparkSession, copy: Path, built: Path, texts: Path
) -> None:
    """And when it is taken out, all is as before; added again, all is as with it, and by given thresholds, the subsets
    of old ones stay too."""
    old, subsets = ids(copy, *EARLY, "decide", "score"), snapshot(copy / "subsets")
    assert call("import", "--corpus", copy, "--crawl", "d", texts).status == 0
    follow(copy, "annotate", "deduplicate")
    summary = call("decide", "--corpus", copy, "--json").json
    follow(copy, "score")
    assert summary["dedup"]["kept_before_dropped_now"] == summary["dedup"]["dropped_before_kept_now"] == 0
    assert old.items() <= ids(copy, *EARLY, "decide", "score").items()
    assert snapshot(copy / "subsets") == subsets, "until select runs again"
    follow(copy, "select")
    both = tables(copy)
    duplicates = [row["doc_id"] for row in both["duplicates"] if row["doc_id"] >> 53 == 2]
    assert len(duplicates) == 3
    of_old = {row["witness"] for row in both["duplicates"] if row["doc_id"] in duplicates}
    assert {doc_id >> 53 for doc_id in of_old} == {1}

    assert "no such crawl" in call("discard", "--corpus", copy, "--crawl", "e").complaint
    subsets = snapshot(copy / "subsets")
    assert call("discard", "--corpus", copy, "--crawl", "d").status == 0
    assert {name: content for name, content in subsets.items() if "crawl=d" not in name} == snapshot(copy / "subsets")
    left = {path.relative_to(copy).parts[0] for path in copy.rglob("*.parquet") if "crawl=d" in path.parts}
    assert left == {"duplicates", "groups"}, "numbers of pages, until dedup runs again"
    assert "first `swallow-spark deduplicate`" in call("decide", "--corpus", copy).complaint
    follow(copy, "deduplicate", "decide", "score", "select")
    assert old.items() <= ids(copy, *EARLY, "decide", "score").items()
    same_tables(copy, built)

    # By the bar of this corpus: what it has stays as it is, and the new crawl's pages are measured by it.
    thresholds = copy / "subsets" / "thresholds.json"
    assert call("select", "--corpus", copy, "--thresholds", thresholds).status == 0
    bar = json.loads(thresholds.read_text())["edu"]
    units, subsets = ids(copy, "select"), snapshot(copy / "subsets", "thresholds.json")
    assert call("import", "--corpus", copy, "--crawl", "d", texts).status == 0
    follow(copy, "annotate", "deduplicate", "decide", "score", "select")
    assert {name: id_ for name, id_ in units.items() if "crawl=" in name}.items() <= ids(copy, "select").items()
    assert subsets.items() <= snapshot(copy / "subsets", "thresholds.json").items()
    again = tables(copy)
    assert [again[table] == found for table, found in both.items() if not table.startswith("subsets/")].count(
        False
    ) == 0
    scores = {row["doc_id"]: row["score"] for row in again["scores/classifier=edu"]}
    top = {row["doc_id"] for row in again["subsets/edu-top10"]}
    middle = {row["doc_id"] for row in again["subsets/edu-top10-30"]}
    assert top == {doc_id for doc_id, score in scores.items() if score >= bar["top10"]["score"]}
    assert top | middle == {doc_id for doc_id, score in scores.items() if score >= bar["top10-30"]["score"]}
