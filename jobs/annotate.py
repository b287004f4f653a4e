"""spark-submit … jobs/annotate.py ARGUMENTS: the same as `swallow-spark annotate ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["annotate", *sys.argv[1:]])
