"""swallow-spark: Common Crawl to a Japanese pre-training corpus, on Spark.

    import swallow_spark as sw

Tables of a corpus: `open` gives a `Corpus`. One page or a list of texts, without Spark: `extract`, `is_japanese`,
`signatures`, `measure`, `load_classifier`. All stages, as the command does: `build`. The parts of a doc_id:
`unpack_doc_id`, `pack_doc_id`. Errors are `SwallowSparkError`s.

These names, the commands, the configuration and the tables of a corpus are public. All other modules and names may
change in any release. Importing the package loads neither PySpark nor Numba; a function loads what it needs when it is
first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from swallow_spark.session.compiled import choose_directory as _choose_directory

if TYPE_CHECKING:
    from swallow_spark.api import (
        Classifier,
        Corpus,
        build,
        extract,
        is_japanese,
        load_classifier,
        measure,
        open,
        signatures,
    )
    from swallow_spark.errors import ConfigError, CorpusError, InputError, ModelError, SwallowSparkError, UsageError
    from swallow_spark.kernels.html import Extracted
    from swallow_spark.tables import DocId, pack_doc_id, unpack_doc_id

__version__ = "0.1.0"
__all__ = [
    "Classifier",
    "ConfigError",
    "Corpus",
    "CorpusError",
    "DocId",
    "Extracted",
    "InputError",
    "ModelError",
    "SwallowSparkError",
    "UsageError",
    "__version__",
    "build",
    "extract",
    "is_japanese",
    "load_classifier",
    "measure",
    "open",
    "pack_doc_id",
    "signatures",
    "unpack_doc_id",
]

_choose_directory()  # before Numba is imported, in executors as well

_ELSEWHERE: Final = {
    "Extracted": "kernels.html",
    **dict.fromkeys(("DocId", "pack_doc_id", "unpack_doc_id"), "tables"),
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "errors"),
}
"""Modules of the public names that are not in `api`."""


if not TYPE_CHECKING:  # with this function, a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'api')}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
