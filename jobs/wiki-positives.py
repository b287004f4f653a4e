"""spark-submit … jobs/wiki-positives.py ARGUMENTS: the same as `swallow-spark wiki-positives ARGUMENTS`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # this directory: its select.py would be taken for Python's own module

from swallow_spark.cli import main

main(["wiki-positives", *sys.argv[1:]])
