"""Verdicts of the preset on the pages that dedup keeps, crawl by crawl."""

from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame

from swallow_spark.corpus import Manifest
from swallow_spark.outputs import write
from swallow_spark.stages import decide as stage
from swallow_spark.stages.annotate import FEATURES
from swallow_spark.steps.blocklists import blocklists
from swallow_spark.steps.run import Run, complete, deduplicated
from swallow_spark.tables import GROUPS, PAGES, VERDICTS

_URLS: Final = pa.schema([PAGES.field(name) for name in ("doc_id", "host", "url")])


def decide(run: Run) -> None:
    """A verdict of the preset on each page that dedup keeps, crawl by crawl."""
    corpus, config = run.corpus, run.config
    kept = deduplicated(run)
    complete(run, "measure")
    table, work = f"verdicts/preset={config.rules.preset}", []
    for crawl_no, crawl in corpus.crawls().items():
        measured = corpus.manifests("measure", f"crawl={crawl}/")
        due = run.lineage.decide(crawl, measured, kept)
        if measured and not due.is_done(corpus):
            work.append((crawl_no, crawl, measured, due))
    if not work:
        return
    with run.progress.stage("decide"):
        listed = blocklists(run)
        for crawl_no, crawl, measured, due in work:
            rows = corpus.read(run.spark, "features", FEATURES, measured)
            survivors = corpus.read(run.spark, "groups", GROUPS, [_of_crawl(kept, crawl)])
            hosts = stage.blocked_hosts(rows.select("host").distinct(), listed.domains) if listed.domains else None
            urls = _blocked_urls(run, crawl, listed.prefixes) if listed.prefixes else None
            verdicts = stage.decide(rows, survivors, config.rules, domains=listed.own, hosts=hosts, urls=urls)
            outputs = corpus.outputs(due.unit, {table: VERDICTS}, {crawl_no: crawl})
            corpus.commit(*due, write(verdicts, table, outputs, sums=stage.sum_verdicts))


def _of_crawl(manifest: Manifest, crawl: str) -> Manifest:
    """The part of a corpus-wide unit that lies in one crawl."""
    files = [file for file in manifest.files if f"/crawl={crawl}/" in file.path]
    return manifest.model_copy(update={"files": tuple(files)})


def _blocked_urls(run: Run, crawl: str, prefixes: DataFrame) -> DataFrame:
    pages = run.corpus.read(run.spark, "pages", _URLS, run.corpus.manifests("ingest", f"crawl={crawl}/"))
    return stage.blocked_urls(pages, prefixes)
