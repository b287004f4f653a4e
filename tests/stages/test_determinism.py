"""The same corpus, row for row, however the work is cut up."""

import json
from pathlib import Path

from runs import Built, MakeRun, settings, table

from swallow_spark import pipeline

TABLES = {
    "pages": "ingest",
    "failures": "ingest",
    "ledger": "ingest",
    "sketches": "sketch",
    "features": "measure",
    "duplicates": "deduplicate",
    "groups": "deduplicate",
    "verdicts/preset=swallow-v2": "decide",
    "scores/classifier=wiki": "score",
    "scores/classifier=edu": "score",
    "subsets/wiki-top10": "select",
    "subsets/wiki-top10-30": "select",
    "subsets/edu-top10": "select",
    "subsets/edu-top10-30": "select",
}


def test_same_rows_however_the_work_is_cut(built: Built, make_run: MakeRun, slices: list[Path]) -> None:
    names = [f"execution.{name}" for name in ("shuffle_partitions=4", "bands_per_pass=17", "files_per_batch=1")]
    other = make_run(slices[::-1], overrides=names)
    values = {
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1",
        "spark.sql.adaptive.enabled": "false",
    }
    assert other.spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch") == "1000"  # as `built` was
    with settings(other.spark, values):
        pipeline.build(other, "c", until="select")
    rows = {}
    for name, stage in TABLES.items():
        rows[name] = table(built.run, name, stage)
        assert rows[name] == table(other, name, stage), name
    assert all(rows.values()), "the slices must fill each table, else this compares nothing"
    runs = (built.run, other)
    assert [len(run.corpus.manifests("ingest")) for run in runs] == [1, 3]
    thresholds = [run.corpus.root.read_bytes("subsets/thresholds.json") for run in runs]
    assert thresholds[0] == thresholds[1]
    assert set(json.loads(thresholds[0])) == {"wiki", "edu"}
