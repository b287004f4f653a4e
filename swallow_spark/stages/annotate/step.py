"""Sketches and features of the pages, batch by batch."""

from functools import partial

from swallow_spark.corpus.corpus import (
    Manifest,
    Unit,
)
from swallow_spark.corpus.lineage import Due
from swallow_spark.stages.annotate import tasks as stage
from swallow_spark.stages.run import (
    Run,
    crawl_of,
    in_flight,
)
from swallow_spark.tables import PAGES


def annotate(run: Run, *, sketch: bool = True, measure: bool = True) -> None:
    """Sketches and features of the batches of pages that lack them, in one scan where both are missing."""
    corpus, work = run.corpus, []
    for pages in corpus.manifests("ingest"):
        due: dict[str, Due] = {}
        if sketch:
            due["sketches"] = run.lineage.annotate("sketch", pages)
        if measure:
            due["features"] = run.lineage.annotate("measure", pages)
        missing = {table: one for table, one in due.items() if not one.is_done(corpus)}
        if missing:
            work.append((pages, missing))
    if work:
        with run.progress.stage("annotate"):
            in_flight(run, partial(_annotate_batch, run), work)


def _annotate_batch(run: Run, item: tuple[Manifest, dict[str, Due]]) -> None:
    pages, missing = item
    config, corpus = run.config, run.corpus
    kernels = stage.Kernels(
        config.sketch if "sketches" in missing else None, config.features if "features" in missing else None
    )
    tables = {table: stage.TABLES[table] for table in missing}
    outputs = corpus.outputs(Unit("annotate", pages.unit), tables, crawl_of(run, pages))
    written = stage.annotate(corpus.scan(run.spark, "pages", PAGES, [pages]), kernels, outputs).collect()
    for table, due in missing.items():
        corpus.commit(*due, [row for row in written if row["table"] == table])
