"""swallow-spark: Common Crawl to a Japanese pre-training corpus, on Spark."""

from swallow_spark.compiled import choose_directory as _choose_directory

__version__ = "0.1.0"

_choose_directory()  # before Numba is imported, in executors as well
