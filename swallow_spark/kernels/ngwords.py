"""NG expressions: how many characters of a text are expressions of a list."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ahocorasick_rs import BytesAhoCorasick, MatchKind

from swallow_spark.errors import ConfigError
from swallow_spark.kernels.utf8 import utf8_buffers

VERSION: Final = 1


class Matcher:
    """Finds expressions as they are written, from left to right, the longest one at each place, without overlaps."""

    def __init__(self, expressions: Iterable[str]) -> None:
        """Raises ValueError where there is no expression, or an empty one."""
        self.expressions: Final = tuple(sorted(set(expressions)))
        if not all(self.expressions):
            raise ValueError("an empty expression matches everywhere")
        if not self.expressions:
            raise ValueError("no expression in the list")
        # Bytes and characters agree here: no character's UTF-8 begins inside another's, and of the expressions that
        # match at one place each is the beginning of the longer ones.
        self._automaton = BytesAhoCorasick([e.encode() for e in self.expressions], matchkind=MatchKind.LeftmostLongest)
        self._chars = np.array([len(e) for e in self.expressions], np.int64)

    @property
    def fingerprint(self) -> str:
        """Identifies the set of expressions, whatever their order."""
        return hashlib.sha256("\n".join([str(VERSION), *self.expressions]).encode()).hexdigest()[:32]

    def matched_chars(self, texts: Any) -> npt.NDArray[np.int64]:
        """How many code points of each text of a (large_)string array belong to a match: int64, (len(texts),)."""
        data, offsets = utf8_buffers(texts)
        view = data.data
        result = np.zeros(len(texts), np.int64)
        for i in range(len(texts)):
            matches = self._automaton.find_matches_as_indexes(view[offsets[i] : offsets[i + 1]])
            result[i] = sum(self._chars[expression] for expression, _, _ in matches)
        return result


def load(path: str | Path) -> Matcher:
    """The matcher for a UTF-8 file of one expression a line; blank lines and lines that begin with # do not count.

    Blanks around an expression are taken away. Raises ConfigError where the file can't be read or has no expression.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
        return Matcher(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    except (OSError, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise ConfigError(f"{path}: {error}") from None
