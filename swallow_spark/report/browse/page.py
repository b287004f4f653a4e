"""One page with all that the corpus has on it, and two pages side by side."""

import difflib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from swallow_spark.report.browse.source import Source

MAX_TEXT_CHARS: Final = 100_000  # shown of a text
_MAX_DIFF_LINES: Final = 2_000  # of each page
_MAX_DIFF_CHARS: Final = 200_000
_MAX_LINE_CHARS: Final = 2_000  # of a line that is compared by characters
_MAX_DUPLICATES: Final = 100


@dataclass(frozen=True)
class Measured:
    """A feature's value beside its bounds; `broken`: low, high or ""."""

    feature: str
    value: float | None
    min: float | None
    max: float | None
    below: float | None
    broken: str

    @property
    def has_bound(self) -> bool:
        return (self.min, self.max, self.below) != (None, None, None)


def look_up(source: Source, doc_id: int, preset: str) -> dict[str, Any] | None:
    """The rows of all tables for a page; None if there is none. Raises TooSlowError."""
    found = source.rows_of(
        f"SELECT * EXCLUDE (text), left(text, {MAX_TEXT_CHARS}) AS text, length(text) AS text_chars "
        f"FROM {source.among('pages', [doc_id])} WHERE doc_id = ?",
        [doc_id],
    )
    if not found:
        return None
    page = found[0]
    place = source.place(doc_id)
    page["source"] = (
        {"crawl": place[0], "file": place[1].path, "offset": place[2], "format": place[1].format} if place else None
    )
    page["removed"] = _row(source, "removed", doc_id) is not None
    page["group"] = _row(source, "groups", doc_id)
    page["duplicate"] = _row(source, "duplicates", doc_id)
    page["related"] = _related(source, doc_id, page["duplicate"])
    page["contaminated"] = _row(source, "contamination", doc_id)
    page["verdicts"] = {
        each: row for each in source.presets if (row := _row(source, f"verdicts/preset={each}", doc_id))
    }
    features = _row(source, "features", doc_id) or {}
    page["measured"] = measured(features, source.bounds.get(preset, {}))
    page["scores"] = {
        each: row["score"]
        for each in source.named("scores/classifier=")
        if (row := _row(source, f"scores/classifier={each}", doc_id))
    }
    page["subsets"] = [each for each in source.named("subsets") if _row(source, f"subsets/{each}", doc_id, "doc_id")]
    return page


def measured(features: dict[str, Any], bounds: dict[str, dict[str, float | None]]) -> list[Measured]:
    """Each feature with its bounds: those that are broken first, then those with bounds, then the others."""
    found = []
    for feature, value in features.items():
        if feature == "doc_id" or isinstance(value, str):
            continue
        bound = bounds.get(feature, {})
        low, high, below = bound.get("min"), bound.get("max"), bound.get("below")
        broken = ""
        if value is not None:
            if low is not None and value < low:
                broken = "low"
            elif (high is not None and value > high) or (below is not None and value >= below):
                broken = "high"
        found.append(Measured(feature, value, low, high, below, broken))
    return sorted(found, key=lambda each: (not each.broken, not each.has_bound))


def _row(source: Source, table: str, doc_id: int, columns: str = "*") -> dict[str, Any] | None:
    if not source.has(table):
        return None
    rows = source.rows_of(f"SELECT {columns} FROM {source.among(table, [doc_id])} WHERE doc_id = ? LIMIT 1", [doc_id])
    return rows[0] if rows else None


def _related(source: Source, doc_id: int, duplicate: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Pages of the same group: what a dropped page fell for, and the pages that a kept one represents."""
    if not source.has("duplicates"):
        return []
    pairs: list[tuple[int, str, float | None]] = []
    if duplicate:
        pairs.append((duplicate["witness"], "witness", duplicate["similarity"]))
        if duplicate["representative"] != duplicate["witness"]:
            pairs.append((duplicate["representative"], "representative", None))
    rows = source.query(
        "SELECT doc_id, CASE WHEN witness = $1 THEN similarity END FROM duplicates "
        "WHERE witness = $1 OR representative = $1 ORDER BY doc_id LIMIT $2",
        [doc_id, _MAX_DUPLICATES],
    )
    pairs += [(other, "dropped", similarity) for other, similarity in rows if other != doc_id]
    if not pairs:
        return []
    among = ", ".join(str(int(other)) for other, _, _ in pairs)
    pages = {
        row["doc_id"]: row
        for row in source.rows_of(
            "SELECT doc_id, left(url, 2000) AS url, left(title, 300) AS title "
            f"FROM {source.among('pages', [other for other, _, _ in pairs])} WHERE doc_id IN ({among})"
        )
    }
    return [
        {"doc_id": other, "relation": relation, "similarity": similarity, **pages.get(other, {})}
        for other, relation, similarity in pairs
    ]


class Piece(NamedTuple):
    """A run of characters, and whether the other page has it too."""

    text: str
    is_same: bool


@dataclass(frozen=True)
class Line:
    """A line of the comparison: `kind` is equal, replace, delete, insert, or skip (`left` says how many)."""

    kind: str
    left: list[Piece]
    right: list[Piece]


def text_of(source: Source, doc_id: int) -> dict[str, Any] | None:
    """URL, title and the beginning of the text of a page; None if there is none."""
    rows = source.rows_of(
        f"SELECT doc_id, left(url, 2000) AS url, left(title, 300) AS title, left(text, {_MAX_DIFF_CHARS}) AS text, "
        f"length(text) AS text_chars FROM {source.among('pages', [doc_id])} WHERE doc_id = ?",
        [doc_id],
    )
    return rows[0] if rows else None


def compare(left: str, right: str, context: int = 3) -> tuple[list[Line], bool]:
    """Two texts line by line, side by side; whether all of them was compared."""
    lines = [text.split("\n") for text in (left, right)]
    is_whole = all(len(each) <= _MAX_DIFF_LINES for each in lines)
    one, other = (each[:_MAX_DIFF_LINES] for each in lines)
    found: list[Line] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, other).get_opcodes():
        if kind == "equal":
            same = [Line("equal", [Piece(line, True)], [Piece(line, True)]) for line in one[a:b]]
            if len(same) > 2 * context + 1:
                same[context:-context] = [Line("skip", [Piece(str(len(same) - 2 * context), True)], [])]
            found += same
            continue
        for number in range(max(b - a, d - c)):
            before = one[a + number] if a + number < b else None
            after = other[c + number] if c + number < d else None
            found.append(_changed(before, after))
    return found, is_whole


def _changed(before: str | None, after: str | None) -> Line:
    if before is None or after is None:
        kind = "insert" if before is None else "delete"
        return Line(kind, [Piece(before, False)] if before else [], [Piece(after, False)] if after else [])
    if max(len(before), len(after)) > _MAX_LINE_CHARS:
        return Line("replace", [Piece(before, False)], [Piece(after, False)])
    left, right = [], []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        left.append(Piece(before[a:b], kind == "equal"))
        right.append(Piece(after[c:d], kind == "equal"))
    return Line("replace", [each for each in left if each.text], [each for each in right if each.text])
