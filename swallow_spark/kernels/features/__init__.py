"""Features: numbers measured on a text, with the names and definitions of Swallow's rules. Thresholds are elsewhere.

To add one, write a module with a `FEATURE` and list it in `FEATURES`. Features of other pipelines have a group.
"""

from collections import Counter
from collections.abc import Collection
from math import inf
from typing import Any, Final, Literal

import pyarrow as pa

from swallow_spark.kernels.features import compression, letters, lines, ng, ngrams, phrases, repetition, sentences
from swallow_spark.kernels.features.texts import Feature, Texts, without_blank_lines
from swallow_spark.kernels.text.ngwords import Matcher

VERSION: Final = 1
"""Of the steps before all features: decoding and removing blank lines."""

FEATURES: Final[tuple[Feature, ...]] = (
    letters.FEATURE,
    sentences.FEATURE,
    repetition.FEATURE,
    ngrams.FEATURE,
    ng.FEATURE,
    lines.FEATURE,
    compression.FEATURE,
    phrases.FEATURE,
)


def _schema(features: tuple[Feature, ...]) -> pa.Schema:
    names = Counter([feature.name for feature in features])
    columns = Counter([field.name for feature in features for field in feature.schema])
    if doubled := [name for name, times in (names + columns).items() if times > 1]:
        raise ValueError(f"features with the same name: {', '.join(doubled)}")
    return pa.schema([field for feature in features for field in feature.schema])


SCHEMA: Final = _schema(FEATURES)
"""The columns of `measure`: counts are int32, fractions float64."""

GROUPS: Final = tuple(dict.fromkeys(feature.group for feature in FEATURES if feature.group))
"""Groups of features that are measured on request only."""

LISTS: Final = {field.name: feature.list for feature in FEATURES if feature.list for field in feature.schema}
"""Column -> the list that it needs, by its key in the section [features]."""


def versions(groups: Collection[str] = ()) -> dict[str, int]:
    """What the values depend on besides the text and the lists, for fingerprints."""
    return {"features": VERSION, **{f"features.{feature.name}": feature.version for feature in _measured(groups)}}


def range_of(column: str) -> tuple[float, float]:
    """The smallest and the largest value that a column can have. Raises KeyError for an unknown column."""
    is_fraction = {field.name: field.name in feature.fractions for feature in FEATURES for field in feature.schema}
    return 0.0, 1.0 if is_fraction[column] else inf


def group_of(column: str) -> str | None:
    """The group of a column; None if it is always measured. Raises KeyError for an unknown column."""
    return {field.name: feature.group for feature in FEATURES for field in feature.schema}[column]


def measure(
    texts: Any,
    *,
    blank_lines: Literal["keep", "drop"] = "keep",
    groups: Collection[str] = (),
    **lists: Matcher,
) -> pa.RecordBatch:
    """All features of each text of a (large_)string array: a batch of `SCHEMA`, one row for each text.

    `blank_lines="drop"` measures the texts without empty and blank lines; "keep" measures them unchanged, as Swallow's
    code does. `lists` are those of LISTS, as in `ng_words=Matcher(["…"])`. Features of lists that aren't given and of
    groups that aren't in `groups` are null. Nulls count as empty texts. Raises ValueError for an unknown group or list.
    """
    if unknown := set(lists) - set(LISTS.values()):
        known = ", ".join(LISTS.values())
        raise ValueError(f"no such list of expressions: {', '.join(sorted(unknown))} (there are: {known})")
    if blank_lines == "drop":
        texts = without_blank_lines(texts)
    decoded, measured = Texts.decode(texts, lists), _measured(groups)
    columns = []
    for feature in FEATURES:
        if feature in measured and (feature.list is None or feature.list in lists):
            found = feature.compute(decoded)
            columns += [pa.array(values, field.type) for field, values in zip(feature.schema, found, strict=True)]
        else:
            columns += [pa.nulls(len(texts), field.type) for field in feature.schema]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _measured(groups: Collection[str]) -> list[Feature]:
    if unknown := set(groups) - set(GROUPS):
        raise ValueError(f"no such group of features: {', '.join(sorted(unknown))} (there are: {', '.join(GROUPS)})")
    return [feature for feature in FEATURES if feature.group is None or feature.group in groups]
