"""Sketches and features of the pages, batch by batch."""

from functools import partial

from swallow_spark.corpus import Manifest, Unit, lineage
from swallow_spark.sections.section import Section
from swallow_spark.stages import annotate as stage
from swallow_spark.steps.run import Fingerprints, Run, crawl_of, in_flight
from swallow_spark.tables import PAGES


def annotate(run: Run, *, sketch: bool = True, measure: bool = True) -> None:
    """Sketches and features of the batches of pages that lack them, in one scan where both are missing."""
    corpus, config = run.corpus, run.config
    prints = Fingerprints(config)
    work = []
    for pages in corpus.manifests("ingest"):
        upstream = lineage([pages])
        units: dict[str, tuple[Unit, str, Section]] = {}
        if sketch and not corpus.is_finished(Unit("sketch", pages.unit), prints.sketch, upstream):
            units["sketches"] = (Unit("sketch", pages.unit), prints.sketch, config.sketch)
        if measure and not corpus.is_finished(Unit("measure", pages.unit), prints.measure, upstream):
            units["features"] = (Unit("measure", pages.unit), prints.measure, config.features)
        if units:
            work.append((pages, units))
    if work:
        with run.progress.stage("annotate"):
            in_flight(run, partial(_annotate_batch, run), work)


def _annotate_batch(run: Run, item: tuple[Manifest, dict[str, tuple[Unit, str, Section]]]) -> None:
    pages, units = item
    config, corpus = run.config, run.corpus
    kernels = stage.Kernels(
        config.sketch if "sketches" in units else None, config.features if "features" in units else None
    )
    tables = {table: stage.TABLES[table] for table in units}
    outputs = corpus.outputs(Unit("annotate", pages.unit), tables, crawl_of(run, pages))
    written = stage.annotate(corpus.read(run.spark, "pages", PAGES, [pages]), kernels, outputs).collect()
    for table, (unit, print_, section) in units.items():
        rows = [row for row in written if row["table"] == table]
        corpus.commit(unit, print_, section.meaning(), lineage([pages]), rows)
