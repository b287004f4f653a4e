"""Lists of pages: a filter, an order, and one screen of it after or before a page (keyset paging)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from time import monotonic
from typing import Any, Final, Self

from swallow_spark.report.browse.source import Source, TooSlowError, name, range_of_crawl

PER_PAGE: Final = 50
STAGES: Final = ("page", "duplicate", "survivor", "accepted", "rejected", "subset")
FIELDS: Final = ("url", "host", "title", "text")
SORTS: Final = ("doc_id", "num_chars", "date", "url", "score", "num_duplicates", "similarity")
_FIRST: Final = ("sort", "doc_id")
_MAX_QUERY_CHARS: Final = 300
_SECONDS: Final = 10.0
_SECONDS_OF_A_SEARCH: Final = 3.0  # then it shows what it has found, and where to go on
_EXCERPT_CHARS: Final = 160
_BEFORE_HIT: Final = 50  # characters shown before what was searched for

_KEYS: Final = {  # alias of the table, expression
    "num_chars": ("p", "p.num_chars"),
    "date": ("p", "coalesce(p.date, TIMESTAMPTZ '0001-01-01 00:00:00+00')"),
    "url": ("p", "coalesce(p.url, '')"),
    "score": ("s", "s.score"),
    "num_duplicates": ("g", "g.num_duplicates"),
    "similarity": ("d", "d.similarity"),
}


@dataclass(frozen=True)
class Filter:
    """What a list shows. All fields come from the address; unknown values fall back to the default."""

    stage: str = "page"
    subset: str = ""
    reason: str = ""
    preset: str = ""
    classifier: str = ""
    low: float | None = None
    high: float | None = None
    crawl: str = ""
    find: str = ""
    within: str = "url"
    sort: str = "doc_id"
    order: str = "up"

    @classmethod
    def read(cls, values: Mapping[str, str], source: Source) -> Self:
        """The filter in the query of an address, with the corpus's own names filled in."""
        given = {field.name: str(values.get(field.name, "")) for field in fields(cls)}

        def one_of(key: str, allowed: list[str] | tuple[str, ...], default: str = "") -> str:
            return given[key] if given[key] in allowed else default

        presets, classifiers = source.presets, source.named("scores/classifier=")
        subsets = source.named("subsets")
        stage = one_of("stage", available(source), "page")
        sort = one_of("sort", sorts(source), "doc_id")
        preset = one_of("preset", presets, presets[0] if presets else "")
        return cls(
            stage=stage,
            subset=one_of("subset", subsets, subsets[0]) if stage == "subset" else "",
            reason=one_of("reason", list(source.reasons.get(preset, ()))) if stage == "rejected" else "",
            preset=preset,
            classifier=one_of("classifier", classifiers, classifiers[0] if classifiers else ""),
            low=_number(given["low"]),
            high=_number(given["high"]),
            crawl=one_of("crawl", list(source.crawls.values())),
            find=given["find"].strip()[:_MAX_QUERY_CHARS],
            within=one_of("within", FIELDS, "url"),
            sort=sort,
            order=one_of("order", ("up", "down"), "down" if sort != "doc_id" and not given["order"] else "up"),
        )

    def query(self, source: Source) -> dict[str, str]:
        """As the query of an address: only what `read` wouldn't fill in."""
        default = Filter.read({"sort": self.sort}, source)
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            key: str(value)
            for key, value in told.items()
            if value is not None and (key == "sort" or value != getattr(default, key)) and (key, value) != _FIRST
        }


@dataclass(frozen=True)
class Listed:
    """One screen of a list, in its order."""

    doc_ids: list[int]
    rows: list[dict[str, Any]]
    has_more: bool
    """In the direction that was asked for."""
    searched_to: int | None = None
    """A search that stopped before the end: the doc_id to go on from."""
    share: float = 1.0
    """Of the pages, 0 to 1: up to where the search came."""


def available(source: Source) -> list[str]:
    """The stages that the corpus has pages of."""
    preset = source.presets[:1]
    tables = {"page": "pages", "duplicate": "duplicates", "survivor": "groups"}
    found = [stage for stage, table in tables.items() if stage == "page" or source.has(table)]
    found += ["accepted", "rejected"] if preset else []
    return found + (["subset"] if source.named("subsets") else [])


def sorts(source: Source) -> list[str]:
    """The orders that the corpus has values for."""
    needs = {"score": bool(source.named("scores/classifier=")), "num_duplicates": source.has("groups")}
    needs["similarity"] = source.has("duplicates")
    return [sort for sort in SORTS if needs.get(sort, True)]


