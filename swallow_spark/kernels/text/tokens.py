"""How many tokens texts are, by a tokenizer that a package ships or a file holds; without special tokens.

What looks like a special token in a text (`<|endoftext|>`, `</s>`) is counted as the text that it is.
"""

from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.errors import ModelError

VERSION: Final = 1
_TEXTS_AT_ONCE: Final = 256  # the tokens of so many are held


class Tokenizer(Protocol):
    """Counts tokens: int32, one count for each text."""

    def __call__(self, texts: pa.Array) -> NDArray[np.int32]: ...


def load(file: Path | None, encoding: str | None) -> Tokenizer:
    """The tokenizer in a tokenizer.json (package tokenizers), or one of the package quicktok by its name.

    Raises ModelError where the package isn't installed, or has or reads no such tokenizer.
    """
    return _of_file(file) if file else _of_package(encoding or "")


def versions(file: Path | None, encoding: str | None) -> dict[str, Any]:
    """What counts depend on beside the tokenizer's file or name."""
    if not file and not encoding:
        return {}
    package = "tokenizers" if file else "quicktok-v1"
    try:
        return {"tokens": VERSION, package: metadata.version(package)}
    except metadata.PackageNotFoundError:
        raise _not_installed(package) from None


def _not_installed(package: str) -> ModelError:
    return ModelError(f"counting tokens needs the package {package}: pip install {package}")


def _import(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise _not_installed(package) from None


def _of_file(file: Path) -> Tokenizer:
    tokenizers = _import("tokenizers", "tokenizers")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - the package raises plain Exceptions
        raise ModelError(f"{file}: no tokenizer that can be read: {error}") from None
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: pa.Array) -> NDArray[np.int32]:
        counts = np.zeros(len(texts), np.int32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            own = texts[start : start + _TEXTS_AT_ONCE].to_pylist()
            found = [tokenizer.encode(text, add_special_tokens=False) for text in own]
            counts[start : start + len(own)] = [len(one) for one in found]
        return counts

    return count


def _of_package(name: str) -> Tokenizer:
    quicktok = _import("quicktok", "quicktok-v1")
    try:
        encoding = quicktok.Tokenizer(name, "")
    except RuntimeError as error:
        raise ModelError(f"{name!r}: quicktok has no such encoding: {error}") from None

    def count(texts: pa.Array) -> NDArray[np.int32]:
        counts = np.zeros(len(texts), np.int32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            own = texts[start : start + _TEXTS_AT_ONCE].to_pylist()
            counts[start : start + len(own)] = quicktok.count_batch(encoding, own, 1, False)
        return counts

    return count
