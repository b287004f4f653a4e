"""Verdicts of the preset on the pages that dedup keeps, crawl by crawl."""

from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark.config.decide import Rules
from swallow_spark.corpus.write import write
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.stages.decide import tasks as stage
from swallow_spark.stages.decide.blocklists import blocklists
from swallow_spark.stages.run import (
    Run,
    complete,
    contamination,
    deduplicated,
    of_crawl,
)
from swallow_spark.tables import CONTAMINATION, GROUPS, PAGES, VERDICTS

_URLS: Final = pa.schema([PAGES.field(name) for name in ("doc_id", "host", "url")])


def decide(run: Run) -> None:
    """A verdict of the preset on each page that dedup keeps, crawl by crawl."""
    corpus, config = run.corpus, run.config
    kept = deduplicated(run)
    complete(run, "measure")
    table, work = f"verdicts/preset={config.rules.preset}", []
    for crawl_no, crawl in corpus.crawls().items():
        measured = corpus.manifests("measure", f"crawl={crawl}/")
        contaminated = contamination(run, crawl, kept)
        due = run.lineage.decide(crawl, measured, kept, contaminated)
        if measured and not due.is_done(corpus):
            work.append((crawl_no, crawl, measured, contaminated, due))
    if not work:
        return
    with run.progress.stage("decide"):
        listed = blocklists(run)
        for crawl_no, crawl, measured, contaminated, due in work:
            rows = corpus.read(run.spark, "features", _compared(config.rules), measured)
            survivors = corpus.read(run.spark, "groups", GROUPS, [of_crawl(kept, crawl)])
            hosts = stage.blocked_hosts(rows.select("host").distinct(), listed.domains) if listed.domains else None
            urls = _blocked_urls(run, crawl, listed.prefixes) if listed.prefixes else None
            shares = corpus.read(run.spark, "contamination", CONTAMINATION, contaminated) if contaminated else None
            verdicts = stage.decide(
                rows,
                survivors,
                config.rules,
                domains=listed.own,
                hosts=hosts,
                urls=urls,
                contaminated=shares.where(shares.fraction >= config.decontamination.rejected_from) if shares else None,
            )
            outputs = corpus.outputs(due.unit, {table: VERDICTS}, {crawl_no: crawl})
            corpus.commit(*due, write(verdicts, table, outputs, sums=stage.sum_verdicts))


def _compared(rules: Rules) -> pa.Schema:
    """The columns of `features` that verdicts follow from: a third to a half of them, by Swallow's presets."""
    wanted = {"doc_id", "host", "num_chars", *rules.bounds}
    return pa.schema([field for field in FEATURES if field.name in wanted])


def _blocked_urls(run: Run, crawl: str, prefixes: DataFrame) -> DataFrame:
    pages = run.corpus.read(run.spark, "pages", _URLS, run.corpus.manifests("ingest", f"crawl={crawl}/"))
    return stage.blocked_urls(pages, prefixes)
