"""spark-submit … jobs/sketch.py ARGUMENTS: the same as `swallow-spark sketch ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["sketch", *sys.argv[1:]])
