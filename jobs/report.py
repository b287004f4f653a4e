"""spark-submit … jobs/report.py ARGUMENTS: the same as `swallow-spark report ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["report", *sys.argv[1:]])
