"""The run report of a corpus: one self-contained HTML page."""

import platform
import re
from typing import Any, Final

import pyspark
from pyspark.sql import SparkSession

from swallow_spark import __version__
from swallow_spark.config.load import Config
from swallow_spark.corpus.summary import summarise
from swallow_spark.report import counts, samples
from swallow_spark.report.change import change
from swallow_spark.report.contents import Contents
from swallow_spark.report.finished import Finished, without_secrets
from swallow_spark.report.resources import resources
from swallow_spark.report.sizes import overlaps, sizes
from swallow_spark.report.state import runs, stages
from swallow_spark.session.progress import Progress
from swallow_spark.stages.stage import Lineage

VERSION: Final = 4  # raise it if the page of an unchanged corpus looks different
PATH: Final = "report/index.html"
_PAGE_KEYS: Final = {"doc_id", "witness"}
_SECRET: Final = re.compile(r"secret|passw|token|credential|access\.?key", re.IGNORECASE)


def write_report(spark: SparkSession, lineage: Lineage, progress: Progress | None = None) -> str:
    """Writes the report of a corpus as far as it is built. Returns its path below the corpus root."""
    # Here because it imports Matplotlib, which takes most of a second.
    from swallow_spark.report.render import render

    html = render(gather(spark, lineage, progress))
    # A lone surrogate can't be written in UTF-8; none comes from Parquet, but a file's name may hold one.
    lineage.corpus.root.write_atomically(PATH, html.encode("utf-8", "replace"))
    return PATH


def gather(spark: SparkSession, lineage: Lineage, progress: Progress | None = None) -> Contents:
    """The contents of a corpus's report, as far as its stages are done; `progress` is that of the current run."""
    corpus, config = lineage.corpus, lineage.config
    have = Finished(spark, lineage)
    chosen, largest = samples.chosen(have), samples.largest_groups(have)
    doc_ids = {row[key] for rows in (*chosen.values(), largest) for row in rows for key in row.keys() & _PAGE_KEYS}
    pages = samples.pages_of(have, doc_ids)
    return Contents(
        corpus=without_secrets(corpus.root.location),
        funnel=counts.funnel(have),
        ledger=counts.ledger(have),
        stages=stages(lineage, have.files_pending),
        configuration=_configuration(config),
        versions={
            "swallow-spark": __version__,
            "Spark": spark.version,
            "PySpark": pyspark.__version__,
            "Python": platform.python_version(),
        },
        runs=runs(corpus),
        dedup=counts.dedup(have, largest, pages) if have.deduplicated else None,
        rules=counts.rules(have) if have.decided else None,
        scores=counts.scores(have),
        subsets=counts.subsets(have),
        sizes=sizes(have) if have.ingested else None,
        overlaps=overlaps(have),
        samples=samples.samples(have, chosen, pages),
        sample_seed=config.report.seed,
        sources=counts.sources(have) if have.ingested else None,
        change=change(corpus, summarise(corpus, config.rules.preset, config.classifiers)),
        resources=tuple(resources(lineage, *((progress.seconds, progress.resources) if progress else ({}, {})))),
    )


def _configuration(config: Config) -> dict[str, Any]:
    """The configuration. Reports are passed around, so they leave out settings of Spark that are secrets."""
    shown = config.model_dump(mode="json", exclude_none=True, exclude={"monitoring"})  # may hold secret addresses
    sections = {key: value for key, value in shown.items() if value}
    if config.spark:
        sections["spark"] = {key: "(secret)" if _SECRET.search(key) else value for key, value in config.spark.items()}
    return sections
