"""The summary of a corpus: the numbers of every stage, from the manifests alone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swallow_spark.addresses import shown
from swallow_spark.corpus.corpus import Corpus, Manifest
from swallow_spark.kernels.text.personal import KINDS

MOST_NAMED = 20
"""Files in `files_not_read`."""
_REASONS_NAMED = 3
CLEANED = ("host_lines", *(f"masked_{kind}" for kind in KINDS))
"""Counts of a subset's dropped lines and masked personal data, present if above 0."""


def summarise(corpus: Corpus, preset: str, classifiers: Iterable[str], selection: str | None = None) -> dict[str, Any]:
    """The keys of `build --json` for the stages that have run: numbers of pages, and of characters.

    selection: the fingerprint of `select`; subsets of another preset or configuration are left out.
    warnings: what a user should look into.
    records = pages + the sum of passed_over + the sum of failures; pages = duplicates + survivors.
    """
    ingested = corpus.manifests("ingest")
    sums = _sums(ingested)
    summary: dict[str, Any] = {
        "records": sums["records"],
        "pages": sums["page"],
        "pages_characters": sums["chars"],
        "passed_over": _by_reason(sums, "passed_over:"),
        "failures": _by_reason(sums, "failure:"),
        "file_failures": _by_reason(sums - _read_since(ingested), "file_failure:"),
        "files": sum(last - first + 1 for manifest in ingested for first, last in manifest.covers),
    }
    if not_read := _not_read(corpus, ingested):
        summary["files_not_read"] = not_read
    if sums["bytes_fetched"]:  # selected by an index
        summary["bytes_fetched"] = sums["bytes_fetched"]
        summary["bytes_of_files_fetched_from"] = sums["bytes_of_files"]
    if corpus.manifests("tombstones"):
        summary["removed"] = removal(corpus)
    if deduplicated := corpus.manifests("deduplicate"):
        summary["duplicates"] = sum(manifest.rows("duplicates") for manifest in deduplicated)
        summary["survivors"] = sum(manifest.rows("groups") for manifest in deduplicated)
        summary["dedup"] = {name: value for manifest in deduplicated for name, value in manifest.counts.items()}
    if decided := corpus.manifests("decide", f"preset={preset}/"):
        sums = _sums(decided)
        summary["preset"] = preset
        summary["survivors_characters"] = sums["survivors_chars"]
        summary["accepted"] = sums["accepted"]
        summary["accepted_characters"] = sums["accepted_chars"]
        summary["rejected"] = _by_reason(sums, "rejected:")
        if warning := _of_few(preset, sum(file.rows for m in decided for file in m.files), summary):
            summary["warnings"] = [warning]
    scored = {name: corpus.manifests("score", f"classifier={name}/") for name in classifiers}
    if any(scored.values()):
        summary["scores"] = {
            name: sum(file.rows for m in manifests for file in m.files) for name, manifests in scored.items()
        }
    if (cuts := corpus.manifests("select", "cuts")) and selection in (None, cuts[0].fingerprint):
        summary["thresholds"] = _thresholds(cuts[0])
        summary["subsets"] = _subsets(corpus, cuts[0])
        summary["overlap"] = _overlap(corpus, summary["subsets"])
    return summary


def _of_few(preset: str, pages: int, summary: Mapping[str, Any]) -> str | None:
    """What to say of rules that reject more than nine pages in ten: usually a bound is wrong, or a list."""
    if summary["accepted"] * 10 >= pages:
        return None
    share = "all" if not summary["accepted"] else f"{1 - summary['accepted'] / pages:.1%} of the"
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in list(summary["rejected"].items())[:_REASONS_NAMED])
    return f"the rules of {preset} reject {share} {pages:,} pages that they decide on; most often: {reasons}"


