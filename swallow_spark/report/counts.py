"""The report's figures: those in the manifests, and those that the scans have counted."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from swallow_spark.config.decide import Bound
from swallow_spark.kernels.features import LISTS
from swallow_spark.kernels.order.capacity import needs
from swallow_spark.report.contents import (
    Bar,
    Bounded,
    Crawl,
    Cut,
    Dedup,
    Failure,
    Group,
    GroupSize,
    Hints,
    Histogram,
    Ledger,
    Pair,
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
from swallow_spark.report.scans.figures import Figures
from swallow_spark.report.scans.hosts import SENTENCE_BOUNDS
from swallow_spark.report.scans.narrow import (
    FIRST_FAILURES,
    ROBOTS,
    SCOPES,
    SCORE_BINS,
    SIMILARITY_BINS,
    Feature,
    Plan,
)
from swallow_spark.report.scans.plan import bounds_of
from swallow_spark.tables import BYTES_PER_FILE_NO

_MOST_PAIRS: Final = 20
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


def ledger(have: Finished, figures: Figures) -> Ledger:
    """Outcomes of the records, with the first failures: files and gaps before records."""
    summary = have.summary
    return Ledger(
        summary["records"],
        summary["pages"],
        summary["passed_over"],
        summary["failures"],
        summary["file_failures"],
        tuple(_first_failures(have, figures)),
        summary["files"],
        have.files_pending,
    )


def _first_failures(have: Finished, figures: Figures) -> list[Failure]:
    found: list[tuple[int, Failure]] = []
    for crawl in have.crawls.values():
        rows = figures.kept(("failures", crawl))
        if not rows:
            continue
        inputs = {
            number: (without_secrets(file.path), (number - file.file_no) * BYTES_PER_FILE_NO)
            for file in have.corpus.inputs(crawl)
            for number in range(file.file_no, file.last_file_no + 1)
        }
        for rank, file_no, offset, stage, reason, detail in rows:
            path, base = inputs.get(file_no, (f"file {file_no} of {crawl}", 0))
            found.append((rank, Failure(path, base + offset, SCOPES[rank], stage, reason, detail)))
    return [failure for _, failure in sorted(found, key=lambda entry: entry[0])[:FIRST_FAILURES]]


def dedup(have: Finished, figures: Figures, largest: tuple[Group, ...]) -> Dedup:
    """Sizes of groups and similarities."""
    sizes = [
        GroupSize(1 if not digits else (1 << (digits - 1)) + 1, 1 << digits, number)
        for digits, number in enumerate(figures.of("groups", 64))
        if number
    ]
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
        similarities=Histogram(0, 1, figures.of("similarity", SIMILARITY_BINS)),
        largest=largest,
        needs=needs(
            max(1, have.summary["pages"]),
            bands=sketch.bands,
            rows_per_band=sketch.rows_per_band,
            bands_per_pass=have.config.execution.bands_per_pass,
        ),
    )


def rules(have: Finished, figures: Figures, by_host: Figures) -> Rules:
    """Pages that each rule of the preset rejects, in the preset's order."""
    section, rejected = have.config.rules, have.summary["rejected"]
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
            Rule(reason, bound, source, rejected.get(reason, 0), figures.counts["alone", reason])
            for reason, (bound, source) in described.items()
        ),
        hosts=section.hosts,
        host_lists=(
            *(path.name for path in section.host_lists),
            *(f"{b.directory.name}/{category}" for b in section.blocklists for category in b.files("domains")),
        ),
        sentence_bounds=_sentence_bounds(by_host) if "avg_sentence_length" in section.bounds else (),
        pairs=_pairs(figures),
    )


def _pairs(figures: Figures) -> tuple[Pair, ...]:
    """The most frequent pairs of reasons."""
    counts = figures.counts.items()
    found = [Pair(key[1], key[2], n) for key, n in counts if isinstance(key, tuple) and key[0] == "both"]
    return tuple(sorted(found, key=lambda pair: (-pair.pages, pair.first, pair.second))[:_MOST_PAIRS])


def _sentence_bounds(by_host: Figures) -> tuple[SentenceBounds, ...]:
    """v2's sources disagree on this rule: the preset has v1's bounds, v2's table prints others."""
    return tuple(
        SentenceBounds(*bounds, *(by_host.counts["sentences", f"{kind}{i}"] for kind in ("all", "alone")))
        for i, bounds in enumerate(SENTENCE_BOUNDS)
    )


