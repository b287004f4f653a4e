"""The bytes of a string column, as the compiled kernels read them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


def utf8_buffers(texts: Any) -> tuple[Bytes, Offsets]:
    """`(data, offsets)` of a string or large_string array: text i is `data[offsets[i] : offsets[i + 1]]`, in UTF-8.

    `data` is a view of Arrow's buffer; `offsets` has n + 1 entries and need not begin at 0 (sliced arrays). Nulls count
    as empty texts. Raises TypeError for anything else than a (large_)string array.
    """
    if not isinstance(texts, pa.Array) or not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        raise TypeError(f"a string or large_string array is needed, not {getattr(texts, 'type', type(texts).__name__)}")
    if texts.null_count:
        texts = texts.fill_null("")
    width = np.dtype(np.int32 if pa.types.is_string(texts.type) else np.int64)
    _, offset_buffer, data_buffer = texts.buffers()
    if len(texts) == 0 or offset_buffer is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, width, len(texts) + 1, texts.offset * width.itemsize).astype(np.int64)
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return data, offsets
