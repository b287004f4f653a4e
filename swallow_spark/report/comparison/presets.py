"""Two presets on one corpus: the pages that each keeps, reasons that coincide, and the pages next to each bound."""

from collections.abc import Iterator
from typing import Any, Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.decide import Bound
from swallow_spark.report.finished import Finished
from swallow_spark.report.samples import pages_of

_MOST_PAIRS: Final = 20


def compare(first: Finished, second: Finished) -> dict[str, Any]:
    """Figures on the verdicts of two decided presets, as plain JSON, with the bounds of both."""
    names = [have.config.rules.preset for have in (first, second)]
    verdicts = [
        have.verdicts().select(
            "doc_id", F.col("accepted").alias(f"accepted_{i}"), F.col("reasons").alias(f"reasons_{i}")
        )
        for i, have in enumerate((first, second))
    ]
    both = verdicts[0].join(verdicts[1], "doc_id")
    kept = {tuple(row[:2]): row[2] for row in both.groupBy("accepted_0", "accepted_1").count().collect()}
    return {
        "presets": names,
        "pages": sum(kept.values()),
        "accepted": {
            **{name: sum(n for key, n in kept.items() if key[i]) for i, name in enumerate(names)},
            "both": kept.get((True, True), 0),
            **{f"only {name}": kept.get((i == 0, i == 1), 0) for i, name in enumerate(names)},
            "neither": kept.get((False, False), 0),
        },
        "reasons": _reasons(both, names),
        "overlap": _overlap(both),
        "bounds": _beside_bounds(first, second, verdicts[0]),
    }


def _reasons(both: DataFrame, names: list[str]) -> list[dict[str, Any]]:
    rows = both.select(F.explode(F.array_union("reasons_0", "reasons_1")).alias("reason"), "reasons_0", "reasons_1")
    has = [F.array_contains(f"reasons_{i}", F.col("reason")) for i in (0, 1)]
    counts = [F.count_if(has[0]), F.count_if(has[1]), F.count_if(has[0] & has[1])]
    found = rows.groupBy("reason").agg(*(c.alias(f"n{i}") for i, c in enumerate(counts))).orderBy("reason").collect()
    return [{"reason": row.reason, names[0]: row.n0, names[1]: row.n1, "both": row.n2} for row in found]


def _overlap(both: DataFrame) -> list[dict[str, Any]]:
    """The most frequent pairs of reasons."""
    union = F.array_union("reasons_0", "reasons_1")
    firsts = both.select(union.alias("reasons")).select("reasons", F.explode("reasons").alias("first"))
    pairs = firsts.select("first", F.explode("reasons").alias("second")).where("first < second")
    counted = pairs.groupBy("first", "second").count().orderBy(F.desc("count"), "first", "second").limit(_MOST_PAIRS)
    return [{"first": row["first"], "second": row["second"], "pages": row["count"]} for row in counted.collect()]


def _edges(feature: str, bound: Bound) -> Iterator[tuple[str, Column, Column]]:
    """A bound in words, and whether a value is below and above it; the bound itself is on the side that passes."""
    value = F.col(feature)
    if bound.min is not None:
        yield f"{feature} < {bound.min:g}", value < bound.min, value >= bound.min
    if bound.max is not None:
        yield f"{feature} > {bound.max:g}", value <= bound.max, value > bound.max
    if bound.below is not None:
        yield f"{feature} >= {bound.below:g}", value < bound.below, value >= bound.below


def _beside_bounds(first: Finished, second: Finished, survivors: DataFrame) -> list[dict[str, Any]]:
    """For each bound the nearest pages below and above it; of equal ones, those with the lowest doc_id."""
    edges = {
        said: (feature, below, above)
        for have in (first, second)
        for feature, bound in have.config.rules.bounds.items()
        for said, below, above in _edges(feature, bound)
    }
    if not edges:
        return []
    wanted = []
    for i, (feature, below, above) in enumerate(edges.values()):
        value = F.col(feature)
        wanted.append(
            F.max(F.when(below, F.struct(value.alias("value"), (-F.col("doc_id")).alias("id")))).alias(f"b{i}")
        )
        wanted.append(F.min(F.when(above, F.struct(value.alias("value"), F.col("doc_id").alias("id")))).alias(f"a{i}"))
    row = first.features().join(survivors.select("doc_id"), "doc_id", "left_semi").agg(*wanted).collect()[0]
    pages = pages_of(first, {abs(found["id"]) for found in row if found})

    def shown(found: Any) -> dict[str, Any] | None:
        if not found:
            return None
        page = pages[abs(found["id"])]
        return {"value": found["value"], "doc_id": page.doc_id, "url": page.url, "text": page.excerpt}

    return [
        {"rejected_if": said, "below": shown(row[f"b{i}"]), "above": shown(row[f"a{i}"])}
        for i, said in enumerate(edges)
    ]
