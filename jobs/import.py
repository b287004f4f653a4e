"""spark-submit … jobs/import.py ARGUMENTS: the same as `swallow-spark import ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["import", *sys.argv[1:]])
