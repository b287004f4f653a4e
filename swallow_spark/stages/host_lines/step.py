"""Counts of the lines of each host's accepted pages, batch by batch, and which of them repeat."""

from functools import partial
from typing import Final

from pyspark.sql import DataFrame

from swallow_spark.config.select import HostLines
from swallow_spark.corpus import lookups
from swallow_spark.kernels.text import host_lines
from swallow_spark.stages.host_lines import tasks
from swallow_spark.stages.run import Batch, Run, each_batch, ship_accepted
from swallow_spark.stages.stage import Source, Stage
from swallow_spark.tables import HOST_LINES, HOST_PAGES


def ship_repeated(run: Run, section: HostLines) -> lookups.Lookups:
    """The keys of lines that repeat, and `host`, for tasks that write subsets. Counts the lines of batches that lack
    counts, which don't depend on the section's bounds."""
    run.lineage.finished("decide")

    def work(batch: Batch, accepted: lookups.Lookups) -> DataFrame:
        return tasks.count_lines(batch.rows, accepted, batch.outputs)

    each_batch(run, "host_lines", run.lineage.due("host_lines"), work, partial(ship_accepted, run))
    counted = run.lineage.finished("host_lines")
    with run.progress.stage("host_lines"):
        lines = run.corpus.read(run.spark, "host_lines", HOST_LINES, counted)
        pages = run.corpus.read(run.spark, "host_pages", HOST_PAGES, counted)
        found = tasks.repeated(lines, pages, section.min_pages, section.min_fraction)
        most = sum(manifest.counts.get("lines", 0) for manifest in counted) // section.min_pages
        return lookups.ship(found, run.corpus.root, "repeated", most)


STAGE: Final = Stage(
    "host_lines",
    each="batch",
    sources=(Source("ingest"), Source("decide", in_fingerprint=False)),
    command="select",
    wanted=lambda config, _: bool(config.subsets and config.cleanup.host_lines),
    reported=False,  # new subsets follow
    tables=lambda config, _: {"host_lines": HOST_LINES, "host_pages": HOST_PAGES},
    versions=lambda config, _: {"host_lines": host_lines.VERSION},
)