class _Select:
    """The FROM and WHERE of a filter: the table of its stage, joined with what it looks at."""

    def __init__(self, source: Source, wanted: Filter) -> None:
        verdicts = f"verdicts/preset={wanted.preset}"
        tables = {"p": "pages", "d": "duplicates", "g": "groups", "v": verdicts}
        tables["s"] = f"scores/classifier={wanted.classifier}"
        base = {"page": "p", "duplicate": "d", "survivor": "g", "accepted": "v", "rejected": "v"}.get(wanted.stage, "u")
        tables["u"] = f"subsets/{wanted.subset}"
        self.base, self.where, self.values = base, [], list[Any]()
        needed = {base}
        if wanted.stage in ("accepted", "rejected"):
            self.where.append("v.accepted" if wanted.stage == "accepted" else "NOT v.accepted")
        if wanted.reason:
            self._add("list_contains(v.reasons, ?)", wanted.reason)
        if wanted.classifier and (wanted.low is not None or wanted.high is not None):
            needed.add("s")
            for bound, sign in ((wanted.low, ">="), (wanted.high, "<=")):
                if bound is not None:
                    self._add(f"s.score {sign} ?", bound)
        if wanted.crawl:
            number = next(number for number, crawl in source.crawls.items() if crawl == wanted.crawl)
            self._add(f"{base}.doc_id BETWEEN ? AND ?", *range_of_crawl(number))
        if wanted.find:
            needed.add("p")
            self._find(wanted)
        if wanted.sort != "doc_id":
            needed.add(_KEYS[wanted.sort][0])
        self.is_empty = not all(source.has(tables[alias]) for alias in needed)
        self._source = source
        self._tables = {base: tables[base], **{alias: tables[alias] for alias in sorted(needed - {base})}}

    def from_sql(self, low: int | None = None, high: int | None = None) -> str:
        """The tables, or only those of their files that have doc_ids from `low` to `high`."""
        first, *others = (
            f"{name(table) if low is None or high is None else self._source.between(table, low, high)} {alias}"
            for alias, table in self._tables.items()
        )
        aliases = list(self._tables)[1:]
        joins = [
            f"JOIN {one} ON {alias}.doc_id = {self.base}.doc_id" for alias, one in zip(aliases, others, strict=True)
        ]
        return " ".join([first, *joins])

    def _add(self, condition: str, *values: Any) -> None:
        self.where.append(condition)
        self.values.extend(values)

    def _find(self, wanted: Filter) -> None:
        if re.fullmatch(r"[0-9]{1,19}", wanted.find) and wanted.within == "url":
            self._add(f"({self.base}.doc_id = ? OR contains(p.url, ?))", int(wanted.find), wanted.find)
        elif wanted.within == "host":  # the host and its subdomains
            host = wanted.find.lower()
            self._add("(p.host = ? OR ends_with(p.host, ?))", host, f".{host}")
        elif wanted.within == "text":
            self._add("contains(p.text, ?)", wanted.find)
        elif wanted.within == "title":
            self._add("contains(lower(p.title), lower(?))", wanted.find)
        else:
            self._add("contains(p.url, ?)", wanted.find)

    def where_sql(self) -> str:
        return " AND ".join(self.where) or "true"


def count(source: Source, wanted: Filter, seconds: float = _SECONDS) -> int:
    """The number of pages of a filter. Raises TooSlowError."""
    if wanted == replace(Filter(), preset=wanted.preset, classifier=wanted.classifier):
        return source.rows.get("pages", 0)
    select = _Select(source, wanted)
    if select.is_empty:
        return 0
    found = source.query(f"SELECT count(*) FROM {select.from_sql()} WHERE {select.where_sql()}", select.values, seconds)
    return int(found[0][0])


def page_of(
    source: Source, wanted: Filter, cursor: int | None = None, backward: bool = False, limit: int = PER_PAGE
) -> Listed:
    """The pages that follow `cursor` in the filter's order, or that are before it. Raises TooSlowError.

    cursor: a page's doc_id; in the order of doc_ids, any number.
    """
    if wanted.find and wanted.within == "text":  # otherwise each screen would read all texts
        wanted = replace(wanted, sort="doc_id")
    select = _Select(source, wanted)
    if select.is_empty:
        return Listed([], [], False)
    if wanted.sort == "doc_id":
        found = _by_doc_id(source, select, wanted, cursor, backward, limit)
    else:
        found = _by_key(source, select, wanted, cursor, backward, limit)
    doc_ids, has_more, searched_to, share = found
    if backward:
        doc_ids = doc_ids[::-1]
    return Listed(doc_ids, _rows(source, wanted, doc_ids), has_more, searched_to, share)


def _by_key(
    source: Source, select: _Select, wanted: Filter, cursor: int | None, backward: bool, limit: int
) -> tuple[list[int], bool, None, float]:
    down = (wanted.order == "down") != backward
    key, base = _KEYS[wanted.sort][1], select.base
    where, values = select.where_sql(), list(select.values)
    if cursor is not None:
        own = source.query(f"SELECT {key} FROM {select.from_sql(cursor, cursor)} WHERE {base}.doc_id = ?", [cursor])
        if own:
            sign = "<" if down else ">"
            where += f" AND ({key} {sign} ? OR ({key} = ? AND {base}.doc_id {sign} ?))"
            values += [own[0][0], own[0][0], cursor]
    side = "DESC" if down else "ASC"
    sql = f"SELECT {base}.doc_id FROM {select.from_sql()} WHERE {where} "
    sql += f"ORDER BY {key} {side}, {base}.doc_id {side} LIMIT ?"
    found = [row[0] for row in source.query(sql, [*values, limit + 1], _SECONDS)]
    return found[:limit], len(found) > limit, None, 1.0


