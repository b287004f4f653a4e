"""The pages that the report shows, and the beginnings of their texts.

Pages are chosen from narrow tables; one scan then reads the texts of these pages by doc_id.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.report.contents import Page, Sample, Sampled
from swallow_spark.report.finished import Finished, day, is_any_of
from swallow_spark.tables import unpack_doc_id

_LARGEST_GROUPS: Final = 10
_EXCERPT_CHARS: Final = 300


def largest_groups(have: Finished) -> list[dict[str, Any]]:
    if not have.deduplicated:
        return []
    groups = have.groups().where("num_duplicates > 0")
    largest = have.but_removed(groups).orderBy(F.col("num_duplicates").desc(), "doc_id").limit(_LARGEST_GROUPS)
    return [row.asDict() for row in largest.collect()]


def chosen(have: Finished) -> dict[str, list[dict[str, Any]]]:
    """kind -> rows with doc_id and further columns."""
    chosen = {}
    if have.decided:
        verdicts = have.verdicts()
        chosen["accepted"] = _hashed(have, verdicts.where("accepted").select("doc_id"))
        chosen["rejected"] = _hashed(have, verdicts.where("not accepted").select("doc_id", "reasons"))
    elif have.deduplicated:
        chosen["survivors"] = _hashed(have, have.groups().select("doc_id"))
    elif have.ingested:
        chosen["pages"] = _hashed(have, have.pages().select("doc_id"))
    if have.deduplicated:
        rows = have.duplicates()
        chosen["duplicates"] = _hashed(have, rows.select("doc_id", "witness", "similarity"))
    return chosen


def _hashed(have: Finished, rows: DataFrame) -> list[dict[str, Any]]:
    section = have.config.report
    by_hash = have.but_removed(rows).orderBy(F.xxhash64("doc_id", F.lit(section.seed)), "doc_id")
    return [row.asDict() for row in by_hash.limit(section.sample_pages).collect()]


def pages_of(have: Finished, doc_ids: set[int]) -> dict[int, Page]:
    if not doc_ids:
        return {}
    rows = have.pages().where(is_any_of("doc_id", sorted(doc_ids)))
    excerpts = rows.select(
        "doc_id",
        F.substring("url", 1, 2001).alias("url"),
        F.substring("title", 1, 1000).alias("title"),
        F.unix_micros("date").alias("date"),
        "num_chars",
        F.substring("text", 1, _EXCERPT_CHARS).alias("excerpt"),
    )
    found = {}
    for row in excerpts.collect():
        crawl = have.crawls.get(unpack_doc_id(row.doc_id).crawl_no, "?")
        found[row.doc_id] = Page(row.doc_id, crawl, row.url, row.title, day(row.date), row.num_chars, row.excerpt or "")
    return found


def samples(
    have: Finished, chosen: Mapping[str, Sequence[Mapping[str, Any]]], pages: Mapping[int, Page]
) -> tuple[Sample, ...]:
    accepted = [row["doc_id"] for row in chosen.get("accepted", ())]
    scores: dict[int, dict[str, float]] = {doc_id: {} for doc_id in accepted}
    for name in have.summary.get("scores", {}):
        for row in have.scores(name).where(is_any_of("doc_id", accepted)).collect():
            scores[row.doc_id][name] = row.score
    subsets = _subsets_with(have, accepted)
    sums = have.summary
    of = {
        "accepted": sums.get("accepted", 0),
        "rejected": sum(m.counts.get("survivors", 0) - m.counts.get("accepted", 0) for m in have.decided),
        "survivors": sums.get("survivors", 0),
        "duplicates": sums.get("duplicates", 0),
        "pages": sums["pages"],
    }
    return tuple(
        Sample(
            kind,
            of[kind],
            tuple(
                Sampled(
                    pages[row["doc_id"]],
                    tuple(row.get("reasons", ())),
                    scores.get(row["doc_id"], {}),
                    subsets.get(row["doc_id"], ()),
                    pages.get(row.get("witness", 0)),
                    row.get("similarity"),
                )
                for row in rows
                if row["doc_id"] in pages
            ),
        )
        for kind, rows in chosen.items()
    )


def _subsets_with(have: Finished, doc_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The subsets that the pages are in."""
    names = list(have.summary.get("subsets", {}))
    if not names or not doc_ids:
        return {}
    rows = [
        have.subset(name, "doc_id").select("doc_id", F.lit(number).alias("subset")) for number, name in enumerate(names)
    ]
    found: dict[int, tuple[str, ...]] = {}
    for row in reduce(lambda a, b: a.union(b), rows).where(is_any_of("doc_id", doc_ids)).orderBy("subset").collect():
        found[row.doc_id] = (*found.get(row.doc_id, ()), names[row.subset])
    return found
