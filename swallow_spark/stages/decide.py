"""Decide: a preset of rules over features and hosts. Catalyst only: no text is read, no Python runs."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as everywhere in Spark programs

from swallow_spark.config import Rules
from swallow_spark.tables import VERDICTS


def decide(features: DataFrame, kept: DataFrame, blocked: DataFrame, rules: Rules) -> DataFrame:
    """A verdict on each page that dedup keeps, with all the reasons against it.

    features: doc_id, host, num_chars and a column for each rule's feature. kept: doc_id. blocked: host, the hosts
    whose pages are rejected (see `blocked_hosts`). The result has the columns of tables.VERDICTS, and num_chars; the
    reasons are in the order of the rules, `host:blocked` last. A feature that was not measured (null) rejects nothing.
    """
    reasons = [F.when(broken, F.lit(reason)) for reason, broken in _rules(rules)]
    marked = features.join(F.broadcast(blocked.withColumn("_blocked", F.lit(True))), "host", "left")
    reasons.append(F.when(F.col("_blocked"), F.lit("host:blocked")))
    return (
        marked.join(kept, "doc_id", "left_semi")
        .withColumn("reasons", F.array_compact(F.array(*reasons)))
        .withColumn("accepted", F.size("reasons") == 0)
        .select(*VERDICTS.names, "num_chars")
    )


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
    """Of distinct hosts (host), those that are one of the domains (domain) or lie below one."""
    labels = F.split(F.regexp_replace(F.lower("host"), r"\.+$", ""), r"\.")
    parents = F.transform(
        F.sequence(F.lit(1), F.size(labels)), lambda start: F.array_join(F.slice(labels, start, F.size(labels)), ".")
    )
    pairs = hosts.where("host is not null").select("host", F.explode(parents).alias("domain"))
    return pairs.join(domains.distinct(), "domain", "left_semi").select("host").distinct()


def normalised_domains(lines: DataFrame) -> DataFrame:
    """Domains from the lines of host lists (value): lower case, without comments, blanks, leading and trailing dots."""
    domain = F.regexp_replace(F.lower(F.trim(F.regexp_replace("value", "#.*$", ""))), r"^(\*?\.)+|\.+$", "")
    return lines.select(domain.alias("domain")).where("domain != ''").distinct()
