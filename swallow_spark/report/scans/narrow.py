"""One scan of all narrow tables: each task reads whole files, of whatever tables, without their texts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from swallow_spark.corpus.read import Piece, read_piece
from swallow_spark.files.storage import Root
from swallow_spark.kernels.order.sampling import hashes
from swallow_spark.report.scans.figures import MOST_TASKS, SCHEMA, Figures, collected, smallest
from swallow_spark.tables import CRAWL_SHIFT, DUPLICATES, FAILURES, GROUPS, PAGES, REMOVED, SCORES, SUBSETS, VERDICTS

SIMILARITY_BINS: Final = 50
SCORE_BINS: Final = 60
FIRST_FAILURES: Final = 50
LARGEST_GROUPS: Final = 10
OF_REASON: Final = 3
BESIDE: Final = 2  # pages on either side of a bound or a cut
SCOPES: Final = ("file", "gap", "record")
ROBOTS: Final = ("noindex", "nofollow", "none", "noarchive", "nosnippet", "noimageindex", "noai", "noimageai")
_ROWS_OF_A_TASK: Final = 250_000
_ROWS_AT_ONCE: Final = 65_536
_MOST_CHARS: Final = 1000


class Part(NamedTuple):
    """A file to read: of which table, and of which preset, classifier or subset (`name`)."""

    table: str
    name: str
    crawl: str
    path: str
    rows: int


class Edge(NamedTuple):
    """The end of a band of a classifier's ranking: pages further down have a lower score, or the same and a higher
    doc_id; if that is None, only a lower score (a configured threshold)."""

    subset: str
    score: float
    doc_id: int | None


class Feature(NamedTuple):
    """The edges of a feature's bins, ascending; the first bin is below the first edge. A bound is an edge, or the next
    larger number if a value that equals it is on its lower side. `bounds`: the places of the bounds among the edges."""

    edges: tuple[float, ...]
    bounds: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What tasks need to know; small."""

    root: Root
    seed: int
    sample_pages: int
    token_seed: int
    token_pages: int
    """0: no tokens are estimated."""
    preset: str = ""
    sampled: str = ""
    """The kind of page that is sampled without verdicts: `pages` or `survivors`."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """classifier -> lowest and highest score."""
    edges: Mapping[str, tuple[Edge, ...]] = field(default_factory=dict)
    """classifier -> the ends of its bands."""
    score_of: Mapping[str, str] = field(default_factory=dict)
    """subset -> the classifier that orders it, if one does."""
    features: Mapping[str, Feature] = field(default_factory=dict)
    removed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """crawl -> the files with its removed pages, of which nothing is shown."""

    def schema(self, part: Part) -> pa.Schema:
        """The columns to read of a table."""
        if part.table == "features":
            return pa.schema([("doc_id", pa.int64()), *((name, pa.float64()) for name in self.features)])
        if part.table == "subsets":
            scored = self.score_of.get(part.name)
            return pa.schema([SUBSETS.field("doc_id"), *([(f"score_{scored}", pa.float64())] if scored else [])])
        whole, names = _COLUMNS[part.table]
        return pa.schema([whole.field(name) for name in names])


_COLUMNS: Final[dict[str, tuple[pa.Schema, tuple[str, ...]]]] = {
    "pages": (PAGES, ("doc_id", "date", "charset", "num_chars", "robots", "truncated")),
    "failures": (FAILURES, tuple(FAILURES.names)),
    "groups": (GROUPS, tuple(GROUPS.names)),
    "duplicates": (DUPLICATES, ("doc_id", "witness", "similarity")),
    "verdicts": (VERDICTS, tuple(VERDICTS.names)),
    "scores": (SCORES, tuple(SCORES.names)),
}


def scan(spark: SparkSession, plan: Plan, parts: Iterable[Part]) -> Figures:
    """The figures of all these files, in one query."""
    found = sorted(parts, key=lambda part: (part.crawl, part.path))  # a task needs the removed pages of few crawls
    if not found:
        return Figures()
    number = min(MOST_TASKS, len(found), -(-sum(part.rows for part in found) // _ROWS_OF_A_TASK) or 1)
    tasks = [found[len(found) * task // number : len(found) * (task + 1) // number] for task in range(number)]
    work = partial(_task, plan=plan, tasks=tasks)
    return collected(spark.range(0, number, 1, number).mapInArrow(work, SCHEMA))


def _task(numbers: Iterator[pa.RecordBatch], plan: Plan, tasks: list[list[Part]]) -> Iterator[pa.RecordBatch]:
    found, removed = Figures(), dict[str, NDArray[np.int64]]()
    for part in (part for batch in numbers for number in batch.column(0).to_pylist() for part in tasks[number]):
        if part.crawl not in removed:
            removed = {part.crawl: removed_pages(plan.root, plan.removed.get(part.crawl, ()))}
        for rows in read_piece(Piece(part.path), plan.root, plan.schema(part), _ROWS_AT_ONCE):
            if rows.num_rows:
                _LOOKS[part.table](_Look(plan, part, found, rows, removed[part.crawl]))
    yield found.row()


def removed_pages(root: Root, paths: Iterable[str]) -> NDArray[np.int64]:
    """The doc_ids in these files of `removed`, sorted."""
    found = [rows.column("doc_id").to_numpy() for path in paths for rows in read_piece(Piece(path), root, REMOVED)]
    return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)


class _Look:
    """A batch of one file."""

    def __init__(
        self, plan: Plan, part: Part, found: Figures, rows: pa.RecordBatch, removed: NDArray[np.int64]
    ) -> None:
        self.plan, self.part, self.found, self.rows = plan, part, found, rows
        if "doc_id" in rows.schema.names:
            self.doc_ids = rows.column("doc_id").to_numpy()
            self.shown = ~np.isin(self.doc_ids, removed, assume_unique=True)

    def numbers(self, name: str) -> NDArray[Any]:
        return np.asarray(self.rows.column(name).to_numpy(zero_copy_only=False))

    def keep(
        self,
        key: Any,
        most: int,
        order: NDArray[Any],
        among: NDArray[np.bool_] | None = None,
        more: Callable[[int], tuple[Any, ...]] = lambda place: (),
    ) -> None:
        """Keeps (order, doc_id, *more) of the pages with the smallest `order`, but none that is removed."""
        places = np.flatnonzero(self.shown if among is None else self.shown & among)
        chosen = places[smallest(most, order[places], self.doc_ids[places])]
        rows = [(order[i].item(), self.doc_ids[i].item(), *more(i)) for i in chosen]
        self.found.keep(key, most, rows)

    def sample(
        self,
        kind: str,
        most: int,
        among: NDArray[np.bool_] | None = None,
        more: Callable[[int], tuple[Any, ...]] = lambda place: (),
    ) -> None:
        self.keep(("sample", kind), most, hashes(self.doc_ids, self.plan.seed), among, more)

    def sample_for_tokens(self, step: str, among: NDArray[np.bool_] | None = None) -> None:
        """As samples, but of all pages: only their lengths are told."""
        if self.plan.token_pages:
            places = np.arange(len(self.doc_ids)) if among is None else np.flatnonzero(among)
            order = hashes(self.doc_ids[places], self.plan.token_seed)
            chosen = smallest(self.plan.token_pages, order, self.doc_ids[places])
            rows = [(order[i].item(), self.doc_ids[places[i]].item()) for i in chosen]
            self.found.keep(("tokens", step), self.plan.token_pages, rows)


def _pages(look: _Look) -> None:
    found, rows = look.found, look.rows
    table = pa.table(
        {
            "crawl_no": pa.array(look.doc_ids >> CRAWL_SHIFT),
            "charset": rows.column("charset"),
            "num_chars": rows.column("num_chars"),
            "date": rows.column("date").cast(pa.int64()),
        }
    )
    sums = [("num_chars", "count"), ("num_chars", "sum"), ("date", "min"), ("date", "max")]
    for group in table.group_by(["crawl_no", "charset"]).aggregate(sums).to_pylist():
        of = group["crawl_no"], group["charset"]
        found.count(("documents", *of), group["num_chars_count"])
        found.count(("characters", *of), group["num_chars_sum"])
        for key, sign in (("min", 1), ("max", -1)):
            if group[f"date_{key}"] is not None:
                found.keep((f"date_{key}", group["crawl_no"]), 1, [(sign * group[f"date_{key}"],)])
    robots = rows.column("robots")
    found.count(("robots", ""), len(robots) - robots.null_count)
    if robots.null_count < len(robots):
        lower = pc.utf8_lower(robots.drop_null())
        for name in ROBOTS:
            found.count(("robots", name), pc.sum(pc.match_substring_regex(lower, rf"\b{name}\b")).as_py())
    for value in (True, False, None):
        same = pc.is_null(rows.column("truncated")) if value is None else pc.equal(rows.column("truncated"), value)
        found.count(("truncated", value), pc.sum(same).as_py() or 0)
    if look.plan.sampled == "pages":
        look.sample("pages", look.plan.sample_pages)
    look.sample_for_tokens("pages")


def _failures(look: _Look) -> None:
    rank = {scope: number for number, scope in enumerate(SCOPES)}
    for row in look.rows.to_pylist():
        place = rank[row["scope"]], row["file_no"], row["offset"], row["stage"], row["reason"]
        look.found.keep(("failures", look.part.crawl), FIRST_FAILURES, [(*place, (row["detail"] or "")[:_MOST_CHARS])])


def _groups(look: _Look) -> None:
    number = look.numbers("num_duplicates")
    # 1, 2, 3-4, 5-8, …: the bin of n pages is the number of binary digits of n - 1, the number of duplicates.
    look.found.bins("groups", np.frexp(number.astype(np.float64))[1] * (number > 0))
    look.keep("largest", LARGEST_GROUPS, -number, number > 0)
    if look.plan.sampled == "survivors":
        look.sample("survivors", look.plan.sample_pages)
    look.sample_for_tokens("after dedup")


def _duplicates(look: _Look) -> None:
    similarity, witness = look.numbers("similarity"), look.numbers("witness")
    look.found.bins("similarity", places_of(similarity, 0, 1, SIMILARITY_BINS))
    look.sample(
        "duplicates",
        look.plan.sample_pages,
        more=lambda place: (witness[place].item(), similarity[place].item()),
    )


def _verdicts(look: _Look) -> None:
    found, plan = look.found, look.plan
    accepted = look.numbers("accepted").astype(np.bool_)
    look.sample_for_tokens(f"rules {look.part.name}", accepted)
    if look.part.name != plan.preset:
        return
    lists = look.rows.column("reasons")
    codes = pc.dictionary_encode(lists.flatten())
    reasons, of_page = codes.dictionary.to_pylist(), pc.list_parent_indices(lists).to_numpy()
    has = np.zeros((len(lists), len(reasons)), np.bool_)
    has[of_page, codes.indices.to_numpy()] = True
    both = has.T.astype(np.int64) @ has.astype(np.int64)
    alone = has[has.sum(axis=1) == 1].sum(axis=0)
    for i, one in enumerate(reasons):
        found.count(("alone", one), alone[i])
        for j, other in enumerate(reasons):
            if one < other:
                found.count(("both", one, other), both[i, j])

    def reasons_of(place: int) -> tuple[Any, ...]:
        return (tuple(lists[place].as_py()),)

    look.sample("accepted", plan.sample_pages, accepted)
    look.sample("rejected", plan.sample_pages, ~accepted, reasons_of)
    for i, reason in enumerate(reasons):
        look.sample(f"reason {reason}", min(OF_REASON, plan.sample_pages), has[:, i], reasons_of)


def _scores(look: _Look) -> None:
    score, name = look.numbers("score"), look.part.name
    if name not in look.plan.ranges:
        return
    look.found.bins(("scores", name), places_of(score, *look.plan.ranges[name], SCORE_BINS))
    for edge in look.plan.edges.get(name, ()):
        below = score < edge.score
        if edge.doc_id is not None:
            below |= (score == edge.score) & (look.doc_ids > edge.doc_id)
        look.keep(("below", edge.subset), BESIDE, -score, below)


def _subsets(look: _Look) -> None:
    name, plan = look.part.name, look.plan
    if scored := plan.score_of.get(name):
        score = look.numbers(f"score_{scored}")
        look.keep(("top", name), BESIDE, -score)
        # Of equal scores, the higher doc_id is further down.
        places = np.flatnonzero(look.shown)
        chosen = places[smallest(BESIDE, score[places], -look.doc_ids[places])]
        rows = [(score[i].item(), -look.doc_ids[i].item()) for i in chosen]
        look.found.keep(("bottom", name), BESIDE, rows)
    else:
        look.keep(("any", name), 2 * BESIDE, hashes(look.doc_ids, plan.seed))
    look.sample_for_tokens(name)


def _features(look: _Look) -> None:
    for name, feature in look.plan.features.items():
        values = look.numbers(name)
        known = ~np.isnan(values)
        look.found.count(("feature unknown", name), len(values) - int(known.sum()))
        if not known.any():
            continue
        edges = np.array(feature.edges)
        look.found.bins(("feature", name), np.searchsorted(edges, values[known], side="right"))
        for place in feature.bounds if look.plan.sample_pages else ():
            edge = edges[place]
            for side, here in (("below", values < edge), ("above", values >= edge)):
                far = np.where(here, np.abs(values - edge), np.inf)
                look.keep(("beside", name, place, side), BESIDE, far, known & here, partial(_value, values))


def _value(values: NDArray[Any], place: int) -> tuple[Any, ...]:
    return (values[place].item(),)


_LOOKS: Final[dict[str, Callable[[_Look], None]]] = {
    "pages": _pages,
    "failures": _failures,
    "groups": _groups,
    "duplicates": _duplicates,
    "verdicts": _verdicts,
    "scores": _scores,
    "subsets": _subsets,
    "features": _features,
}


def places_of(values: NDArray[Any], low: float, high: float, bins: int) -> NDArray[np.int64]:
    """The bins of equal width over low..high that the values are in; values outside are in the outermost bins."""
    places = np.floor((values.astype(np.float64) - low) / ((high - low) / bins))
    return np.asarray(np.clip(np.nan_to_num(places), 0, bins - 1), np.int64)
