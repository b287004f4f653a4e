"""spark-submit … jobs/compare.py ARGUMENTS: the same as `swallow-spark compare ARGUMENTS`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # this directory: its select.py would be taken for Python's own module

from swallow_spark.cli import main

main(["compare", *sys.argv[1:]])
