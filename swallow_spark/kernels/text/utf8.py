"""The bytes and code points of a string column, for the compiled kernels."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]


def utf8_buffers(texts: Any) -> tuple[Bytes, Offsets]:
    """`(data, offsets)` of a string or large_string array: text i is `data[offsets[i] : offsets[i + 1]]`, in UTF-8.

    `data` is a view of Arrow's buffer; `offsets` has n + 1 entries and need not begin at 0 (sliced arrays). Nulls count
    as empty texts. Raises TypeError for anything but a (large_)string array.
    """
    if not isinstance(texts, pa.Array) or not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        raise TypeError(f"expected a string or large_string array, not {getattr(texts, 'type', type(texts).__name__)}")
    if texts.null_count:
        texts = texts.fill_null("")
    width = np.dtype(np.int32 if pa.types.is_string(texts.type) else np.int64)
    _, offset_buffer, data_buffer = texts.buffers()
    if len(texts) == 0 or offset_buffer is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, width, len(texts) + 1, texts.offset * width.itemsize).astype(np.int64)
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return data, offsets


def code_points(texts: Any) -> tuple[Codes, Offsets]:
    """`(codes, offsets)` of a (large_)string array: the code points of text i are `codes[offsets[i] : offsets[i + 1]]`.

    `offsets` begin at 0. Nulls count as empty texts. Raises TypeError for anything else.
    """
    decoded: tuple[Codes, Offsets] = _decode(*utf8_buffers(texts))
    return decoded


@njit(cache=True, nogil=True, inline="always")
def code_point(data: Bytes, at: int, end: int) -> tuple[np.int64, int]:
    """The code point at `at` of valid UTF-8, as in Arrow, and the next place. Other bytes give any code points."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, at + 1
    if 0xE0 <= first < 0xF0 and at + 3 <= end:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), at + 3
    if 0xC0 <= first < 0xE0 and at + 2 <= end:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), at + 2
    if first >= 0xF0 and at + 4 <= end:
        high = (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
        return high | (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F), at + 4
    return np.int64(0xFFFD), at + 1


@njit(cache=True, nogil=True)
def _decode(data: Bytes, offsets: Offsets) -> tuple[Codes, Offsets]:
    codes = np.empty(offsets[-1] - offsets[0], np.uint32)  # memory that stays unused is never touched
    ends = np.zeros(offsets.size, np.int64)
    count = 0
    for i in range(offsets.size - 1):
        at, end = offsets[i], offsets[i + 1]
        while at < end:
            code, at = code_point(data, at, end)
            codes[count] = code
            count += 1
        ends[i + 1] = count
    return codes[:count], ends
