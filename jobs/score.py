"""spark-submit … jobs/score.py ARGUMENTS: the same as `swallow-spark score ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["score", *sys.argv[1:]])