def _by_doc_id(
    source: Source, select: _Select, wanted: Filter, cursor: int | None, backward: bool, limit: int
) -> tuple[list[int], bool, int | None, float]:
    """Looks through one window of doc_ids after the other, so that the first screen doesn't read the whole corpus."""
    down = (wanted.order == "down") != backward
    side, base = ("DESC" if down else "ASC"), select.base
    found: list[int] = []
    ends = time_up = None
    begun = monotonic()
    for low, high in _windows(source.windows, cursor, down, 2 if wanted.within == "text" else 16):
        left = _SECONDS_OF_A_SEARCH - (monotonic() - begun)
        if ends is not None and left <= 0:
            time_up = ends
            break
        sql = (
            f"SELECT {base}.doc_id FROM {select.from_sql(low, high)} WHERE {select.where_sql()} "
            f"AND {base}.doc_id BETWEEN ? AND ? ORDER BY 1 {side} LIMIT ?"
        )
        # The first window may take its time: else a search might never come forward.
        seconds = _SECONDS if ends is None else max(left, 0.1)
        try:
            rows = source.query(sql, [*select.values, low, high, limit + 1 - len(found)], seconds)
        except TooSlowError:
            if ends is None:
                raise
            time_up = ends
            break
        found += [row[0] for row in rows]
        if len(found) > limit:
            break
        ends = low if down else high
    if time_up is None:
        return found[:limit], len(found) > limit, None, 1.0
    position = sum(start <= time_up for start in source.windows) / len(source.windows)
    return found, True, time_up, 1 - position if down else position


def _windows(starts: list[int], cursor: int | None, down: bool, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of doc_ids from the cursor on, in order, each of twice as many windows as the one before, and at most
    `most`: the first is quick to read, and what is lost when time is up is little."""
    last = (1 << 63) - 1
    ranges = [(start, end - 1) for start, end in zip(starts, [*starts[1:], last], strict=True)]
    if down:
        ranges = [(low, high if cursor is None else min(high, cursor - 1)) for low, high in reversed(ranges)]
    else:
        ranges = [(low if cursor is None else max(low, cursor + 1), high) for low, high in ranges]
    ranges = [(low, high) for low, high in ranges if low <= high]
    at, number = 0, 1
    while at < len(ranges):
        together = ranges[at : at + number]
        yield min(low for low, _ in together), max(high for _, high in together)
        at, number = at + number, min(2 * number, most)


def _rows(source: Source, wanted: Filter, doc_ids: list[int]) -> list[dict[str, Any]]:
    """What a list shows of these pages, in their order."""
    if not doc_ids:
        return []
    among = f"doc_id IN ({', '.join(str(int(doc_id)) for doc_id in doc_ids)})"
    pages = source.rows_of(
        "SELECT doc_id, left(url, 2000) AS url, left(title, 300) AS title, date, num_chars "
        f"FROM {source.among('pages', doc_ids)} WHERE {among}"
    )
    by_id: dict[int, dict[str, Any]] = {row["doc_id"]: {**row, "scores": {}} for row in pages}
    # A page that a table of another stage names may be gone, if that stage is to be made again.
    for doc_id in doc_ids:
        by_id.setdefault(doc_id, dict.fromkeys(("url", "title", "date", "num_chars")) | {"scores": {}})
    add: list[tuple[str, str]] = [("duplicates", "similarity"), ("groups", "num_duplicates")]
    add.append((f"verdicts/preset={wanted.preset}", "accepted, reasons"))
    for table, columns in add:
        if source.has(table):
            for row in source.rows_of(f"SELECT doc_id, {columns} FROM {source.among(table, doc_ids)} WHERE {among}"):
                by_id.get(row["doc_id"], {}).update(row)
    for classifier in source.named("scores/classifier="):
        for doc_id, score in source.query(
            f"SELECT doc_id, score FROM {source.among(f'scores/classifier={classifier}', doc_ids)} WHERE {among}"
        ):
            by_id[doc_id]["scores"][classifier] = score
    return [{**by_id[doc_id], "doc_id": doc_id} for doc_id in doc_ids]


def excerpts(source: Source, doc_ids: list[int], find: str = "") -> dict[int, str]:
    """The beginning of these pages' texts, or what is around `find` there. Raises TooSlowError.

    Apart from the list, since the texts of pages that lie far apart take a hundred times as long to read as their rows.
    """
    start = f"greatest(1, strpos(text, ?) - {_BEFORE_HIT})" if find else "1"
    among = ", ".join(str(int(doc_id)) for doc_id in doc_ids)
    rows = source.query(
        f"SELECT doc_id, substr(text, {start}, {_EXCERPT_CHARS}) FROM {source.among('pages', doc_ids)} "
        f"WHERE doc_id IN ({among})",
        [find] if find else [],
        _SECONDS,
    )
    return dict(rows)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
