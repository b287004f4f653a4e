"""swallow-spark: Common Crawl to a Japanese pre-training corpus, on Spark."""

__version__ = "0.1.0"
