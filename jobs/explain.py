"""spark-submit … jobs/explain.py ARGUMENTS: the same as `swallow-spark explain ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["explain", *sys.argv[1:]])
