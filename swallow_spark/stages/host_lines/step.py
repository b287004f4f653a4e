"""Which lines repeat across the accepted pages of their host, batch by batch; where that is configured."""

from collections.abc import Sequence
from functools import partial

from swallow_spark.config.select import HostLines
from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Manifest
from swallow_spark.corpus.lineage import Due
from swallow_spark.stages.host_lines import tasks as stage
from swallow_spark.stages.run import (
    Run,
    crawl_of,
    in_flight,
    verdicts,
)
from swallow_spark.tables import HOST_LINES, HOST_PAGES, PAGES, VERDICTS


def ship_repeated(run: Run, section: HostLines) -> lookups.Lookups:
    """The lines that repeat, for tasks that write subsets: their keys, and `host`. Counts those of the batches for
    which that isn't done; counts don't depend on the section, which another bound makes use of as they are."""
    counted = _counted(run)
    with run.progress.stage("host_lines"):
        lines = run.corpus.read(run.spark, "host_lines", HOST_LINES, counted)
        pages = run.corpus.read(run.spark, "host_pages", HOST_PAGES, counted)
        found = stage.repeated(lines, pages, section.min_pages, section.min_fraction)
        most = sum(manifest.counts.get("lines", 0) for manifest in counted) // section.min_pages
        return lookups.ship(found, run.corpus.root, "repeated", most)


def _counted(run: Run) -> Sequence[Manifest]:
    """The units of the counts; what is missing is counted."""
    corpus, found = run.corpus, list[Manifest]()
    for crawl, decided in verdicts(run).items():
        batches = corpus.manifests("ingest", f"crawl={crawl}/")
        due = [(pages, run.lineage.host_lines(pages, decided)) for pages in batches]
        pending = [one for one in due if not one[1].is_done(corpus)]
        if pending:
            with run.progress.stage("host_lines"):
                rows = corpus.read(run.spark, f"verdicts/preset={run.config.rules.preset}", VERDICTS, [decided])
                accepted = rows.where("accepted").select("doc_id")
                shipped = lookups.ship(accepted, corpus.root, "counted", decided.counts.get("accepted", 0))
                in_flight(run, partial(_count_batch, run, shipped), pending)
            corpus.root.delete(shipped.directory)
        found += [manifest for _, one in due if (manifest := corpus.manifest(one.unit))]
    return found


def _count_batch(run: Run, accepted: lookups.Lookups, item: tuple[Manifest, Due]) -> None:
    pages, due = item
    tables = {"host_lines": HOST_LINES, "host_pages": HOST_PAGES}
    outputs = run.corpus.outputs(due.unit, tables, crawl_of(run, pages))
    rows = run.corpus.scan(run.spark, "pages", PAGES, [pages])
    run.corpus.commit(*due, stage.count_lines(rows, accepted, outputs).collect())
