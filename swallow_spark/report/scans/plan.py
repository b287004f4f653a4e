"""What the scans of a corpus's report read and look for."""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

from swallow_spark.config.decide import Bound
from swallow_spark.corpus.corpus import Manifest
from swallow_spark.kernels import features
from swallow_spark.report.finished import Finished
from swallow_spark.report.scans.narrow import Edge, Feature, Part, Plan
from swallow_spark.tables import CRAWL_SHIFT

_CRAWL: Final = re.compile(r"/crawl=([^/]+)/")
_FRACTIONS: Final = tuple(number / 100 for number in range(1, 101))
_COUNTS: Final = tuple(sorted({round(2 ** (number / 4)) for number in range(89)}))  # 1 to 4 million
_OTHERS: Final = tuple(2 ** (number / 4) for number in range(-16, 89))


def plan(have: Finished) -> Plan:
    config, summary = have.config, have.summary
    names = summary.get("subsets", {})
    edges: dict[str, list[Edge]] = {}
    score_of = {}
    for cut in have.cuts:
        subset = f"{cut['ranking']}-{cut['band']}"
        # Rankings that are made of ranks have no score of their own.
        if subset in names and cut["classifier"]:
            score_of[subset] = cut["classifier"]
            if end := cut["lower"]:
                edges.setdefault(cut["classifier"], []).append(Edge(subset, end["score"], end["doc_id"]))
    return Plan(
        root=have.corpus.root,
        seed=config.report.seed,
        sample_pages=config.report.sample_pages,
        token_seed=config.tokens.seed,
        token_pages=config.tokens.sample_pages if config.tokens.counting else 0,
        preset=config.rules.preset,
        sampled="" if have.decided else "survivors" if have.deduplicated else "pages",
        ranges={name: have.range_of(name) for name in summary.get("scores", {}) if name in config.classifiers},
        edges={name: tuple(found) for name, found in edges.items()},
        score_of=score_of,
        features={field.name: _feature(field, config.rules.bounds.get(field.name)) for field in features.SCHEMA},
        removed=removed(have),
    )


def removed(have: Finished) -> dict[str, tuple[str, ...]]:
    """crawl -> the files with its removed pages."""
    found: dict[str, tuple[str, ...]] = {}
    for part in _parts("removed", "", have.corpus.manifests("remove", "crawl="), "removed"):
        found[part.crawl] = (*found.get(part.crawl, ()), part.path)
    return found


def bounds_of(bound: Bound) -> Iterator[tuple[float, str, bool]]:
    """The smallest number on the upper side of each of the bounds, the bound in words, and whether the lower side is
    rejected."""
    if bound.min is not None:
        yield bound.min, f"below {bound.min:g}", True
    if bound.max is not None:
        yield math.nextafter(bound.max, math.inf), f"above {bound.max:g}", False
    if bound.below is not None:
        yield bound.below, f"{bound.below:g} or above", False


def _feature(field: pa.Field, bound: Bound | None) -> Feature:
    counts = _COUNTS if pa.types.is_integer(field.type) else _OTHERS
    grid = _FRACTIONS if "_fraction" in field.name else counts
    own = [edge for edge, _, _ in bounds_of(bound)] if bound else []
    edges = tuple(sorted({*map(float, grid), *own}))
    return Feature(edges, tuple(edges.index(edge) for edge in own))


def narrow_parts(have: Finished) -> Iterator[Part]:
    """The files of the one scan."""
    yield from _parts("pages", "", have.ingested, "pages")
    yield from _parts("failures", "", have.ingested, "failures")
    yield from _parts("groups", "", have.deduplicated, "groups")
    yield from _parts("duplicates", "", have.deduplicated, "duplicates")
    yield from _parts("features", "", have.corpus.manifests("measure"), "features")
    for preset in have.presets if have.config.tokens.counting else (have.config.rules.preset,):
        units = have.corpus.manifests("decide", f"preset={preset}/")
        yield from _parts("verdicts", preset, units, f"verdicts/preset={preset}")
    yield from score_parts(have)
    yield from subset_parts(have)


def score_parts(have: Finished) -> Iterator[Part]:
    for name in have.summary.get("scores", {}):
        units = have.corpus.manifests("score", f"classifier={name}/")
        yield from _parts("scores", name, units, f"scores/classifier={name}")


def subset_parts(have: Finished) -> Iterator[Part]:
    units = have.corpus.manifests("select", "crawl=")
    for name in have.summary.get("subsets", {}):
        yield from _parts("subsets", name, units, f"subsets/{name}")


def parts_of_chosen(have: Finished, doc_ids: Iterable[int]) -> Iterator[Part]:
    """The files that may say something of the pages, by the crawls that these are of."""
    preset = have.config.rules.preset
    crawls = {have.crawls.get(number) for number in {doc_id >> CRAWL_SHIFT for doc_id in doc_ids}}
    parts = [
        *_parts("pages", "", have.ingested, "pages"),
        *_parts("verdicts", preset, have.decided, f"verdicts/preset={preset}"),
        *score_parts(have),
        *subset_parts(have),
    ]
    return (part for part in parts if part.crawl in crawls)


def _parts(kind: str, name: str, units: Iterable[Manifest], table: str) -> Iterator[Part]:
    for unit in units:
        for file in unit.files:
            if file.table == table and (crawl := _CRAWL.search(f"/{file.path}")):
                yield Part(kind, name, crawl[1], file.path, file.rows)
