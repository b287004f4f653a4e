"""The process that Spark forks its Python workers from, on each executor: PySpark's, with what tasks use imported.

So a new worker has it at once, and the workers of a machine share the memory of code. What is imported may start no
thread that tasks wait for: a fork has only the thread that forks. (OpenBLAS and jemalloc start theirs again.)
"""

import importlib
import pkgutil
import re
import runpy
import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from typing import Any, Final

_OF_SPARK: Final = re.compile(r"pyspark\.zip|py4j-.*-src\.zip")


def in_order(path: list[str]) -> list[str]:
    """The path of a worker, on which Spark's own zips come first, with these last if the same PySpark is installed.
    They have no byte code: each process would compile their modules. (Another PySpark doesn't understand this Spark.)
    """
    zips = [place for place in path if _OF_SPARK.fullmatch(place.rpartition("/")[2])]
    others = [place for place in path if place not in zips]
    return [*others, *zips] if zips and _version(others) == _version(zips) else path


def _version(path: list[str]) -> str | None:
    """The source of pyspark.version on this path; None if there is none."""
    found = PathFinder.find_spec("pyspark", path)
    inside = PathFinder.find_spec("version", found.submodule_search_locations) if found else None
    loader: Any = inside.loader if inside else None
    return loader.get_source("version") if loader else None


sys.path[:] = in_order(sys.path)

from numba.core.registry import cpu_target  # noqa: E402

from swallow_spark import stages  # noqa: E402

for _module in pkgutil.walk_packages(stages.__path__, "swallow_spark.stages."):
    if _module.name.endswith(".tasks"):  # and the kernels that these import
        with suppress(ImportError):  # something is not installed here: only this stage's own tasks fail, and say what
            importlib.import_module(_module.name)
cpu_target.typing_context.refresh()  # which the first kernel of a process would do
cpu_target.target_context.refresh()

if __name__ == "__main__":
    runpy.run_module("pyspark.daemon", run_name="__main__")
