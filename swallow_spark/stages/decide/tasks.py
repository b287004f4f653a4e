"""Decide: a preset of rules over features and hosts. Catalyst only: no text is read, no Python runs."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config.decide import Rules
from swallow_spark.kernels.text import blocklists
from swallow_spark.tables import VERDICTS

BLOCKED: Final = "host:blocked"
"""The reason for domains of lists without a category."""

CONTAMINATED: Final = "contaminated"


def decide(
    features: DataFrame,
    kept: DataFrame,
    rules: Rules,
    domains: Sequence[str] = (),
    hosts: DataFrame | None = None,
    urls: DataFrame | None = None,
    contaminated: DataFrame | None = None,
) -> DataFrame:
    """A verdict on each page that dedup keeps, with all reasons against it: tables.VERDICTS, and num_chars.

    features: doc_id, host, num_chars and a column for each rule's feature; null (not measured) rejects nothing. kept:
    doc_id. domains: a few, as in `lists.DOMAINS`, that get the reason `host:blocked`, with the hosts below them. hosts,
    urls: results of `blocked_hosts` and `blocked_urls`, to be broadcast only if they say so. contaminated: doc_id of
    pages that hold a question.

    Reasons are in the order of the rules, then those of hosts and URLs, then `contaminated`.
    """
    none = F.array().cast("array<string>")
    of_host = F.when(_is_below(domains), F.array(F.lit(BLOCKED))).otherwise(none)
    broken = F.array_compact(F.array(*(F.when(broken, F.lit(reason)) for reason, broken in _rules(rules))))
    # No features from here on: only reasons are joined, and perhaps shuffled.
    marked = features.select("doc_id", "num_chars", "host", broken.alias("reasons"), of_host.alias("_own"))
    if hosts is not None:
        marked = marked.join(hosts.withColumnRenamed("reasons", "_of_host"), "host", "left")
        of_host = F.sort_array(F.array_union("_own", F.coalesce("_of_host", none)))
    else:
        of_host = F.col("_own")
    marked = marked.select("doc_id", "num_chars", F.concat("reasons", of_host).alias("reasons"))
    if contaminated is not None:
        contaminated = contaminated.select("doc_id", F.array(F.lit(CONTAMINATED)).alias("reasons"))
    for more in (urls, contaminated):
        if more is not None:
            marked = marked.join(more.withColumnRenamed("reasons", "_more"), "doc_id", "left")
            reasons = F.concat("reasons", F.coalesce("_more", none)).alias("reasons")
            marked = marked.select("doc_id", "num_chars", reasons)
    return (
        marked.join(kept, "doc_id", "left_semi")
        .withColumn("accepted", F.size("reasons") == 0)
        .select(*VERDICTS.names, "num_chars")
    )


def _is_below(domains: Sequence[str]) -> Column:
    """Whether the host is one of the domains or lies below one."""
    host = F.regexp_replace(F.lower("host"), blocklists.TRAILING_DOTS, "")
    return reduce(or_, ((host == domain) | host.endswith(f".{domain}") for domain in domains), F.lit(False))


def _rules(rules: Rules) -> list[tuple[str, Column]]:
    found = []
    for feature, bound in rules.bounds.items():
        value = F.col(feature)
        if bound.min is not None:
            found.append((f"{feature}:low", value < bound.min))
        if bound.max is not None:
            found.append((f"{feature}:high", value > bound.max))
        if bound.below is not None:
            found.append((f"{feature}:high", value >= bound.below))
    return found


def blocked_hosts(hosts: DataFrame, domains: DataFrame) -> DataFrame:
    """(host, reasons), sorted: the hosts that are one of the domains (domain, reason) or lie below one."""
    labels = F.split(F.regexp_replace(F.lower("host"), blocklists.TRAILING_DOTS, ""), r"\.")
    parents = F.transform(
        F.sequence(F.lit(1), F.size(labels)), lambda start: F.array_join(F.slice(labels, start, F.size(labels)), ".")
    )
    pairs = hosts.where("host is not null").select("host", F.explode(parents).alias("domain"))
    return pairs.join(domains, "domain").groupBy("host").agg(_reasons())


def blocked_urls(pages: DataFrame, prefixes: DataFrame) -> DataFrame:
    """(doc_id, reasons): the pages (doc_id, host, url) whose URL is one of the prefixes (host, prefix, reason) or lies
    below one; reasons sorted. Only URLs of hosts that have a prefix are parsed."""
    host = F.regexp_replace(F.regexp_replace(F.lower("host"), blocklists.TRAILING_DOTS, ""), blocklists.WWW, "")
    of_hosts = pages.select("doc_id", "url", host.alias("host")).join(
        prefixes.select("host").distinct(), "host", "semi"
    )
    bare = F.lower("url")
    for pattern in (blocklists.SCHEME_AND_USER, blocklists.FRAGMENT):
        bare = F.regexp_replace(bare, pattern, "")
    path = F.regexp_replace(bare, "^[^/?]*", "")
    segments = F.split(F.regexp_replace(path, r"\?.*$", ""), "/")
    prefix = F.transform(
        F.sequence(F.lit(1), F.size(segments)),
        lambda end: F.concat(F.col("host"), F.array_join(F.slice(segments, 1, end), "/")),
    )
    whole = F.when(path.contains("?"), F.array(F.concat("host", path))).otherwise(F.array().cast("array<string>"))
    pairs = of_hosts.select("doc_id", F.explode(F.concat(prefix, whole)).alias("prefix"))
    return pairs.join(prefixes, "prefix").groupBy("doc_id").agg(_reasons())


def _reasons() -> Column:
    return F.sort_array(F.collect_set("reason")).alias("reasons")


def sum_verdicts(batch: pa.RecordBatch) -> dict[str, int]:
    """Counts of verdicts (doc_id, accepted, reasons, num_chars), taken while they are written."""
    accepted, chars = batch.column("accepted"), batch.column("num_chars")
    sums = {
        "survivors": batch.num_rows,
        "survivors_chars": pc.sum(chars).as_py() or 0,
        "accepted": pc.sum(accepted).as_py() or 0,
        "accepted_chars": pc.sum(chars.filter(accepted)).as_py() or 0,
    }
    for reason in pc.value_counts(batch.column("reasons").flatten()).to_pylist():
        sums[f"rejected:{reason['values']}"] = reason["counts"]
    return sums
