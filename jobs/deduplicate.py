"""spark-submit … jobs/deduplicate.py ARGUMENTS: the same as `swallow-spark deduplicate ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["deduplicate", *sys.argv[1:]])
