"""spark-submit … jobs/score.py ARGUMENTS: the same as `swallow-spark score ARGUMENTS`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # this directory: its select.py would be taken for Python's own module

from swallow_spark.cli import main

main(["score", *sys.argv[1:]])
