"""The commands: their options, and what they print. Each module here, also in packages, is found by cli.py.

What a command works with takes up to a second to load (Spark, Numba, matplotlib), so it is loaded only when the command
runs: `--help` and complaints come at once. See `on_first_use`.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Final

_PACKAGE: Final = f"{__name__.partition('.')[0]}."


class _Later:
    """Finds modules of this package, and lets them load when an attribute is first asked for."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name.startswith(_PACKAGE) else None
        if spec and spec.loader and spec.submodule_search_locations is None:  # packages are only directories here
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def on_first_use() -> Iterator[None]:
    """Modules of this package that are imported in this block are loaded when one of their names is first used.

    So import modules, not names (`from swallow_spark.report import labels`, then `labels.gather`): importing a name
    uses it. The annotations of a command's parameters are read at once, and can't have such names.
    """
    sys.meta_path.insert(0, _Later)
    try:
        yield
    finally:
        sys.meta_path.remove(_Later)
