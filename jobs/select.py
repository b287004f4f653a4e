"""spark-submit … jobs/select.py ARGUMENTS: the same as `swallow-spark select ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["select", *sys.argv[1:]])
