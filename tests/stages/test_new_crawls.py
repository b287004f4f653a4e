"""Dedup crawl by crawl, of well over a thousand small corpora at once, each cut into crawls at places of its own."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from runs import new_run, table
from test_deduplicate import cases, defined, key, sketch_of

from swallow_spark.steps.deduplicate import deduplicate
from swallow_spark.steps.run import Run
from swallow_spark.tables import SKETCHES, InputFile, pack_doc_id

CRAWLS = 4


def crawls_of_pages(seed: int) -> list[list[int]]:
    """For each case the crawl_no of each of its pages, ascending."""
    rng = random.Random(seed)
    return [sorted(rng.randint(1, CRAWLS) for _ in case) for case in cases()]


def add_crawl(run: Run, crawl_no: int, rows: list[dict[str, Any]]) -> None:
    """A crawl with these sketches, as ingest and annotate leave one; pages and their text are not needed."""
    corpus, name = run.corpus, f"m{crawl_no}"
    corpus.register(name, [InputFile("w", "/w", 1, None, "warc")])
    pages = corpus.commit(*run.lineage.ingest(f"crawl={name}/0"), [], covers=[(0, 0)])
    due = run.lineage.annotate("sketch", pages)
    outputs = corpus.outputs(due.unit, {"sketches": SKETCHES}, {crawl_no: name})
    with outputs.open(0) as opened:
        opened.write("sketches", pa.RecordBatch.from_pylist(rows, SKETCHES))
        corpus.commit(*due, opened.written().to_pylist())


@pytest.mark.parametrize("policy", ["bucket", "greedy"])
def test_crawl_by_crawl_is_all_at_once(spark: SparkSession, tmp_path: Path, policy: str) -> None:
    overrides = [f"dedup.policy={policy}", "sketch.bands=10", "sketch.rows_per_band=80"]
    run = new_run(spark, tmp_path / "corpus", [], overrides=overrides)
    splits = crawls_of_pages(seed=len(policy))
    ids = {
        (number, page): pack_doc_id(crawl_no, number, 1000 * page)
        for number, split in enumerate(splits)
        for page, crawl_no in enumerate(split)
    }
    falls, kept = {}, {}
    for number, case in enumerate(cases()):
        expected = defined(case, list(range(len(case))), policy, None)
        for page in range(len(case)):
            if fall := expected.get(page):
                pages = [ids[number, one] for one in (page, fall.witness, fall.representative)]
                falls[pages[0]] = (*pages, fall.band)
            else:
                kept[ids[number, page]] = [ids[number, p] for p, f in expected.items() if f.representative == page]

    sets: dict[str, str] = {}
    for crawl_no in range(1, CRAWLS + 1):
        rows = [
            {
                "doc_id": ids[number, page],
                "bands": [key(number, band, bucket) for band, bucket in enumerate(buckets)],
                "sketch": sketch_of(buckets),
                "text_hash": hash((number, buckets)),
            }
            for number, case in enumerate(cases())
            for page, buckets in enumerate(case)
            if splits[number][page] == crawl_no
        ]
        assert len(rows) > 1000
        random.Random(crawl_no).shuffle(rows)
        add_crawl(run, crawl_no, rows)
        if crawl_no % 2:  # some come two at once, some to a result
            continue
        deduplicate(run)
        there = range((crawl_no + 1) << 53)
        names = ("doc_id", "witness", "representative", "band")
        found = [tuple(row[name] for name in names) for row in table(run, "duplicates", "deduplicate")]
        assert sorted(found) == sorted(fall for fall in falls.values() if fall[0] in there)
        groups = {row["doc_id"]: row["num_duplicates"] for row in table(run, "groups", "deduplicate")}
        assert groups == {doc_id: sum(d in there for d in of) for doc_id, of in kept.items() if doc_id in there}
        (manifest,) = run.corpus.manifests("deduplicate")
        now = manifest.details["kept"]
        assert sets.items() <= now.items(), "of earlier crawls the same pages are kept"
        assert len(set(now.values())) == crawl_no, crawl_no
        assert manifest.counts.get("kept_before_dropped_now", 0) == 0
        assert manifest.counts.get("dropped_before_kept_now", 0) == 0
        sets = now
