"""The pages that the report shows, and what is known of each: one query, whose tasks read text only of these."""

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from swallow_spark.files.storage import Root
from swallow_spark.report.scans.figures import MOST_TASKS
from swallow_spark.report.scans.narrow import Part, removed_pages
from swallow_spark.stages.tokens.tasks import Counting

EXCERPT_CHARS: Final = 300
LONG_CHARS: Final = 6000
_MOST_URL, _MOST_TITLE = 2001, 1000
_ROWS_OF_A_TASK: Final = 250_000
_COLUMNS: Final = {
    "pages": ("url", "title", "date", "num_chars", "text"),
    "scores": ("score",),
    "verdicts": ("accepted", "reasons"),
    "subsets": (),
}


@dataclass(frozen=True)
class Wanted:
    """The doc_ids to look for; their number doesn't depend on that of the pages."""

    pages: frozenset[int]
    long: frozenset[int] = frozenset()
    """Of these pages `LONG_CHARS` of the text are given, of others `EXCERPT_CHARS`."""
    token_ids: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Pages whose tokens are counted: "" for texts in `pages`, or the name of a subset."""
    counting: Counting | None = None
    removed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """As in narrow.Plan."""


class Known:
    """What was found."""

    def __init__(self) -> None:
        self.pages: dict[int, dict[str, Any]] = {}
        self.scores: dict[int, dict[str, float]] = {}
        self.verdicts: dict[int, tuple[bool, tuple[str, ...]]] = {}
        self.subsets: dict[int, set[str]] = {}
        self.tokens: dict[tuple[str, int], tuple[int, int]] = {}
        """(subset or "", doc_id) -> characters, tokens."""

    def add(self, part: Part, row: dict[str, Any]) -> None:
        doc_id = row.pop("doc_id")
        if part.table == "pages":
            self.pages[doc_id] = row
        elif part.table == "scores":
            self.scores.setdefault(doc_id, {})[part.name] = row["score"]
        elif part.table == "verdicts":
            self.verdicts[doc_id] = row["accepted"], tuple(row["reasons"])
        else:
            self.subsets.setdefault(doc_id, set()).add(part.name)

    def merge(self, other: "Known") -> None:
        self.pages.update(other.pages)
        self.verdicts.update(other.verdicts)
        self.tokens.update(other.tokens)
        for doc_id, scores in other.scores.items():
            self.scores.setdefault(doc_id, {}).update(scores)
        for doc_id, names in other.subsets.items():
            self.subsets.setdefault(doc_id, set()).update(names)


def look_up(spark: SparkSession, root: Root, wanted: Wanted, parts: Iterable[Part]) -> Known:
    """What these files say of the wanted pages."""
    found, known = list(parts), Known()
    if not found or not (wanted.pages or any(wanted.token_ids.values())):
        return known
    number = min(MOST_TASKS, len(found), -(-sum(part.rows for part in found) // _ROWS_OF_A_TASK) or 1)
    tasks = [found[len(found) * task // number : len(found) * (task + 1) // number] for task in range(number)]
    work = partial(_task, root=root, wanted=wanted, tasks=tasks)
    for row in spark.range(0, number, 1, number).mapInArrow(work, "known binary").collect():
        known.merge(pickle.loads(row.known))  # noqa: S301 - of our own tasks
    return known


def _task(
    numbers: Iterator[pa.RecordBatch], root: Root, wanted: Wanted, tasks: list[list[Part]]
) -> Iterator[pa.RecordBatch]:
    known = Known()
    for part in (part for batch in numbers for number in batch.column(0).to_pylist() for part in tasks[number]):
        _look_into(part, root, wanted, known)
    yield pa.RecordBatch.from_pydict({"known": pa.array([pickle.dumps(known)], pa.binary())})


def _look_into(part: Part, root: Root, wanted: Wanted, known: Known) -> None:
    tokens = wanted.token_ids.get("" if part.table == "pages" else part.name, frozenset())
    tokens = tokens if part.table in ("pages", "subsets") else frozenset()
    doc_ids = np.array(sorted(wanted.pages | tokens), np.int64)
    removed = removed_pages(root, wanted.removed.get(part.crawl, ()))
    with root.open_input(part.path) as stream, pq.ParquetFile(stream) as file:
        place = file.schema_arrow.names.index("doc_id")  # the first column, so this is the chunk's number too
        for number in range(file.num_row_groups):
            bounds = file.metadata.row_group(number).column(place).statistics
            if bounds is not None and bounds.has_min_max and not _any_within(doc_ids, bounds.min, bounds.max):
                continue
            here = np.flatnonzero(np.isin(file.read_row_group(number, ["doc_id"]).column(0).to_numpy(), doc_ids))
            if not len(here):
                continue
            names = [*_COLUMNS[part.table], *(["text"] if tokens and part.table == "subsets" else [])]
            rows = file.read_row_group(number, ["doc_id", *names]).take(pa.array(here))
            _note(part, rows, removed, tokens, wanted, known)


def _any_within(doc_ids: NDArray[np.int64], least: int, most: int) -> bool:
    return bool(np.searchsorted(doc_ids, least) < np.searchsorted(doc_ids, most, side="right"))


def _note(
    part: Part,
    rows: pa.Table,
    removed: NDArray[np.int64],
    tokens: frozenset[int],
    wanted: Wanted,
    known: Known,
) -> None:
    doc_ids = rows.column("doc_id").to_numpy()
    counted = np.flatnonzero([doc_id in tokens for doc_id in doc_ids.tolist()])
    if wanted.counting and len(counted):
        texts = rows.column("text").take(pa.array(counted)).combine_chunks()
        for doc_id, text, number in zip(
            doc_ids[counted].tolist(), texts.to_pylist(), wanted.counting.load()(texts).tolist(), strict=True
        ):
            known.tokens["" if part.table == "pages" else part.name, doc_id] = len(text), int(number)
    gone = np.isin(doc_ids, removed)
    shown = [i for i, doc_id in enumerate(doc_ids.tolist()) if doc_id in wanted.pages and not gone[i]]
    names = [name for name in rows.column_names if name != "text" or part.table == "pages"]
    rows = rows.select(names).take(pa.array(shown, pa.int64()))
    if "date" in names:  # Python's dates end in the year 9999
        rows = rows.set_column(names.index("date"), "date", rows.column("date").cast(pa.int64()))
    for row in rows.to_pylist():
        if part.table == "pages":
            most = LONG_CHARS if row["doc_id"] in wanted.long else EXCERPT_CHARS
            row["text"] = row["text"][:most]
            row["url"], row["title"] = (row["url"] or "")[:_MOST_URL] or None, (row["title"] or "")[:_MOST_TITLE]
        known.add(part, row)
