"""Samples of a corpus: which pages, and that it doesn't depend on how the work is cut up."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812
from runs import Built

from swallow_spark.errors import UsageError
from swallow_spark.stages.sample import tasks as stage
from swallow_spark.stages.sample.step import Of, Sample, check, write_pages, write_sample


def taken(run: Any, target: Path, number: int, **options: Any) -> list[dict[str, Any]]:
    write_sample(run, check(Sample(number, **options), run.config), target)
    return pq.read_table(target).to_pylist()


def test_a_uniform_sample_is_nested_ordered_and_the_pages_own_text(built: Built, tmp_path: Path) -> None:
    run = built.run
    accepted = {row["doc_id"] for row in _rows(run, "verdicts/", "decide").values() if row["accepted"]}
    small, large = (taken(run, tmp_path / f"{n}.parquet", n) for n in (5, 9))
    assert len(small) == 5
    assert [row["doc_id"] for row in large] == sorted(row["doc_id"] for row in large)
    assert {row["doc_id"] for row in small} < {row["doc_id"] for row in large} < accepted
    assert taken(run, tmp_path / "again.parquet", 5) == small
    other = taken(run, tmp_path / "seed.parquet", 5, seed=1)
    assert {row["doc_id"] for row in other} != {row["doc_id"] for row in small}
    pages = _rows(run, "pages", "ingest")
    for row in large:
        assert (row["text"], row["url"]) == (pages[row["doc_id"]]["text"], pages[row["doc_id"]]["url"])
        assert row["source"] == f"c: {row['url']}"
        assert row["stratum"] is None
    assert len(taken(run, tmp_path / "all.parquet", 10_000)) == len(accepted)


def _rows(run: Any, name: str, stage: str) -> dict[int, dict[str, Any]]:
    files = [file for manifest in run.corpus.manifests(stage) for file in manifest.files if file.table.startswith(name)]
    parts = [pq.read_table(run.corpus.root.local_path(file.path), partitioning=None).to_pylist() for file in files]
    return {row["doc_id"]: row for part in parts for row in part}


@pytest.mark.parametrize("of", ["pages", "survivors"])
def test_samples_of_other_pages_as_negatives(of: Of, built: Built, tmp_path: Path) -> None:
    found = taken(built.run, tmp_path / "a.parquet", 10_000, of=of, label="negative")
    expected = _rows(built.run, "pages", "ingest") if of == "pages" else _rows(built.run, "groups", "deduplicate")
    assert [row["doc_id"] for row in found] == sorted(expected)
    assert {row["label"] for row in found} == {"negative"}


def test_hosts_and_strata_take_turns(built: Built, tmp_path: Path) -> None:
    run = built.run
    pages = _rows(run, "pages", "ingest")
    hosts = Counter(
        pages[row["doc_id"]]["host"] for row in taken(run, tmp_path / "h.parquet", 12, of="pages", by="host")
    )
    available = Counter(page["host"] for page in pages.values())
    assert len(hosts) == min(12, len(available))
    most = max(hosts.values())
    assert all(count >= most - 1 or count == available[host] for host, count in hosts.items())
    scores = {row["doc_id"]: row["score"] for row in _rows(run, "scores/classifier=edu", "score").values()}
    strata = Counter(min(3, int(score / 3 * 4)) for score in scores.values())
    found = taken(run, tmp_path / "s.parquet", 10, by="score", classifier="edu", strata=4)
    chosen = Counter(min(3, int(scores[row["doc_id"]] / 3 * 4)) for row in found)
    most = max(chosen.values())
    assert all(chosen[s] >= most - 1 or chosen[s] == strata[s] for s in strata)
    for row in found:
        low, high = map(float, row["stratum"].split(" to "))
        assert low <= scores[row["doc_id"]] < high or scores[row["doc_id"]] == high == 3


def test_a_sample_does_not_depend_on_partitions(spark: SparkSession) -> None:
    rows = spark.range(1000).select(F.col("id").alias("doc_id"), (F.col("id") % 7).alias("kind"))
    for group in (None, F.col("kind")):
        found = [{row.doc_id for row in stage.choose(rows.repartition(n), 50, 3, group).collect()} for n in (1, 5)]
        assert found[0] == found[1]
        assert len(found[0]) == 50


def test_a_sample_that_is_there_is_not_taken_again(built: Built, tmp_path: Path) -> None:
    target = tmp_path / "a.parquet"
    taken(built.run, target, 3)
    before = target.stat()
    taken(built.run, target, 3)
    assert target.stat().st_ino == before.st_ino
    taken(built.run, target, 4)
    assert target.stat().st_ino != before.st_ino


def test_chosen_pages(built: Built, tmp_path: Path) -> None:
    doc_ids = sorted(_rows(built.run, "pages", "ingest"))[3:6]
    assert write_pages(built.run, [*doc_ids, doc_ids[0]], tmp_path / "a.parquet") == 3
    assert [row["doc_id"] for row in pq.read_table(tmp_path / "a.parquet").to_pylist()] == doc_ids
    with pytest.raises(UsageError, match="1 of the pages asked for are not there"):
        write_pages(built.run, [doc_ids[0], 5], tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"number": 0}, "--sample 0"),
        ({"strata": 0}, "--strata 0"),
        ({"by": "score", "of": "pages"}, "only accepted pages"),
        ({"by": "score"}, "--classifier : it is one of wiki, edu"),
        ({"by": "score", "classifier": "x"}, "--classifier x: it is one of wiki, edu"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str, built: Built) -> None:
    with pytest.raises(UsageError, match=message):
        check(Sample(**({"number": 1} | options)), built.run.config)