def features(have: Finished, plan: Plan, figures: Figures) -> tuple[Bounded, ...]:
    """The features' values: those with a bound first. Features that aren't measured are left out."""
    bounds = have.config.rules.bounds
    found = [_bounded(name, feature, bounds.get(name), figures) for name, feature in plan.features.items()]
    return tuple(sorted((one for one in found if one.total), key=lambda one: (not one.bounds, _place(one, bounds))))


def _place(one: Bounded, bounds: Mapping[str, Bound]) -> int:
    return list(bounds).index(one.name) if one.name in bounds else 0


def _bounded(name: str, feature: Feature, bound: Bound | None, figures: Figures) -> Bounded:
    counts = figures.of(("feature", name), len(feature.edges) + 1)
    own = list(bounds_of(bound)) if bound else []
    # What is shown: all but the last 0.5 % of the pages, and at least a little more than the bounds.
    total, so_far, last = sum(counts), 0, 0
    for place, number in enumerate(counts):
        if so_far < 0.995 * total:
            last = place
        so_far += number
    last = max([last, *(place + 2 for place in feature.bounds)])
    lows, highs = (0.0, *feature.edges), (*feature.edges, math.inf)
    bars = []
    for low, high, number in list(zip(lows, highs, counts, strict=True))[: last + 1]:
        rejected = any(high <= edge if is_low else low >= edge for edge, _, is_low in own)
        bars.append(Bar(low, high, number, rejected))
    said = tuple((edge, words) for edge, words, _ in own)
    return Bounded(name, tuple(bars), said, figures.counts["feature unknown", name], sum(counts[last + 1 :]))


def hints(figures: Figures) -> Hints:
    robots = {name: number for name in ROBOTS if (number := figures.counts["robots", name])}
    truncated = {value: figures.counts["truncated", value] for value in (True, False, None)}
    return Hints(robots, figures.counts["robots", ""], truncated)


def scores(have: Finished, figures: Figures) -> tuple[Scores, ...]:
    """Each classifier's scores, over the range of its weights."""
    found = []
    for name, classifier in have.config.classifiers.items():
        if not have.summary.get("scores", {}).get(name):
            continue
        bins = Histogram(*have.range_of(name), figures.of(("scores", name), SCORE_BINS))
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


def sources(have: Finished, figures: Figures, by_host: Figures) -> Sources:
    """Hosts of the pages at the latest step done; charsets and dates of all pages."""
    hosts_of, total = "pages", have.summary["pages"]
    if have.decided:
        hosts_of, total = "accepted pages", have.summary["accepted"]
    elif have.deduplicated:
        hosts_of, total = "kept pages", have.summary["survivors"]
    charsets: dict[str | None, Counter[str]] = {}
    for key, number in figures.counts.items():
        if isinstance(key, tuple) and key[0] in ("documents", "characters"):
            charsets.setdefault(key[2], Counter())[key[0]] += number
    ordered = sorted(charsets.items(), key=lambda entry: (-entry[1]["documents"], entry[0] or ""))
    return Sources(
        hosts_of,
        total,
        tuple(Share(name if is_known else None, -n, chars) for n, is_known, name, chars in by_host.kept("hosts")),
        tuple(Share(name, counts["documents"], counts["characters"]) for name, counts in ordered),
        tuple(_crawl(have, number, name, figures) for number, name in have.crawls.items()),
    )


def _crawl(have: Finished, crawl_no: int, name: str, figures: Figures) -> Crawl:
    first, last = (figures.kept((f"date_{edge}", crawl_no)) for edge in ("min", "max"))
    survivors = accepted = None
    if have.deduplicated:
        files = [file for manifest in have.deduplicated for file in manifest.files if file.table == "groups"]
        survivors = sum(file.rows for file in files if f"/crawl={name}/" in file.path)
    if have.decided:
        accepted = sum(m.counts.get("accepted", 0) for m in have.decided if m.unit.endswith(f"/crawl={name}"))
    return Crawl(
        name,
        len(have.corpus.inputs(name)),
        sum(m.counts.get("page", 0) for m in have.ingested if m.unit.startswith(f"crawl={name}/")),
        survivors,
        accepted,
        day(first[0][0] if first else None),
        day(-last[0][0] if last else None),
    )
