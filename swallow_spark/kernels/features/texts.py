"""The interface of features, and their input: a batch of texts, decoded once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from swallow_spark.kernels.text.ngwords import Matcher
from swallow_spark.kernels.text.utf8 import Bytes, Codes, Offsets, code_point, code_points, utf8_buffers

Column: TypeAlias = npt.NDArray[Any] | pa.Array


@dataclass(frozen=True)
class Texts:
    """A batch of texts. The code points of text i are `codes[offsets[i] : offsets[i + 1]]`."""

    array: pa.Array
    codes: Codes
    offsets: Offsets
    lists: Mapping[str, Matcher] = field(default_factory=dict)

    @classmethod
    def decode(cls, array: Any, lists: Mapping[str, Matcher] | None = None) -> "Texts":
        codes, offsets = code_points(array)
        return cls(array, codes, offsets, lists or {})


@dataclass(frozen=True)
class Feature:
    """One or more numbers of a text that are computed together.

    Raise `version` when a value changes for the same text. `compute` returns the columns of `schema`, in its order. A
    feature with a `group` is measured on request only, one with a `list` (its key in the section [features]) only if
    there is this list, in `Texts.lists[list]`; otherwise its columns are null.
    """

    name: str
    version: int
    schema: pa.Schema
    compute: Callable[[Texts], Sequence[Column]]
    group: str | None = None
    list: str | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    """Column -> its definition, for the documentation."""
    fractions: Collection[str] = ()
    """The columns that lie between 0 and 1. The others have no upper limit; none is negative."""


def counts(*names: str) -> list[pa.Field]:
    """Fields of whole numbers."""
    return [pa.field(name, pa.int32(), nullable=False) for name in names]


def ratios(*names: str) -> list[pa.Field]:
    """Fields of fractions and averages: float64, so that they compare with thresholds as in Python."""
    return [pa.field(name, pa.float64(), nullable=False) for name in names]


def optional_ratios(*names: str) -> list[pa.Field]:
    """Fields of fractions and averages that are null if not measured."""
    return [pa.field(name, pa.float64()) for name in names]


def ratio(numerators: npt.NDArray[Any], denominators: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """numerators / denominators in float64; 0 if a denominator is 0."""
    result = np.zeros(len(numerators), np.float64)
    np.divide(numerators, denominators, out=result, where=denominators != 0)
    return result


def without_blank_lines(texts: Any) -> pa.Array:
    """The texts (as large_string) without empty and blank lines (`str.isspace`) and without a line feed at the end."""
    data, offsets = _without_blank_lines(*utf8_buffers(texts))
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


@njit(cache=True, nogil=True, inline="always")
def is_space(code: int) -> bool:
    """Whether `str.isspace` and `str.strip` treat it as blank (Unicode 15: bidirectional WS, B, S, or category Zs)."""
    if code < 0x80:
        return 0x09 <= code <= 0x0D or 0x1C <= code <= 0x20
    if code < 0x2000:
        return code == 0x85 or code == 0xA0 or code == 0x1680
    return code <= 0x200A or code in (0x2028, 0x2029, 0x202F, 0x205F, 0x3000)


@njit(cache=True, nogil=True)
def _without_blank_lines(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    kept = np.empty(offsets[-1] - offsets[0], np.uint8)
    ends = np.zeros(offsets.size, np.int64)
    size = 0
    for i in range(offsets.size - 1):
        at, end = offsets[i], offsets[i + 1]
        while at < end:
            line, blank = at, True
            while at < end and data[at] != 0x0A:
                if blank:
                    code, at = code_point(data, at, end)
                    blank = is_space(int(code))
                else:
                    at += 1
            if not blank:
                if size > ends[i]:
                    kept[size] = 0x0A
                    size += 1
                kept[size : size + at - line] = data[line:at]
                size += at - line
            at += 1  # the line feed
        ends[i + 1] = size
    return kept[:size], ends
