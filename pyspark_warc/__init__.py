"""Where Spark looks for `spark.read.format("warc")`: it imports the modules whose names begin with pyspark_."""

from swallow_spark.stages.ingest.warc_source import WarcDataSource as DefaultSource

__all__ = ["DefaultSource"]
