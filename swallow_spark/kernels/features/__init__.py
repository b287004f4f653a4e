"""Features: numbers measured on a text, with the names and definitions of Swallow's rules. Thresholds are elsewhere.

To add one, write a module with a `FEATURE` beside these and list it in `FEATURES`.
"""

from collections import Counter
from typing import Any, Final, Literal

import pyarrow as pa

from swallow_spark.kernels.features import letters, ng, ngrams, repetition, sentences
from swallow_spark.kernels.features.texts import Feature, Texts, without_blank_lines
from swallow_spark.kernels.ngwords import Matcher

VERSION: Final = 1
"""Of what is done to texts before any feature is computed: decoding and leaving out blank lines."""

FEATURES: Final[tuple[Feature, ...]] = (
    letters.FEATURE,
    sentences.FEATURE,
    repetition.FEATURE,
    ngrams.FEATURE,
    ng.FEATURE,
)


def _schema(features: tuple[Feature, ...]) -> pa.Schema:
    names = Counter([feature.name for feature in features])
    columns = Counter([field.name for feature in features for field in feature.schema])
    if doubled := [name for name, times in (names + columns).items() if times > 1]:
        raise ValueError(f"features that have the same name: {', '.join(doubled)}")
    return pa.schema([field for feature in features for field in feature.schema])


SCHEMA: Final = _schema(FEATURES)
"""The columns of `measure`: counts are int32, fractions float64."""


def versions() -> dict[str, int]:
    """What the values depend on beside the text and the list of NG expressions, for fingerprints."""
    return {"features": VERSION, **{f"features.{feature.name}": feature.version for feature in FEATURES}}


def measure(
    texts: Any, *, ng_words: Matcher | None = None, blank_lines: Literal["keep", "drop"] = "keep"
) -> pa.RecordBatch:
    """All features of each text of a (large_)string array: a batch of `SCHEMA`, one row for each text.

    `blank_lines="drop"` measures the texts without lines that are empty or blank; "keep" measures them as they stand,
    as Swallow's code does. `ng_fraction` is null without `ng_words`. Nulls count as empty texts.
    """
    if blank_lines == "drop":
        texts = without_blank_lines(texts)
    decoded = Texts.decode(texts, ng_words)
    columns = [
        pa.array(values, field.type)
        for feature in FEATURES
        for field, values in zip(feature.schema, feature.compute(decoded), strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
