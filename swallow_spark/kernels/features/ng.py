"""The share of NG expressions in a text, such as obscene words of a list that the user configures."""

from typing import Final

import pyarrow as pa

from swallow_spark.kernels.features.letters import num_japanese_letters
from swallow_spark.kernels.features.texts import Column, Feature, Texts, optional_ratios, ratio


def _compute(texts: Texts) -> list[Column]:
    return [ratio(texts.lists["ng_words"].matched_chars(texts.codes, texts.offsets), num_japanese_letters(texts))]


FEATURE: Final = Feature(
    name="ng",
    version=1,
    schema=pa.schema(optional_ratios("ng_fraction")),
    compute=_compute,
    list="ng_words",
    meanings={"ng_fraction": "Characters of NG expressions per Japanese letter; null without `features.ng_words`."},
)
