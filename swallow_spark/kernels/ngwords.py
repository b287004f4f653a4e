"""NG expressions: how many characters of a text are expressions of a list."""

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from ahocorasick_rs import BytesAhoCorasick, MatchKind

from swallow_spark.errors import ConfigError
from swallow_spark.kernels.folding import fold, folding
from swallow_spark.kernels.utf8 import utf8_buffers

VERSION: Final = 1
Variant: TypeAlias = Literal["width", "kana"]


class Matcher:
    """Finds expressions from left to right, the longest one at each place, without overlaps: as they are written, or
    whatever their `variants` (see kernels/folding.py)."""

    def __init__(self, expressions: Iterable[str], variants: Collection[Variant] = ()) -> None:
        """Raises ValueError where there is no expression, or an empty one."""
        self.expressions: Final = tuple(sorted(set(expressions)))
        if not all(self.expressions):
            raise ValueError("an empty expression matches everywhere")
        if not self.expressions:
            raise ValueError("no expression in the list")
        self._folding = folding(variants) if variants else None
        patterns = [expression.encode() for expression in self.expressions]
        if self._folding is not None:
            data, offsets, _ = fold(pa.array(self.expressions, pa.large_string()), self._folding)
            patterns = sorted({data[start:end].tobytes() for start, end in pairwise(offsets)})
        # Bytes and characters agree here: no character's UTF-8 begins inside another's, and of the expressions that
        # match at one place each is the beginning of the longer ones.
        self._automaton = BytesAhoCorasick(patterns, matchkind=MatchKind.LeftmostLongest)
        self._chars = np.array([len(pattern.decode()) for pattern in patterns], np.int64)

    def matched_chars(self, texts: Any) -> npt.NDArray[np.int64]:
        """How many code points of each text of a (large_)string array belong to a match: int64, (len(texts),).

        With variants the code points of the text as it stands are counted: half-width ｶﾞ is two of them.
        """
        result = np.zeros(len(texts), np.int64)
        if self._folding is not None:
            data, offsets, consumed = fold(texts, self._folding)
        else:
            data, offsets = utf8_buffers(texts)
        view = data.data
        for i in range(len(texts)):
            matches = self._automaton.find_matches_as_indexes(view[offsets[i] : offsets[i + 1]])
            if not matches:
                continue
            if self._folding is not None:
                bounds = np.array([match[1:] for match in matches], np.int64) + offsets[i]
                result[i] = (consumed[bounds[:, 1]] - consumed[bounds[:, 0]]).sum()
            else:
                result[i] = sum(self._chars[expression] for expression, _, _ in matches)
        return result


def expressions(name: str, content: bytes) -> tuple[str, ...]:
    """The expressions in a list: UTF-8, one a line; blank lines and lines that begin with # do not count.

    Blanks around an expression are taken away. Raises ConfigError where it isn't UTF-8 or has no expression.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: {error}") from None
    found = tuple(sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")}))
    if not found:
        raise ConfigError(f"{name}: no expression in the list")
    return found
