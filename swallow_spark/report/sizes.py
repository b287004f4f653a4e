"""How large the corpus is at each step, in pages, characters and tokens, and how far the rankings agree."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.config import Config
from swallow_spark.corpus import Corpus
from swallow_spark.lineage import Lineage
from swallow_spark.report.contents import Overlap, Size, Sizes
from swallow_spark.report.finished import Finished, is_any_of
from swallow_spark.stages.tokens import Counting, measure, put_tokenizer
from swallow_spark.tables import VERDICTS

_PRESETS: Final = ("swallow-v1", "swallow-v2")  # those that the table is to compare, whatever else is decided


def sizes(have: Finished) -> Sizes:
    """Pages, characters and tokens of all steps: tokens are exact where they are counted, else estimated from a sample
    of the step's texts; not told where no tokenizer is configured."""
    section, summary = have.config.tokens, have.summary
    counting = put_tokenizer(have.corpus.root, section) if section.counting else None
    pages = have.pages().select("doc_id", "text")
    rows = [_size(have, "Japanese pages", summary["pages"], summary["pages_characters"], counting, pages, pages)]
    if "survivors" in summary:
        kept, characters = have.groups(), summary.get("survivors_characters")
        rows.append(_size(have, "after dedup", summary["survivors"], characters, counting, kept, pages))
    for preset in dict.fromkeys((*_PRESETS, *_decided(have.corpus))):
        units = have.corpus.manifests("decide", f"preset={preset}/")
        if not units:
            rows.append(Size(f"rules {preset}", None, None))
            continue
        accepted, characters = (sum(m.counts.get(key, 0) for m in units) for key in ("accepted", "accepted_chars"))
        verdicts = have.corpus.read(have.spark, f"verdicts/preset={preset}", VERDICTS, units).where("accepted")
        rows.append(_size(have, f"rules {preset}", accepted, characters, counting, verdicts, pages))
    for name, subset in summary.get("subsets", {}).items():
        documents, characters = subset["documents"], subset["characters"]
        exact = exact_tokens(have.corpus, have.config, name) if counting else None
        if exact is not None:
            rows.append(Size(name, documents, characters, exact, 0.0))
        else:
            own = have.subset(name).select("doc_id", "text")
            rows.append(_size(have, name, documents, characters, counting, own, own))
    return Sizes(tuple(rows), section.title if counting else None, section.sample_pages, section.seed)


def _decided(corpus: Corpus) -> Iterable[str]:
    return sorted({m.unit.partition("/")[0].removeprefix("preset=") for m in corpus.manifests("decide")})


def _size(
    have: Finished,
    name: str,
    documents: int,
    characters: int | None,
    counting: Counting | None,
    rows: DataFrame,
    texts: DataFrame,
) -> Size:
    """A row of the table; `texts` (doc_id, text) hold those of the pages in `rows` (doc_id)."""
    if not counting or characters is None:
        return Size(name, documents, characters)
    section = have.config.tokens
    by_hash = rows.select("doc_id").orderBy(F.xxhash64("doc_id", F.lit(section.seed)), "doc_id")
    chosen = [row.doc_id for row in by_hash.limit(section.sample_pages).collect()]
    counted = measure(texts.where(is_any_of("doc_id", sorted(chosen))), counting).collect() if chosen else []
    return Size(name, documents, characters, *estimate([tuple(row) for row in counted], documents, characters))


def estimate(sample: Sequence[tuple[int, int]], documents: int, characters: int) -> tuple[int, float]:
    """The tokens of all documents, and the standard error of that, from the (characters, tokens) of some of them.

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


def exact_tokens(corpus: Corpus, config: Config, name: str) -> int | None:
    """The tokens of a subset by the configured tokenizer; None where they aren't all counted."""
    lineage, total = Lineage(config), 0
    texts = {manifest.unit: manifest for manifest in corpus.manifests("select", "crawl=")}
    for pages in corpus.manifests("ingest"):
        due = lineage.tokens(name, pages, [texts[pages.unit]]) if pages.unit in texts else None
        counted = corpus.manifest(due.unit) if due and due.is_done(corpus) else None
        if not counted:
            return None
        total += counted.counts.get("tokens", 0)
    return total


def overlaps(have: Finished) -> tuple[Overlap, ...]:
    """For each band that several rankings have: which share of one's pages are in another's."""
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
