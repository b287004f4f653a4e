"""The number of tokens of texts, by the tokenizer of a package or a file; without special tokens.

Special tokens written in a text (`<|endoftext|>`, `</s>`) are counted as ordinary text.
"""

from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.errors import ModelError

VERSION: Final = 1
_TEXTS_AT_ONCE: Final = 256  # whose tokens are in memory


Tokenizer: TypeAlias = Callable[[pa.Array], NDArray[np.int32]]
"""Counts tokens: int32, one count for each text."""


def load(file: Path | None, encoding: str | None) -> Tokenizer:
    """The tokenizer in a tokenizer.json (package tokenizers), or an encoding of the package quicktok by name.

    Raises ModelError if the package isn't installed, does not know the encoding or can't read the file.
    """
    return _of_file(file) if file else _of_package(encoding or "")


def versions(file: Path | None, encoding: str | None) -> dict[str, Any]:
    """What counts depend on besides the tokenizer's file or name."""
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
        raise ModelError(f"{file}: can't read this tokenizer: {error}") from None
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()

    return _counting(lambda texts: [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts])


def _of_package(name: str) -> Tokenizer:
    quicktok = _import("quicktok", "quicktok-v1")
    try:
        encoding = quicktok.Tokenizer(name, "")
    except RuntimeError as error:
        raise ModelError(f"{name!r}: quicktok has no such encoding: {error}") from None

    return _counting(lambda texts: quicktok.count_batch(encoding, texts, 1, False))


def _counting(count: Callable[[list[str]], list[int]]) -> Tokenizer:
    def tokenizer(texts: pa.Array) -> NDArray[np.int32]:
        counts = np.zeros(len(texts), np.int32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE].to_pylist()
            counts[start : start + len(part)] = count(part)
        return counts

    return tokenizer
