"""The report's figures. Most are in the manifests; of others, only small aggregates reach the driver."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.kernels.features import LISTS
from swallow_spark.kernels.order.capacity import needs
from swallow_spark.report.contents import (
    Crawl,
    Cut,
    Dedup,
    Failure,
    Group,
    GroupSize,
    Histogram,
    Ledger,
    Page,
    Rule,
    Rules,
    Scores,
    SentenceBounds,
    Share,
    Sources,
    Step,
    Subset,
)
from swallow_spark.report.finished import Finished, day, without_secrets
from swallow_spark.tables import BYTES_PER_FILE_NO

FIRST_FAILURES: Final = 50
_TOP_HOSTS: Final = 20
_SIMILARITY_BINS: Final = 50
_SCORE_BINS: Final = 60
_SENTENCE_BOUNDS: Final = ((20, 90), (20, 200))
_SCOPES: Final = ("file", "gap", "record")
_CLEANED: Final = {
    "host_lines": "lines dropped that repeat on their host",
    "trimmed": "footers trimmed",
    "emptied": "pages emptied and left out",
    "masked_mail": "mail addresses masked",
    "masked_phone": "phone numbers masked",
    "masked_postal_code": "postal codes masked",
}


def funnel(have: Finished) -> tuple[Step, ...]:
    """The steps that are done, from records to subsets."""
    summary = have.summary
    steps = [
        Step("records", summary["records"]),
        Step("pages", summary["pages"], summary["pages_characters"], summary["records"]),
    ]
    if "survivors" in summary:
        # decide counts their characters, so these may not be known yet.
        steps.append(Step("after dedup", summary["survivors"], summary.get("survivors_characters"), summary["pages"]))
    if "accepted" in summary:
        accepted = summary["accepted"]
        steps.append(Step("accepted by the rules", accepted, summary["accepted_characters"], summary["survivors"]))
        for name, subset in summary.get("subsets", {}).items():
            steps.append(Step(name, subset["documents"], subset["characters"], accepted, is_subset=True))
    return tuple(steps)


def ledger(have: Finished) -> Ledger:
    """Outcomes of the records, with the first failures: files and gaps before records."""
    summary = have.summary
    return Ledger(
        summary["records"],
        summary["pages"],
        summary["passed_over"],
        summary["failures"],
        summary["file_failures"],
        tuple(_first_failures(have)),
        summary["files"],
        have.files_pending,
    )


def _first_failures(have: Finished) -> list[Failure]:
    rank = F.array_position(F.array(*map(F.lit, _SCOPES)), F.col("scope"))
    found: list[tuple[int, Failure]] = []
    for crawl in have.crawls.values():
        rows = have.failures(crawl)
        if rows is None:
            continue
        first = rows.orderBy(rank, "file_no", "offset", "stage", "reason").limit(FIRST_FAILURES).collect()
        inputs = {
            number: (without_secrets(file.path), (number - file.file_no) * BYTES_PER_FILE_NO)
            for file in have.corpus.inputs(crawl)
            for number in range(file.file_no, file.last_file_no + 1)
        }
        for row in first:
            path, base = inputs.get(row.file_no, (f"file {row.file_no} of {crawl}", 0))
            failure = Failure(path, base + row.offset, row.scope, row.stage, row.reason, row.detail or "")
            found.append((_SCOPES.index(row.scope), failure))
    return [failure for _, failure in sorted(found, key=lambda entry: entry[0])[:FIRST_FAILURES]]


def dedup(have: Finished, largest: Sequence[Mapping[str, Any]], pages: Mapping[int, Page]) -> Dedup:
    """Sizes of groups and similarities; `largest` are rows of `groups`."""
    groups = have.groups()
    # 1, 2, 3-4, 5-8, …: the bin of n pages is the number of binary digits of n - 1, the number of duplicates.
    digits = F.when(F.col("num_duplicates") == 0, 0).otherwise(F.length(F.bin("num_duplicates")))
    counted = groups.groupBy(digits.alias("digits")).count().collect()
    sizes = [
        GroupSize(1 if not row.digits else (1 << (row.digits - 1)) + 1, 1 << row.digits, row["count"])
        for row in sorted(counted, key=lambda row: row.digits)
    ]
    similarity = have.duplicates().select("similarity")
    sketch, found = have.config.sketch, have.summary["dedup"]
    return Dedup(
        policy=have.config.dedup.policy,
        prefer=have.config.dedup.prefer,
        min_similarity=have.config.dedup.min_similarity,
        bands=sketch.bands,
        rows_per_band=sketch.rows_per_band,
        shingle_chars=sketch.shingle_chars,
        duplicates=have.summary["duplicates"],
        exact_copies=found.get("exact_copies", 0),
        survivors=have.summary["survivors"],
        changes={name: found[name] for name in ("kept_before_dropped_now", "dropped_before_kept_now") if name in found},
        sizes=tuple(sizes),
        similarities=histogram(similarity, "similarity", 0, 1, _SIMILARITY_BINS),
        largest=tuple(Group(pages[row["doc_id"]], row["num_duplicates"]) for row in largest if row["doc_id"] in pages),
        needs=needs(
            max(1, have.summary["pages"]),
            bands=sketch.bands,
            rows_per_band=sketch.rows_per_band,
            bands_per_pass=have.config.execution.bands_per_pass,
        ),
    )


def rules(have: Finished) -> Rules:
    """Pages that each rule of the preset rejects, in the preset's order."""
    section, rejected = have.config.rules, have.summary["rejected"]
    only = have.verdicts().where(F.size("reasons") == 1).groupBy(F.col("reasons")[0].alias("reason")).count()
    alone = {row.reason: row["count"] for row in only.collect()}
    described: dict[str, tuple[str, str]] = {}
    for feature, bound in section.bounds.items():
        if bound.min is not None:
            described[f"{feature}:low"] = f"below {bound.min:g}", bound.source
        if bound.max is not None:
            described[f"{feature}:high"] = f"above {bound.max:g}", bound.source
        if bound.below is not None:
            described[f"{feature}:high"] = f"{bound.below:g} or above", bound.source
    for reason, (bound_of, source) in described.items():
        key = LISTS.get(reason.rpartition(":")[0])
        if key and key not in have.config.features.lists:
            described[reason] = f"{bound_of} (not measured: features.{key} names no list)", source
    if section.hosts or section.host_lists:
        described["host:blocked"] = "host or a domain above it is listed", "configuration: rules.hosts, host_lists"
    if section.url_prefixes or section.url_lists:
        described["url:blocked"] = "URL begins with a listed prefix", "configuration: rules.url_prefixes, url_lists"
    for blocklist in section.blocklists:
        for kind, files in (("host", blocklist.files("domains")), ("url", blocklist.files("urls"))):
            for category in files:
                described[f"{kind}:{category}"] = f"{kind} listed under {category}", f"{blocklist.directory.name}"
    if have.config.decontamination.against:
        names = ", ".join(without_secrets(listing.location) for listing in have.config.decontamination.against)
        share = f"at least {have.config.decontamination.rejected_from:.0%} of a benchmark question"
        described["contaminated"] = share, names
    for reason in sorted(set(rejected) - set(described)):
        described[reason] = "not a rule of this configuration", "verdicts of an earlier one"
    return Rules(
        preset=section.preset,
        survivors=sum(manifest.counts.get("survivors", 0) for manifest in have.decided),
        accepted=have.summary["accepted"],
        rules=tuple(
            Rule(reason, bound, source, rejected.get(reason, 0), alone.get(reason, 0))
            for reason, (bound, source) in described.items()
        ),
        hosts=section.hosts,
        host_lists=(
            *(path.name for path in section.host_lists),
            *(f"{b.directory.name}/{category}" for b in section.blocklists for category in b.files("domains")),
        ),
        sentence_bounds=_sentence_bounds(have) if "avg_sentence_length" in section.bounds else (),
    )


