"""Two sets of pages: of two corpora, or two steps, presets or cuts of one."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.errors import UsageError
from swallow_spark.kernels.order.sampling import hashes
from swallow_spark.report.finished import Finished
from swallow_spark.report.samples import pages_of
from swallow_spark.report.scans.figures import MOST_TASKS, SCHEMA, Figures, collected, smallest

STEPS: Final = ("pages", "survivors", "accepted")
_SIDES: Final = ("a", "b")


class Side(NamedTuple):
    """A set of pages: `name` is a step, a preset or a subset."""

    have: Finished
    name: str
    said: str


def last_common(first: Finished, second: Finished) -> str:
    """The last of the steps that both corpora have done."""
    return [step for step in STEPS if step in first.summary and step in second.summary][-1]


def compare(a: Side, b: Side, sample: int = 5) -> dict[str, Any]:
    """Figures on both, as plain JSON. In one corpus a page is the same by its doc_id; in two, if its URL and payload
    are the same. Raises UsageError for a name that isn't known."""
    same_corpus = a.have.corpus.root.location == b.have.corpus.root.location
    keys = ["doc_id"] if same_corpus else ["url", "payload_sha1"]
    frames = []
    for side, name in zip((a, b), _SIDES, strict=True):
        rows = _pages(side, keys)
        sums = [
            F.min("doc_id").alias(f"doc_id_{name}"),
            F.count("*").alias(f"pages_{name}"),
            F.sum(F.col("num_chars").cast("long")).alias(f"chars_{name}"),
        ]
        key = F.struct(*(F.coalesce(F.col(one).cast("string"), F.lit("")) for one in keys)).alias("key")
        frames.append(rows.groupBy(key).agg(*sums))
    both = frames[0].join(frames[1], "key", "full_outer").drop("key").coalesce(MOST_TASKS)
    found = collected(both.mapInArrow(partial(_count, most=sample), SCHEMA))
    counts = found.counts
    result: dict[str, Any] = {"a": a.said, "b": b.said, "same_page": "doc_id" if same_corpus else "url and payload"}
    for name in ("a", "b", "both", "only_a", "only_b"):
        result[name + "_pages" if name in _SIDES else name] = counts[name, "pages"]
    result["characters"] = {name: counts[name, "characters"] for name in ("a", "b", "both", "only_a", "only_b")}
    of_any = counts["both", "keys"] + counts["only_a", "keys"] + counts["only_b", "keys"]
    result["jaccard"] = counts["both", "keys"] / of_any if of_any else None
    result["samples"] = {
        f"only_{name}": _samples(side, [row[1] for row in found.kept(f"only_{name}")])
        for side, name in zip((a, b), _SIDES, strict=True)
    }
    return result


def _pages(side: Side, keys: list[str]) -> DataFrame:
    """doc_id, num_chars and the keys of the pages in the set."""
    have, name = side.have, side.name
    pages = have.pages(*dict.fromkeys(("doc_id", "num_chars", *keys)))
    if name == "pages":
        return pages
    return pages.join(_members(have, name).select("doc_id"), "doc_id")


def _members(have: Finished, name: str) -> DataFrame:
    if name == "survivors" and have.deduplicated:
        return have.groups()
    if name == "accepted" and have.decided:
        return have.verdicts().where("accepted")
    if name in have.presets:
        return have.verdicts(name).where("accepted")
    if name in have.summary.get("subsets", {}):
        return have.subset(name)
    done = [step for step in STEPS if step in have.summary]
    known = ", ".join([*done, *have.presets, *have.summary.get("subsets", {})])
    raise UsageError(f"compare: {have.corpus.root.location} has no `{name}` (there are: {known})")


def _samples(side: Side, doc_ids: list[int]) -> list[dict[str, Any]]:
    pages = pages_of(side.have, doc_ids) if doc_ids else {}
    found = (pages[doc_id] for doc_id in doc_ids if doc_id in pages)
    return [{"doc_id": page.doc_id, "url": page.url, "title": page.title, "text": page.excerpt} for page in found]


def _count(batches: Iterator[pa.RecordBatch], most: int) -> Iterator[pa.RecordBatch]:
    found = Figures()
    for batch in batches:
        columns = {name: batch.column(name).fill_null(0).to_numpy(zero_copy_only=False) for name in batch.schema.names}
        here = {name: batch.column(f"doc_id_{name}").is_valid().to_numpy(zero_copy_only=False) for name in _SIDES}
        parts = {"both": here["a"] & here["b"], "only_a": here["a"] & ~here["b"], "only_b": here["b"] & ~here["a"]}
        for name in _SIDES:
            found.count((name, "pages"), columns[f"pages_{name}"].sum())
            found.count((name, "characters"), columns[f"chars_{name}"].sum())
        for part, rows in parts.items():
            side = part[-1] if part != "both" else "a"
            found.count((part, "keys"), rows.sum())
            # A page that is several times in one corpus is in both as often as in the one that has it less often.
            pages = columns[f"pages_{side}"] if part != "both" else np.minimum(columns["pages_a"], columns["pages_b"])
            found.count((part, "pages"), pages[rows].sum())
            found.count((part, "characters"), columns[f"chars_{side}"][rows].sum())
            if part != "both":
                doc_ids = columns[f"doc_id_{side}"][rows]
                order = hashes(doc_ids, 1)
                chosen = smallest(most, order, doc_ids)
                found.keep(part, most, [(order[i].item(), doc_ids[i].item()) for i in chosen])
    yield found.row()
