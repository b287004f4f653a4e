"""Decides by the preset's rules on the pages that dedup keeps, crawl by crawl."""

from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.decide import Rules
from swallow_spark.corpus.write import write
from swallow_spark.kernels.text import blocklists as kernel
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.stages.decide import tasks
from swallow_spark.stages.decide.blocklists import blocklists
from swallow_spark.stages.deduplicate.step import kept_of
from swallow_spark.stages.run import Run, of_crawl
from swallow_spark.stages.stage import Source, Stage
from swallow_spark.tables import CONTAMINATION, GROUPS, PAGES, VERDICTS

_MOST_BROADCAST: Final = 200_000  # blocked hosts: some 20 MB, which the driver and each executor hold
_URLS: Final = pa.schema([PAGES.field(name) for name in ("doc_id", "host", "url")])


def decide(run: Run) -> None:
    """Writes a verdict on each page that dedup keeps, for the crawls whose verdicts are missing or out of date."""
    corpus, config = run.corpus, run.config
    (kept,) = run.lineage.finished("deduplicate")
    for stage in ("measure", *(["decontaminate"] if config.decontamination.against else [])):
        run.lineage.finished(stage)
    pending = [due for due in run.lineage.due("decide") if not due.is_done(corpus)]
    if not pending:
        return
    numbers = {crawl: number for number, crawl in corpus.crawls().items()}
    with run.progress.stage("decide"):
        listed = blocklists(run)
        for due in pending:
            rows = corpus.read(run.spark, "features", _compared(config.rules), due.sources["measure"])
            survivors = corpus.read(run.spark, "groups", GROUPS, [of_crawl(kept, due.crawl)])
            hosts = _blocked_hosts(run, rows, listed.domains) if listed.domains else None
            urls = _blocked_urls(run, due.crawl, listed.prefixes) if listed.prefixes else None
            contaminated = due.sources.get("decontaminate")
            shares = corpus.read(run.spark, "contamination", CONTAMINATION, contaminated) if contaminated else None
            marked = shares.where(shares.fraction >= config.decontamination.rejected_from) if shares else None
            verdicts = tasks.decide(rows, survivors, config.rules, listed.own, hosts, urls, marked)
            (table,) = tables = due.stage.tables(config, due.variant)
            outputs = corpus.outputs(due.unit, tables, {numbers[due.crawl]: due.crawl})
            due.commit(corpus, write(verdicts, table, outputs, sums=tasks.sum_verdicts))


def _compared(rules: Rules) -> pa.Schema:
    """The columns of `features` that the rules use: a third to a half of them in Swallow's presets."""
    wanted = {"doc_id", "host", "num_chars", *rules.bounds}
    return pa.schema([field for field in FEATURES if field.name in wanted])


def _blocked_hosts(run: Run, rows: DataFrame, domains: DataFrame) -> DataFrame:
    """The blocked ones of the rows' hosts, broadcast if they are not too many."""
    hosts = tasks.blocked_hosts(rows.select("host").distinct(), domains)
    first = hosts.limit(_MOST_BROADCAST + 1).toArrow()
    if first.num_rows > _MOST_BROADCAST:
        return hosts
    return F.broadcast(run.spark.createDataFrame(first))


def _blocked_urls(run: Run, crawl: str, prefixes: DataFrame) -> DataFrame:
    pages = run.corpus.read(run.spark, "pages", _URLS, run.corpus.manifests("ingest", f"crawl={crawl}/"))
    return tasks.blocked_urls(pages, prefixes)


STAGE: Final = Stage(
    "decide",
    each="crawl",
    prefix="preset={}/",
    variants=lambda config: (config.rules.preset,),
    sources=(
        Source("measure"),
        Source("decontaminate", when=lambda config: bool(config.decontamination.against)),
        Source("deduplicate", part=kept_of, in_fingerprint=False),
    ),
    run=decide,
    tables=lambda config, preset: {f"verdicts/preset={preset}": VERDICTS},
    meaning=lambda config, _: config.rules.meaning(),
    versions=lambda config, _: {"decide": 1, "blocklists": kernel.VERSION},
    also=lambda config: [f"{config.decontamination.rejected_from}"] if config.decontamination.against else [],
)
