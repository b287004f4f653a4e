"""The run report of a corpus: one HTML page that needs nothing else."""

from typing import Final

from pyspark.sql import SparkSession

from swallow_spark.report.gather import gather
from swallow_spark.session.progress import Progress
from swallow_spark.stages.stage import Lineage

VERSION: Final = 4  # raise it where the page of a corpus would look different
PATH: Final = "report/index.html"


def write_report(spark: SparkSession, lineage: Lineage, progress: Progress | None = None) -> str:
    """Writes the report of what is there of a corpus; its path below the corpus root."""
    # Here, because it brings Matplotlib: most of a second that other commands can do without.
    from swallow_spark.report.render import render

    html = render(gather(spark, lineage, progress))
    # A lone surrogate can't be written in UTF-8; none comes from Parquet, but a file's name may hold one.
    lineage.corpus.root.write_atomically(PATH, html.encode("utf-8", "replace"))
    return PATH
