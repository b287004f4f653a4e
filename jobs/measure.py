"""spark-submit … jobs/measure.py ARGUMENTS: the same as `swallow-spark measure ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["measure", *sys.argv[1:]])