def _sentence_bounds(have: Finished) -> tuple[SentenceBounds, ...]:
    """v2's sources disagree on this rule: the preset has v1's bounds, v2's table prints others."""
    others = F.filter("reasons", lambda reason: ~reason.startswith("avg_sentence_length:"))
    length = F.col("avg_sentence_length")
    features = have.features().select("doc_id", length)
    rows = features.join(have.verdicts().select("doc_id", (F.size(others) == 0).alias("passes_others")), "doc_id")
    counts = []
    for low, high in _SENTENCE_BOUNDS:
        outside = (length < low) | (length > high)
        counts += [F.count_if(outside), F.count_if(outside & F.col("passes_others"))]
    found = list(rows.agg(*(count.alias(f"n{i}") for i, count in enumerate(counts))).collect()[0])
    return tuple(SentenceBounds(*bounds, *found[2 * i : 2 * i + 2]) for i, bounds in enumerate(_SENTENCE_BOUNDS))


def scores(have: Finished) -> tuple[Scores, ...]:
    """Each classifier's scores, over the range of its weights."""
    found = []
    for name, classifier in have.config.classifiers.items():
        if not have.summary.get("scores", {}).get(name):
            continue
        low, high = min(0.0, *classifier.weights.values()), max(0.0, *classifier.weights.values())
        bins = histogram(have.scores(name), "score", low, high if high > low else low + 1, _SCORE_BINS)
        cuts = [Cut(cut["band"], cut["lower"]["score"]) for cut in have.cuts if cut["ranking"] == name and cut["lower"]]
        found.append(Scores(name, dict(classifier.weights), bins, tuple(cuts)))
    return tuple(found)