def _read_since(ingested: Sequence[Manifest]) -> Counter[str]:
    """Counts of failed files that a later batch has read, or tried again."""
    stale: Counter[str] = Counter()
    tried: set[tuple[str, str]] = set()
    for manifest in sorted(ingested, key=lambda manifest: manifest.finished, reverse=True):
        if not (not_read := manifest.details.get("not_read")):
            continue
        crawl = manifest.unit.partition("/")[0]
        ranges = [r for m in ingested if m.unit.startswith(f"{crawl}/") for r in m.covers]
        for number, reason in not_read.items():
            if (crawl, number) in tried or any(first <= int(number) <= last for first, last in ranges):
                stale[f"file_failure:{reason}"] += 1
            tried.add((crawl, number))
    return stale


def _not_read(corpus: Corpus, ingested: Sequence[Manifest]) -> dict[str, str]:
    """The path of each file that no batch has read, MOST_NAMED at most, and its format, or the reason."""
    found: dict[str, str] = {}
    paths: dict[str, dict[str, str]] = {}  # of pending files, by crawl and file_no
    for manifest in ingested:
        reasons = manifest.details.get("not_read") or {}
        formats = manifest.details.get("formats", {})
        crawl = manifest.unit.partition("/")[0].removeprefix("crawl=")
        if reasons and crawl not in paths:
            paths[crawl] = {str(file.file_no): file.path for file in corpus.pending(crawl)}
        pending = paths.get(crawl, {})
        for number, reason in reasons.items():
            if number in pending and len(found) < MOST_NAMED:
                found[shown(pending[number])] = formats.get(number, reason)
    return found


def removal(corpus: Corpus) -> dict[str, int]:
    """Numbers of removed hosts and URLs, of their pages in the corpus, and of pages with the same text."""
    listed = _sums(corpus.manifests("tombstones"))
    found = corpus.manifests("remove")
    return {
        "hosts": listed["host"],
        "urls": listed["url"],
        "pages": _sums(found)["removed"],
        "duplicates": sum(manifest.rows("removed_duplicates") for manifest in found),
    }


def _sums(manifests: Iterable[Manifest]) -> Counter[str]:
    total: Counter[str] = Counter()
    for manifest in manifests:
        total.update(manifest.counts)
    return total


def _by_reason(sums: Counter[str], prefix: str) -> dict[str, int]:
    """Reasons with their counts, the most frequent first."""
    found = [(name.removeprefix(prefix), number) for name, number in sums.items() if name.startswith(prefix) and number]
    return dict(sorted(found, key=lambda entry: (-entry[1], entry[0])))


def _thresholds(cuts: Manifest) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for cut in cuts.details["cuts"]:
        found.setdefault(cut["ranking"], {})[cut["band"]] = cut["lower"] and cut["lower"]["score"]
    return found


def _subsets(corpus: Corpus, cuts: Manifest) -> dict[str, dict[str, int]]:
    batches = corpus.manifests("select", "crawl=")
    sums = _sums(batches)
    return {
        name: {
            "documents": sum(manifest.rows(f"subsets/{name}") for manifest in batches),
            "characters": sums[f"chars:subsets/{name}"],
            "trimmed": sums[f"trimmed:subsets/{name}"],
            "emptied": sums[f"emptied:subsets/{name}"],
            **{kind: number for kind in CLEANED if (number := sums[f"{kind}:subsets/{name}"])},
        }
        for name in cuts.details["subsets"]
    }


def _overlap(corpus: Corpus, subsets: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float | None]]:
    """subset -> other subset -> the share of its pages that are also in the other; None if it has none."""
    sums = _sums(corpus.manifests("select", "crawl="))

    def share(one: str, other: str) -> float | None:
        both = sum(sums[f"both:subsets/{a}:subsets/{b}"] for a, b in ((one, other), (other, one)))
        documents = subsets[one]["documents"]
        return (documents if one == other else both) / documents if documents else None

    return {one: {other: share(one, other) for other in subsets} for one in subsets}
