"""Expressions of a list in texts: the number of matches, and the characters in matches."""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from ahocorasick_rs import AhoCorasick, MatchKind

from swallow_spark.kernels.text.folding import fold, folding
from swallow_spark.kernels.text.utf8 import Codes, Offsets, code_points

VERSION: Final = 1
_PIECE_CHARS: Final = 1 << 16  # of a text at a time: the library makes a tuple for each match
Variant: TypeAlias = Literal["width", "kana"]


class Matcher:
    """Finds expressions from left to right, the longest at each place, without overlaps; with `variants`, also in other
    variants of their characters (see kernels/text/folding.py)."""

    def __init__(self, expressions: Iterable[str], variants: Collection[Variant] = ()) -> None:
        """Raises ValueError if there is no expression, or an empty one."""
        found = sorted(set(expressions))
        if not found:
            raise ValueError("no expression in the list")
        if not all(found):
            raise ValueError("an empty expression matches everywhere")
        self._folding = folding(variants) if variants else None
        codes, offsets, _ = self._folded(*code_points(pa.array(found, pa.large_string())))
        joined = codes.tobytes().decode("utf-32-le")
        patterns = [joined[start:end] for start, end in pairwise(offsets.tolist())]
        self._longest = max(map(len, patterns))
        self._automaton = AhoCorasick(patterns, MatchKind.LeftmostLongest, store_patterns=False)

    def matched_chars(self, codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
        """The code points of each unchanged text (`utf8.code_points`) in matches: int64, (texts,). ｶﾞ counts as two."""
        matched: npt.NDArray[np.int64] = self._matches(codes, offsets)[0]
        return matched

    def num_matches(self, codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
        """The number of matches in each text: int64, (texts,)."""
        number: npt.NDArray[np.int64] = self._matches(codes, offsets)[1]
        return number

    def _matches(self, codes: Codes, offsets: Offsets) -> npt.NDArray[np.int64]:
        """int64 (2, texts): characters in matches, and matches."""
        codes, offsets, origins = self._folded(codes, offsets)
        joined = codes.tobytes().decode("utf-32-le", "replace")
        chars, numbers = ([0] * (len(offsets) - 1) for _ in range(2))
        for number, (at, end) in enumerate(pairwise(offsets.tolist())):
            while at < end:
                piece = joined[at : min(end, at + _PIECE_CHARS + self._longest - 1)]
                matches = self._automaton.find_matches_as_indexes(piece)
                found = [(at + start, at + after) for _, start, after in matches if start < _PIECE_CHARS]
                chars[number] += sum(origins[after] - origins[start] for start, after in found)
                numbers[number] += len(found)
                at = max(at + _PIECE_CHARS, found[-1][1] if found else 0)
        return np.array([chars, numbers], np.int64)

    def _folded(self, codes: Codes, offsets: Offsets) -> tuple[Codes, Offsets, Sequence[int]]:
        if self._folding is None:
            return codes, offsets, range(len(codes) + 1)
        codes, offsets, origins = fold(codes, offsets, self._folding)
        return codes, offsets, origins.data