def subsets(have: Finished) -> tuple[Subset, ...]:
    """The subsets; unions and intersections have no last document."""
    last = {f"{cut['ranking']}-{cut['band']}": cut["lower"] or {} for cut in have.cuts}
    found = []
    for name, size in have.summary.get("subsets", {}).items():
        lower = last.get(name, {})
        cleaned = {words: size[key] for key, words in _CLEANED.items() if size.get(key)}
        documents, characters = size["documents"], size["characters"]
        found.append(Subset(name, documents, characters, lower.get("score"), lower.get("doc_id"), cleaned))
    return tuple(found)


def sources(have: Finished) -> Sources:
    """Hosts of the pages at the latest step done; charsets and dates of all pages."""
    pages = have.pages()
    narrow, hosts_of, total = pages.select("doc_id", "host", "num_chars"), "pages", have.summary["pages"]
    if have.decided:
        accepted = have.verdicts().where("accepted").select("doc_id")
        narrow, hosts_of, total = narrow.join(accepted, "doc_id"), "accepted pages", have.summary["accepted"]
    elif have.deduplicated:
        kept = have.groups().select("doc_id")
        narrow, hosts_of, total = narrow.join(kept, "doc_id"), "kept pages", have.summary["survivors"]
    sums = [F.count("*").alias("documents"), F.sum("num_chars").alias("characters")]
    hosts = narrow.groupBy("host").agg(*sums).orderBy(F.col("documents").desc(), "host").limit(_TOP_HOSTS)
    # A few dozen rows, since the decoder knows few charsets.
    crawl_no = F.shiftright("doc_id", 53).cast("int").alias("crawl_no")
    dates = [F.unix_micros(edge("date")).alias(name) for name, edge in (("first", F.min), ("last", F.max))]
    parts = pages.groupBy(crawl_no, "charset").agg(*sums, *dates).collect()
    charsets: dict[str | None, tuple[int, int]] = {}
    for part in parts:
        documents, characters = charsets.get(part.charset, (0, 0))
        charsets[part.charset] = documents + part.documents, characters + part.characters
    ordered = sorted(charsets.items(), key=lambda entry: (-entry[1][0], entry[0] or ""))
    return Sources(
        hosts_of,
        total,
        tuple(Share(row.host, row.documents, row.characters) for row in hosts.collect()),
        tuple(Share(name, *counts) for name, counts in ordered),
        tuple(_crawl(have, number, name, parts) for number, name in have.crawls.items()),
    )


def _crawl(have: Finished, crawl_no: int, name: str, parts: Sequence[Any]) -> Crawl:
    own = [part for part in parts if part.crawl_no == crawl_no]
    survivors = accepted = None
    if have.deduplicated:
        files = [file for manifest in have.deduplicated for file in manifest.files if file.table == "groups"]
        survivors = sum(file.rows for file in files if f"/crawl={name}/" in file.path)
    if have.decided:
        accepted = sum(m.counts.get("accepted", 0) for m in have.decided if m.unit.endswith(f"/crawl={name}"))
    return Crawl(
        name,
        len(have.corpus.inputs(name)),
        sum(part.documents for part in own),
        survivors,
        accepted,
        day(min((part.first for part in own if part.first is not None), default=None)),
        day(max((part.last for part in own if part.last is not None), default=None)),
    )


def histogram(rows: DataFrame, column: str, low: float, high: float, bins: int) -> Histogram:
    """Counts over low..high in bins of equal width; values outside are counted in the outermost bins."""
    place = F.floor((F.col(column).cast("double") - F.lit(float(low))) / F.lit((high - low) / bins))
    within = F.greatest(F.lit(0), F.least(F.lit(bins - 1), place)).cast("int")
    counted = {row.bin: row["count"] for row in rows.groupBy(within.alias("bin")).count().collect()}
    return Histogram(low, high, tuple(counted.get(number, 0) for number in range(bins)))
