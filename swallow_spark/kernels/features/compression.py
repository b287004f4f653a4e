"""How well a text compresses: repetitive text well, random characters badly. Measured only with the group
`compression`, since it takes longer than all other features together."""

import zlib
from typing import Final

import numpy as np
import pyarrow as pa

from swallow_spark.kernels.features.texts import Column, Feature, Texts, optional_ratios, ratio
from swallow_spark.kernels.text.utf8 import utf8_buffers


def _compute(texts: Texts) -> list[Column]:
    data, offsets = utf8_buffers(texts.array)
    view = data.data
    sizes = [len(zlib.compress(view[offsets[i] : offsets[i + 1]], 6)) for i in range(len(offsets) - 1)]
    return [ratio(np.diff(offsets), np.array(sizes, np.int64))]


FEATURE: Final = Feature(
    name="compression",
    version=1,
    group="compression",
    schema=pa.schema(optional_ratios("compression_ratio")),
    compute=_compute,
    meanings={"compression_ratio": "Bytes of the text in UTF-8 divided by its size after zlib (level 6)."},
)
