"""The pages that the report shows. Which ones is known from the scan of the narrow tables; what they are, from one look
at the tables for these pages alone."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from swallow_spark.report.contents import Beside, Group, OfReason, OfSubset, Page, Sample, Sampled
from swallow_spark.report.finished import Finished, day
from swallow_spark.report.scans.chosen import EXCERPT_CHARS, Known, Wanted, look_up
from swallow_spark.report.scans.figures import Figures
from swallow_spark.report.scans.narrow import Plan
from swallow_spark.report.scans.plan import bounds_of, parts_of_chosen, removed
from swallow_spark.stages.tokens.tasks import Counting
from swallow_spark.tables import unpack_doc_id

_KINDS: Final = ("accepted", "rejected", "survivors", "pages", "duplicates")
_MOST_LINES: Final = 200
_MOST_SHOWN: Final = 14
_LONGEST_LINE: Final = 160
_CONTEXT_CHARS: Final = 20


class Chosen:
    """The pages of the samples, with what is known of them."""

    def __init__(self, have: Finished, plan: Plan, figures: Figures, counting: Counting | None) -> None:
        """`figures`: those of the scan by `plan`. With `counting`, the tokens of its samples are counted too."""
        self.plan, self.figures = plan, figures
        duplicates = figures.kept(("sample", "duplicates"))
        witnesses = {row[2] for row in duplicates}
        long = {row[1] for row in duplicates} | witnesses
        token_ids: dict[str, set[int]] = {}
        for key, doc_ids in _by_step(figures).items():
            token_ids.setdefault(key if key in have.summary.get("subsets", {}) else "", set()).update(doc_ids)
        shown = {abs(row[1]) for key in self._keys(have) for row in figures.kept(key)} | witnesses
        wanted = Wanted(
            frozenset(shown),
            frozenset(long),
            {key: frozenset(doc_ids) for key, doc_ids in token_ids.items()},
            counting,
            plan.removed,
        )
        every = shown.union(*token_ids.values())
        self.known = look_up(have.spark, have.corpus.root, wanted, parts_of_chosen(have, every))
        self.pages = _pages(have, self.known)
        self.subset_names = tuple(have.summary.get("subsets", {}))

    def _keys(self, have: Finished) -> Iterator[tuple[Any, ...] | str]:
        yield from (("sample", kind) for kind in _KINDS)
        yield "largest"
        for reason in have.summary.get("rejected", {}):
            yield "sample", f"reason {reason}"
        for name in have.summary.get("subsets", {}):
            yield from ((where, name) for where in ("top", "bottom", "below", "any"))
        for name in have.config.rules.bounds:
            feature = self.plan.features.get(name)
            for place in feature.bounds if feature else ():
                yield from (("beside", name, place, side) for side in ("below", "above"))

    def _sampled(self, key: Any, value: Callable[[tuple[Any, ...]], float | None] = lambda row: None) -> Any:
        return tuple(
            self.page(abs(row[1]), value=value(row)) for row in self.figures.kept(key) if abs(row[1]) in self.pages
        )

    def page(self, doc_id: int, **more: Any) -> Sampled:
        _, reasons = self.known.verdicts.get(doc_id, (None, ()))
        within = self.known.subsets.get(doc_id, set())
        subsets = tuple(name for name in self.subset_names if name in within)
        return Sampled(self.pages[doc_id], reasons, self.known.scores.get(doc_id, {}), subsets, **more)

    def samples(self, have: Finished) -> tuple[Sample, ...]:
        sums = have.summary
        of = {
            "accepted": sums.get("accepted", 0),
            "rejected": sum(m.counts.get("survivors", 0) - m.counts.get("accepted", 0) for m in have.decided),
            "survivors": sums.get("survivors", 0),
            "duplicates": sums.get("duplicates", 0),
            "pages": sums["pages"],
        }
        found = []
        for kind in _KINDS:
            rows = self.figures.kept(("sample", kind))
            if kind == "duplicates":
                pages = tuple(self._duplicate(*row[1:]) for row in rows if row[1] in self.pages)
            else:
                pages = self._sampled(("sample", kind))
            if rows:
                found.append(Sample(kind, of[kind], pages))
        return tuple(found)

    def _duplicate(self, doc_id: int, witness: int, similarity: float) -> Sampled:
        other = self.pages.get(witness)
        texts = (self.known.pages[one]["text"] for one in (witness, doc_id)) if other else ("", "")
        return self.page(doc_id, witness=other, similarity=similarity, diff=tuple(differences(*texts)))

    def of_reasons(self, have: Finished) -> tuple[OfReason, ...]:
        return tuple(
            OfReason(reason, number, pages)
            for reason, number in have.summary.get("rejected", {}).items()
            if (pages := self._sampled(("sample", f"reason {reason}")))
        )

    def beside(self, have: Finished) -> tuple[Beside, ...]:
        found = []
        for name, bound in have.config.rules.bounds.items():
            feature = self.plan.features.get(name)
            if not feature:
                continue
            for place, (_, said, low_is_rejected) in zip(feature.bounds, bounds_of(bound), strict=True):
                below, above = (
                    self._sampled(("beside", name, place, side), lambda row: row[2]) for side in ("below", "above")
                )
                if below or above:
                    found.append(Beside(name, said, *((below, above) if low_is_rejected else (above, below))))
        return tuple(found)

    def of_subsets(self) -> tuple[OfSubset, ...]:
        found = []
        for name in self.subset_names:
            classifier = self.plan.score_of.get(name)
            top = self._sampled(("top", name), lambda row: -row[0]) if classifier else self._sampled(("any", name))
            bottom = self._sampled(("bottom", name), lambda row: row[0])
            below = self._sampled(("below", name), lambda row: -row[0])
            if top or below:
                found.append(OfSubset(name, classifier, top, bottom[::-1], below))
        return tuple(found)

    def largest(self) -> tuple[Group, ...]:
        rows = self.figures.kept("largest")
        return tuple(Group(self.pages[doc_id], -number) for number, doc_id in rows if doc_id in self.pages)

    def lengths(self, step: str) -> list[tuple[int, int]]:
        """(characters, tokens) of the pages sampled from a step."""
        table = step if step in self.subset_names else ""
        sampled = _by_step(self.figures).get(step, ())
        return [self.known.tokens[table, doc_id] for doc_id in sampled if (table, doc_id) in self.known.tokens]


def _by_step(figures: Figures) -> dict[str, list[int]]:
    return {key[1]: [row[1] for row in figures.kept(key)] for key in figures.keys("tokens")}


def pages_of(have: Finished, doc_ids: Iterable[int]) -> dict[int, Page]:
    """The pages, by doc_id; those that are removed are missing."""
    wanted = frozenset(doc_ids)
    parts = [part for part in parts_of_chosen(have, wanted) if part.table == "pages"]
    return _pages(have, look_up(have.spark, have.corpus.root, Wanted(wanted, removed=removed(have)), parts))


def _pages(have: Finished, known: Known) -> dict[int, Page]:
    return {doc_id: _page(have, doc_id, values) for doc_id, values in known.pages.items()}


def _page(have: Finished, doc_id: int, values: Mapping[str, Any]) -> Page:
    crawl = have.crawls.get(unpack_doc_id(doc_id).crawl_no, "?")
    excerpt, date = values["text"][:EXCERPT_CHARS], day(values["date"])
    return Page(doc_id, crawl, values["url"], values["title"], date, values["num_chars"], excerpt)


def differences(before: str, after: str) -> Iterator[tuple[str, str]]:
    """How two texts differ, line by line: (mark, line), as in `Sampled.diff`. Long lines are cut to what differs."""
    first, second = (text.split("\n")[:_MOST_LINES] for text in (before, after))
    shown = 0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind == "equal":
            yield "=", str(b - a)
            continue
        old, new = first[a:b], second[c:d]
        for place in range(max(len(old), len(new))):
            pair = [side[place] if place < len(side) else None for side in (old, new)]
            same = _common(*pair) if None not in pair else 0  # type: ignore[arg-type]
            for mark, line in zip("-+", pair, strict=True):
                if line is None:
                    continue
                if shown == _MOST_SHOWN:
                    yield "…", ""
                    return
                shown += 1
                yield mark, _cut(line, same)


def _common(one: str, other: str) -> int:
    """The length of their common beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _cut(line: str, same: int) -> str:
    start = max(0, same - _CONTEXT_CHARS) if len(line) > _LONGEST_LINE else 0
    shown = line[start : start + _LONGEST_LINE]
    return f"{'…' if start else ''}{shown}{'…' if start + _LONGEST_LINE < len(line) else ''}"
