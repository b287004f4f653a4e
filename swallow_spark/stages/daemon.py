"""The process that Spark forks its Python workers from, on each executor: PySpark's, with what tasks use imported.

So a new worker has it at once, and the workers of a machine share the memory of code. What is imported may start no
thread that tasks wait for: a fork has only the thread that forks. (OpenBLAS and jemalloc start theirs again.)
"""

import importlib
import importlib.machinery
import pkgutil
import runpy
import sys

# Spark's own zip comes first on the path of its workers. It has no byte code: each process would compile its modules.
_installed = [place for place in sys.path if not place.endswith(".zip")]
if importlib.machinery.PathFinder.find_spec("pyspark", _installed):
    sys.path[:] = _installed

from numba.core.registry import cpu_target  # noqa: E402

from swallow_spark import stages  # noqa: E402

for _module in pkgutil.walk_packages(stages.__path__, "swallow_spark.stages."):
    if _module.name.endswith(".tasks"):  # and the kernels that these import
        importlib.import_module(_module.name)
cpu_target.typing_context.refresh()  # which the first kernel of a process would do
cpu_target.target_context.refresh()

if __name__ == "__main__":
    runpy.run_module("pyspark.daemon", run_name="__main__")
