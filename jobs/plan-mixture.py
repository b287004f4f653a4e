"""spark-submit … jobs/plan-mixture.py ARGUMENTS: the same as `swallow-spark plan-mixture ARGUMENTS`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # this directory: its select.py would be taken for Python's own module

from swallow_spark.cli import main

main(["plan-mixture", *sys.argv[1:]])
