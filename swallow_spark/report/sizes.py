"""Size of the corpus at each step, in pages, characters and tokens, and the overlap of rankings."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from swallow_spark.report.contents import Overlap, Size, Sizes
from swallow_spark.report.finished import Finished
from swallow_spark.report.samples import Chosen
from swallow_spark.stages.stage import Lineage

_PRESETS: Final = ("swallow-v1", "swallow-v2")  # always in the table


def sizes(have: Finished, chosen: Chosen) -> Sizes:
    """Pages, characters and tokens of all steps. Tokens that aren't counted are estimated from a sample of the step's
    texts; without a configured tokenizer there are none."""
    section, rows = have.config.tokens, []
    for size in _steps(have):
        exact = None
        if section.counting and size.name in have.summary.get("subsets", {}):
            exact = exact_tokens(have.lineage, size.name)
        if exact is not None:
            size = size._replace(tokens=exact, error=0.0)
        elif section.counting and size.documents is not None and size.characters is not None:
            tokens, error = estimate(chosen.lengths(size.name), size.documents, size.characters)
            size = size._replace(tokens=tokens, error=error)
        rows.append(size)
    return Sizes(tuple(rows), section.title if section.counting else None, section.sample_pages, section.seed)


def _steps(have: Finished) -> Iterator[Size]:
    """The steps before their tokens are known; a preset without verdicts gives a row without numbers."""
    summary = have.summary
    yield Size("pages", summary["pages"], summary["pages_characters"])
    if "survivors" in summary:
        yield Size("after dedup", summary["survivors"], summary.get("survivors_characters"))
    for preset in dict.fromkeys((*_PRESETS, *have.presets)):
        units = have.corpus.manifests("decide", f"preset={preset}/")
        counts = (sum(m.counts.get(key, 0) for m in units) for key in ("accepted", "accepted_chars"))
        yield Size(f"rules {preset}", *(counts if units else (None, None)))
    for name, subset in summary.get("subsets", {}).items():
        yield Size(name, subset["documents"], subset["characters"])


def estimate(sample: Sequence[tuple[int, int]], documents: int, characters: int) -> tuple[int, float]:
    """The tokens of all documents and the standard error, from the (characters, tokens) of a sample.

    Ratio estimator and its error for a simple random sample without replacement: Cochran, Sampling Techniques, 3rd
    edition, 1977, section 6.4.
    """
    number, sampled = len(sample), sum(length for length, _ in sample)
    if not sampled:
        return 0, 0.0
    ratio = sum(tokens for _, tokens in sample) / sampled
    if number < 2 or number >= documents:
        return round(ratio * characters), 0.0 if number >= documents else math.inf
    spread = sum((tokens - ratio * length) ** 2 for length, tokens in sample) / (number - 1)
    return round(ratio * characters), documents * math.sqrt((1 - number / documents) * spread / number)


def exact_tokens(lineage: Lineage, name: str) -> int | None:
    """The tokens of a subset by the configured tokenizer; None if they aren't all counted."""
    due = lineage.due("subset_tokens", [name])
    if len(due) < lineage.number("ingest") or not all(one.is_done(lineage.corpus) for one in due):
        return None
    counted = [manifest for one in due if (manifest := lineage.corpus.manifest(one.unit))]
    return sum(manifest.counts.get("tokens", 0) for manifest in counted)


def overlaps(have: Finished) -> tuple[Overlap, ...]:
    """For each top-k band of several rankings: the share of one's pages that are in another's."""
    of_band: dict[str, list[str]] = {}
    for cut in have.cuts:
        if f"{cut['ranking']}-{cut['band']}" in have.summary.get("subsets", {}):
            of_band.setdefault(cut["band"], []).append(cut["ranking"])
    shares = have.summary.get("overlap", {})
    return tuple(
        Overlap(
            band,
            tuple(rankings),
            tuple(tuple(shares[f"{one}-{band}"].get(f"{other}-{band}") for other in rankings) for one in rankings),
        )
        for band, rankings in of_band.items()
        if len(rankings) > 1
    )
