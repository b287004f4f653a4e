"""spark-submit … jobs/build.py ARGUMENTS: the same as `swallow-spark build ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["build", *sys.argv[1:]])
