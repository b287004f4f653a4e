"""Size of the corpus at each step, in pages, characters and tokens, and the overlap of rankings."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.report.contents import Overlap, Size, Sizes
from swallow_spark.report.finished import Finished, is_any_of
from swallow_spark.stages.stage import Lineage
from swallow_spark.stages.tokens.tasks import Counting, measure, put_tokenizer
from swallow_spark.tables import VERDICTS

_PRESETS: Final = ("swallow-v1", "swallow-v2")  # always in the table


class _Step(NamedTuple):
    """A step before its tokens are known; `rows` (doc_id) are its pages."""

    name: str
    documents: int
    characters: int | None
    rows: DataFrame


def sizes(have: Finished) -> Sizes:
    """Pages, characters and tokens of all steps. Tokens that aren't counted are estimated from a sample of the step's
    texts; without a configured tokenizer there are none."""
    section = have.config.tokens
    counting = put_tokenizer(have.corpus.root, section) if section.counting else None
    steps = list(_steps(have))
    to_estimate = [step for step in steps if isinstance(step, _Step)]
    of_pages = _estimates(have, counting, to_estimate, have.pages("doc_id", "text"))
    rows = [of_pages[step.name] if isinstance(step, _Step) else step for step in steps]
    for name, subset in have.summary.get("subsets", {}).items():
        exact = exact_tokens(have.lineage, name) if counting else None
        if exact is not None:
            rows.append(Size(name, subset["documents"], subset["characters"], exact, 0.0))
        else:
            step = _Step(name, subset["documents"], subset["characters"], have.subset(name, "doc_id"))
            rows += _estimates(have, counting, [step], have.subset(name, "doc_id", "text")).values()
    return Sizes(tuple(rows), section.title if counting else None, section.sample_pages, section.seed)


def _steps(have: Finished) -> Iterator[_Step | Size]:
    """The steps before the subsets; a preset without verdicts gives a row without numbers."""
    summary = have.summary
    yield _Step("pages", summary["pages"], summary["pages_characters"], have.pages("doc_id"))
    if "survivors" in summary:
        yield _Step("after dedup", summary["survivors"], summary.get("survivors_characters"), have.groups())
    decided = sorted({m.unit.partition("/")[0].removeprefix("preset=") for m in have.corpus.manifests("decide")})
    for preset in dict.fromkeys((*_PRESETS, *decided)):
        units = have.corpus.manifests("decide", f"preset={preset}/")
        if units:
            accepted, characters = (sum(m.counts.get(key, 0) for m in units) for key in ("accepted", "accepted_chars"))
            rows = have.corpus.read(have.spark, f"verdicts/preset={preset}", VERDICTS, units).where("accepted")
            yield _Step(f"rules {preset}", accepted, characters, rows)
        else:
            yield Size(f"rules {preset}", None, None)


def _estimates(have: Finished, counting: Counting | None, steps: Sequence[_Step], texts: DataFrame) -> dict[str, Size]:
    """The sizes of steps whose texts (doc_id, text) are in one table, which is read once."""
    section = have.config.tokens
    sampled: dict[str, list[int]] = {}
    for step in steps if counting else ():
        by_hash = step.rows.select("doc_id").orderBy(F.xxhash64("doc_id", F.lit(section.seed)), "doc_id")
        sampled[step.name] = [row.doc_id for row in by_hash.limit(section.sample_pages).collect()]
    wanted = sorted({doc_id for doc_ids in sampled.values() for doc_id in doc_ids})
    lengths: dict[int, tuple[int, int]] = {}
    if counting and wanted:
        for row in measure(texts.where(is_any_of("doc_id", wanted)), counting).collect():
            lengths[row.doc_id] = row.num_chars, row.num_tokens
    found = {}
    for step in steps:
        name, documents, characters, _ = step
        told: tuple[int | None, float | None] = None, None
        if counting and characters is not None:
            told = estimate([lengths[doc_id] for doc_id in sampled[name]], documents, characters)
        found[name] = Size(name, documents, characters, *told)
    return found


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
