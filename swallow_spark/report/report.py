"""The run report of a corpus: one self-contained HTML page."""

from typing import Final

from pyspark.sql import SparkSession

from swallow_spark.report.gather import gather
from swallow_spark.session.progress import Progress
from swallow_spark.stages.stage import Lineage

VERSION: Final = 4  # raise it if the page of an unchanged corpus looks different
PATH: Final = "report/index.html"


def write_report(spark: SparkSession, lineage: Lineage, progress: Progress | None = None) -> str:
    """Writes the report of a corpus as far as it is built. Returns its path below the corpus root."""
    # Here because it imports Matplotlib, which takes most of a second.
    from swallow_spark.report.render import render

    html = render(gather(spark, lineage, progress))
    # A lone surrogate can't be written in UTF-8; none comes from Parquet, but a file's name may hold one.
    lineage.corpus.root.write_atomically(PATH, html.encode("utf-8", "replace"))
    return PATH
