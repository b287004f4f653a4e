"""How often the phrases of a list occur; one can be enough to reject a page."""

from typing import Final

import pyarrow as pa

from swallow_spark.kernels.features.texts import Column, Feature, Texts


def _compute(texts: Texts) -> list[Column]:
    return [texts.lists["phrases"].num_matches(texts.codes, texts.offsets)]


FEATURE: Final = Feature(
    name="phrases",
    version=1,
    schema=pa.schema([pa.field("num_phrases", pa.int32())]),
    compute=_compute,
    list="phrases",
    meanings={"num_phrases": "Occurrences of the phrases of the configured list; null without `features.phrases`."},
)
