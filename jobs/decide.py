"""spark-submit … jobs/decide.py ARGUMENTS: the same as `swallow-spark decide ARGUMENTS`."""

import sys

from swallow_spark.cli import main

main(["decide", *sys.argv[1:]])
