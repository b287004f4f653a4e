"""spark-submit … jobs/ingest.py ARGUMENTS: the same as `swallow-spark ingest ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["ingest", *sys.argv[1:]])
