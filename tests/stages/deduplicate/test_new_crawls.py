"""Dedup crawl by crawl, of hundreds of small corpora at once, each cut into crawls at places of its own."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dedup_cases import Fall, cases, defined, in_order, length_of, sketch_row
from pyspark.sql import SparkSession
from runs import new_run, table

from swallow_spark.corpus import write as outputs
from swallow_spark.corpus.corpus import Unit
from swallow_spark.stages.deduplicate import step as steps
from swallow_spark.stages.deduplicate.step import deduplicate
from swallow_spark.stages.run import Run
from swallow_spark.tables import PAGES, SKETCHES, InputFile, pack_doc_id

CRAWLS = 4
CASES = cases()[:600]
RESULT = Unit("deduplicate", "corpus")
LENGTHS = pa.schema([PAGES.field("doc_id"), PAGES.field("num_chars")])


def crawls_of_pages(seed: int) -> list[list[int]]:
    """For each case the crawl_no of each of its pages, ascending."""
    rng = random.Random(seed)
    return [sorted(rng.randint(1, CRAWLS) for _ in case) for case in CASES]


def add_crawl(run: Run, crawl_no: int, rows: list[dict[str, Any]]) -> None:
    """A crawl with these sketches and lengths, as ingest and annotate leave one; nothing else of a page is needed."""
    corpus, name = run.corpus, f"m{crawl_no}"
    corpus.register(name, [InputFile("w", "/w", 1, None, "warc")])

    def commit(due: Any, table: str, schema: pa.Schema, **how: Any) -> Any:
        outputs = corpus.outputs(due.unit, {table: schema}, {crawl_no: name})
        with outputs.open(0) as opened:
            opened.write(table, pa.RecordBatch.from_pylist(rows, schema))
            return due.commit(corpus, opened.written().to_pylist(), **how)

    commit(run.lineage.made("ingest", f"crawl={name}/0"), "pages", LENGTHS, covers=[(0, 0)])
    (due,) = run.lineage.due("sketch", crawl=name)
    commit(due, "sketches", SKETCHES)


def interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dedup that ends in the middle, and cut its work into other passes."""
    left = 5

    def write(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        return outputs.write(*arguments, **named)

    execution = run.config.execution.model_copy(update={"bands_per_pass": 7})
    config = run.config.model_copy(update={"execution": execution})
    with monkeypatch.context() as patched:
        patched.setattr(steps, "write", write)
        patched.setattr(steps, "_ROWS_PER_PASS", 1)  # few pages go together else
        with pytest.raises(KeyboardInterrupt):
            deduplicate(replace(run, config=config))
    assert len(run.corpus.manifests("boundary")) == 4


def pretend_that_another_release_did(run: Run, name: str) -> None:
    """A boundary of the same name with other columns, and rows that would lead astray."""
    due = replace(run.lineage.due("deduplicate")[0], unit=Unit("boundary", name), meaning={})
    schema = pa.schema([("doc_id", pa.int64()), ("first", pa.int64())])
    files = run.corpus.outputs(due.unit, {"boundaries": schema}, {0: "all"})
    with files.open(0) as opened:
        opened.write("boundaries", pa.RecordBatch.from_pylist([{"doc_id": 1, "first": 0}], schema))
        due.commit(run.corpus, opened.written().to_pylist())


@pytest.mark.parametrize(
    ("policy", "prefer", "stable"),
    [
        ("bucket", "oldest", True),
        ("greedy", "oldest", True),
        ("greedy", "newest", False),
        ("component", "longest", False),
    ],
)
def test_crawl_by_crawl_is_all_at_once(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str, prefer: str, stable: bool
) -> None:
    """By any policy and order, and where a run is interrupted and goes on. Where it is stable, a crawl that comes later
    changes nothing of the earlier ones; else what it changes is counted."""
    settings = [f"dedup.policy={policy}", f"dedup.prefer={prefer}", "sketch.bands=10", "sketch.rows_per_band=80"]
    run = new_run(spark, tmp_path / "corpus", [], overrides=settings)
    splits = crawls_of_pages(seed=len(policy + prefer))

    def doc_id(number: int, page: int) -> int:
        return pack_doc_id(splits[number][page], number, 1000 * page)

    def expected(last: int) -> tuple[list[tuple[int, ...]], dict[int, int]]:
        """Rows of duplicates and groups, by the definition, of the pages of the crawls up to `last`."""
        falls, groups = [], {}
        for number, case in enumerate(CASES):
            order = [page for page in in_order(number, case, prefer) if splits[number][page] <= last]
            found: dict[int, Fall] = defined(case, order, policy, None)
            counts = Counter(fall.representative for fall in found.values())
            for page, fall in found.items():
                falls.append((*(doc_id(number, p) for p in (page, fall.witness, fall.representative)), fall.band))
            groups |= {doc_id(number, page): counts[page] for page in order if page not in found}
        return sorted(falls), groups

    before = None
    for crawl_no in range(1, CRAWLS + 1):
        rows = [
            sketch_row(number, buckets, doc_id(number, page)) | {"num_chars": length_of(number, buckets)}
            for number, case in enumerate(CASES)
            for page, buckets in enumerate(case)
            if splits[number][page] == crawl_no
        ]
        assert len(rows) > 500
        random.Random(crawl_no).shuffle(rows)
        add_crawl(run, crawl_no, rows)
        if crawl_no % 2:  # some come two at once, some to a result
            continue
        if before:
            interrupt(run, monkeypatch)
            pretend_that_another_release_did(run, "copies")
            assert run.corpus.manifest(RESULT) == before[0], "what was found before stands until all is done"
        deduplicate(run)
        assert not run.corpus.manifests("boundary")
        falls, groups = expected(crawl_no)
        names = ("doc_id", "witness", "representative", "band")
        found = [tuple(row[name] for name in names) for row in table(run, "duplicates", "deduplicate")]
        assert sorted(found) == falls
        assert {row["doc_id"]: row["num_duplicates"] for row in table(run, "groups", "deduplicate")} == groups
        now = run.corpus.manifest(RESULT)
        assert now
        assert len(set(now.details["kept"].values())) == crawl_no
        if before:
            manifest, old_falls, old_groups = before
            assert not any(run.corpus.root.exists(file.path) for file in manifest.files), "replaced as a whole"
            reversed_ = {
                "kept_before_dropped_now": len(old_groups.keys() & {fall[0] for fall in falls}),
                "dropped_before_kept_now": len(groups.keys() & {fall[0] for fall in old_falls}),
            }
            assert reversed_.items() <= now.counts.items()
            same_kept = manifest.details["kept"].items() <= now.details["kept"].items()
            assert same_kept == stable
            assert (reversed_["kept_before_dropped_now"] > 50) == (not stable)
            # Only where a page falls by kept ones alone can a page that fell be kept again.
            assert (reversed_["dropped_before_kept_now"] > 0) == (policy == "greedy" and not stable)
        before = now, falls, groups
    assert before
