"""Where Spark looks for `spark.read.format("warc")`: it imports the modules whose names begin with pyspark_."""

from swallow_spark.sources.warc import WarcDataSource as DefaultSource

__all__ = ["DefaultSource"]
