"""[[subsets]], [selection], [tokens] and [cleanup]: which pages become training text, how it is cleaned and counted."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from swallow_spark.config.score import ClassifierName
from swallow_spark.config.section import ExistingFile, Name, Section, Share, sha256_of
from swallow_spark.errors import meant

MOST_SUBSETS: Final = 63  # one bit of an int64 each
BUILT_IN_SUBSETS: Final = ("survivors", "accepted")
"""The pages that dedup keeps, and those of them that the rules accept: `export` makes them from `pages`."""


class Band(NamedTuple):
    """A top-k band: the documents between two shares from the top, `start` excluded and `end` included; exact."""

    name: str
    start: Fraction
    end: Fraction


def parse_band(name: str) -> Band:
    """`top10` is the best 10 %; `top10-30` what follows, down to 30 %. Raises ValueError for anything else."""
    match = re.fullmatch(r"top(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", name, re.ASCII)
    if match:
        cuts = [Fraction(Decimal(cut)) / 100 for cut in match.groups() if cut is not None]
        start, end = cuts if len(cuts) == 2 else (Fraction(0), cuts[0])
        if start < end <= 1:
            return Band(name, start, end)
    raise ValueError(f"{name!r} is no band: write top10 (the best 10 %) or top10-30 (the next 20 %)")


def _bands(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        parse_band(name)
    if len(set(names)) < len(names):
        raise ValueError("a band is named twice")
    return names


class Part(NamedTuple):
    """A top-k band of a ranking, written RANKING-BAND in `union` and `intersection`."""

    ranking: str
    band: Band


def _parse_part(name: str) -> Part:
    ranking, found, band = name.rpartition("-top")
    if not found:
        raise ValueError(f"{name!r} is no band of a ranking: write RANKING-BAND, as edu-top10")
    return Part(ranking, parse_band(f"top{band}"))


def _parts(names: tuple[str, ...]) -> tuple[str, ...]:
    if len({_parse_part(name) for name in names}) < 2:
        raise ValueError("at least two different bands are needed, as ['edu-top10', 'wiki-top10']")
    return names


def _weight(value: Any) -> str:
    """A weight as an exact decimal string, so that it is the same in every fingerprint."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal(0)
    if isinstance(value, bool) or not (number.is_finite() and 0 < number <= 1_000_000 and number * 1000 % 1 == 0):
        raise ValueError(f"{value!r} is no weight: give a number above 0, up to a million, with up to three decimals")
    return f"{number.normalize():f}"


Weight = Annotated[str, PlainValidator(_weight)]
By = Literal["documents", "characters", "tokens"]


class Subset(Section):
    """A ranking of the accepted pages with its top-k bands, each of which becomes the subset `NAME-BAND`; or a union or
    intersection of bands, which becomes the subset `NAME`. Give exactly one of classifier, ranks, union and
    intersection."""

    name: Name | None = Field(default=None, description="Name of the ranking or subset. Default: the classifier's.")
    classifier: ClassifierName | None = Field(default=None, description="Rank by the score of this classifier.")
    ranks: dict[ClassifierName, Weight] | None = Field(
        default=None, min_length=2, description="Rank by the sum of weight x rank: classifier -> weight."
    )
    union: Annotated[tuple[str, ...], AfterValidator(_parts)] | None = Field(
        default=None, description="Pages in any of these top-k bands, as ['edu-top10', 'wiki-top10']."
    )
    intersection: Annotated[tuple[str, ...], AfterValidator(_parts)] | None = Field(
        default=None, description="Pages in all of these top-k bands."
    )
    bands: Annotated[tuple[str, ...], AfterValidator(_bands)] = Field(
        default=("top10", "top10-30"), min_length=1, description="Top-k bands of the ranking; each becomes a subset."
    )
    by: By = Field(default="documents", description="Unit of the bands' percentages.")

    @model_validator(mode="after")
    def _one_way(self) -> "Subset":
        ways = ("classifier", "ranks", "union", "intersection")
        given = [way for way in ways if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(ways)} is needed (given: {', '.join(given) or 'none'})")
        if self.name is None and not self.classifier:
            raise ValueError(f"`{given[0]}` needs a `name`")
        for key in () if self.is_ranking else ("bands", "by"):
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"`{given[0]}` takes no {key}")
        return self

    @property
    def is_ranking(self) -> bool:
        return bool(self.classifier or self.ranks)

    @property
    def title(self) -> str:
        return self.name or self.classifier or ""  # one of them is set


class Ranking(NamedTuple):
    """An order of the accepted pages, by a classifier's score or by ranks; `by` is the unit of its shares."""

    classifier: str | None
    ranks: Mapping[str, Fraction]
    by: By

    @property
    def classifiers(self) -> tuple[str, ...]:
        return (self.classifier,) if self.classifier else tuple(self.ranks)


class Chosen(NamedTuple):
    """A subset: the pages in any of the parts, or in all of them."""

    name: str
    parts: tuple[Part, ...]
    needs_all: bool


class Plan(NamedTuple):
    """The rankings and subsets that [[subsets]] configures."""

    rankings: dict[str, Ranking]
    subsets: tuple[Chosen, ...]

    @property
    def classifiers(self) -> tuple[str, ...]:
        """All classifiers that a ranking uses, in the order of the configuration."""
        return tuple(dict.fromkeys(name for ranking in self.rankings.values() for name in ranking.classifiers))

    @property
    def parts(self) -> tuple[Part, ...]:
        """All top-k bands that a subset uses."""
        return tuple(dict.fromkeys(part for subset in self.subsets for part in subset.parts))

    def counts(self, by: By) -> bool:
        return any(ranking.by == by for ranking in self.rankings.values())


def plan(entries: Iterable[Subset], classifiers: Iterable[str]) -> Plan:
    """The rankings and subsets that are configured; `classifiers` are the configured ones.

    Raises ValueError for unknown or ambiguous names.
    """
    known, rankings, chosen = set(classifiers), dict[str, Ranking](), list[Chosen]()
    entries = tuple(entries)
    for entry in entries:
        if not entry.is_ranking:
            continue
        ranks = {name: Fraction(weight) for name, weight in (entry.ranks or {}).items()}
        ranking = Ranking(entry.classifier, ranks, entry.by)
        if unknown := sorted({*ranking.classifiers} - known):
            there = ", ".join(classifiers) or "none"
            raise ValueError(
                f"subsets: no classifier {unknown[0]!r} is configured{meant(unknown[0], known)} (there are: {there})"
            )
        if entry.title in known and entry.title != entry.classifier:
            raise ValueError(f"subsets: {entry.title!r} is the name of a classifier")
        if rankings.setdefault(entry.title, ranking) != ranking:
            raise ValueError(f"subsets: two rankings are named {entry.title!r}; set `name` of one of them")
        chosen += [_chosen_band(entry.title, band) for band in entry.bands]
    for entry in entries:
        parts = tuple(_parse_part(name) for name in entry.union or entry.intersection or ())
        for part in parts:
            if part.ranking not in rankings and part.ranking not in known:
                ranked = dict.fromkeys((*rankings, *classifiers))
                raise ValueError(
                    f"subsets: {entry.title}: no ranking {part.ranking!r}{meant(part.ranking, ranked)} "
                    f"(there are: {', '.join(ranked) or 'none'})"
                )
            rankings.setdefault(part.ranking, Ranking(part.ranking, {}, "documents"))
        if parts:
            chosen.append(Chosen(entry.title, parts, entry.intersection is not None))
    names = [subset.name for subset in chosen]
    if taken := next((name for name in names if name in BUILT_IN_SUBSETS), None):
        raise ValueError(f"subsets: {taken!r} is the name of a built-in subset; choose another")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"subsets: two are named {twice!r}")
    if len(names) > MOST_SUBSETS:
        raise ValueError(f"subsets: {len(names)} are configured, at most {MOST_SUBSETS} are possible")
    return Plan(rankings, tuple(chosen))


def _chosen_band(ranking: str, band: str) -> Chosen:
    return Chosen(f"{ranking}-{band}", (Part(ranking, parse_band(band)),), False)


def _points(value: dict[str, float]) -> dict[str, float]:
    found = {parse_band(f"top{name}").end: score for name, score in value.items()}
    ascending = [found[share] for share in sorted(found)]
    if ascending != sorted(ascending, reverse=True):
        raise ValueError("a larger share can't begin at a higher score")
    return value


Points = Annotated[dict[str, float], AfterValidator(_points)]


class Selection(Section):
    """Score thresholds of an earlier selection, instead of shares of this corpus."""

    thresholds: dict[Name, Points] = Field(
        default={},
        description="Ranking -> percent from the top -> score. Pages with at least this score are above that cut. "
        "`select --thresholds FILE` reads them from a thresholds.json.",
    )

    def threshold(self, ranking: str, share: Fraction) -> float | None:
        """The score at which a share of a ranking ends; None if no threshold is given."""
        points = {parse_band(f"top{name}").end: score for name, score in self.thresholds.get(ranking, {}).items()}
        return points.get(share)

    def missing(self, parts: Iterable[Part]) -> Iterator[str]:
        """The ends of bands for which no threshold is given."""
        for ranking, band in parts:
            for share in (band.start, band.end):
                if share and self.threshold(ranking, share) is None:
                    yield f"{ranking} at {percent_of(share)} %"


def points_of(thresholds: bytes) -> dict[str, dict[str, float]]:
    """A thresholds.json as values of `selection.thresholds`. Raises ValueError for other content."""
    found: dict[str, dict[str, float]] = {}
    try:
        for ranking, bands in json.loads(thresholds).items():
            points = found.setdefault(ranking, {})
            for name, last in bands.items():
                band = parse_band(name)
                if last is not None:
                    points[percent_of(band.end)] = float(last["score"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no thresholds.json of swallow-spark: {error}") from None
    return found


def percent_of(share: Fraction) -> str:
    """A share as written in bands: 10, 0.5."""
    value = Decimal((share * 100).numerator) / Decimal((share * 100).denominator)
    return f"{value.normalize():f}"


class Tokens(Section):
    """How tokens are counted."""

    file: ExistingFile | None = Field(default=None, description="A tokenizer.json, for the package tokenizers.")
    encoding: str | None = Field(
        default=None, description="Encoding of the package quicktok: o200k_base, cl100k_base, llama3, qwen3."
    )
    sample_pages: int = Field(
        default=200, ge=10, le=1000, description="Pages tokenized to estimate each row of the report's table of sizes."
    )
    seed: int = Field(default=1, ge=0, description="Seed of these samples.")

    @model_validator(mode="after")
    def _one_tokenizer(self) -> "Tokens":
        if self.file and self.encoding:
            raise ValueError("give either `file` or `encoding`")
        return self

    @property
    def counting(self) -> bool:
        return bool(self.file or self.encoding)

    @property
    def title(self) -> str:
        """The tokenizer's name, shown with counts."""
        return self.encoding or (f"{self.file.name}, sha256 {sha256_of(self.file)[:12]}" if self.file else "none")

    def tokenizer(self) -> dict[str, Any]:
        """The keys that token counts depend on."""
        return {key: value for key, value in self.meaning().items() if key in ("file", "encoding")}


class HostLines(Section):
    """Drops lines that are on many accepted pages of a host, such as menus: those that reach both bounds. The defaults
    are ours."""

    min_pages: int = Field(default=10, ge=2, description="Fewest accepted pages of its host that have the line.")
    min_fraction: Share = Field(
        default=0.5, description="Smallest share of the host's accepted pages that have it. Both must hold."
    )


def _off(value: Any) -> Any:
    """`false` switches off what another configuration switches on."""
    return None if value is False else value


class Cleanup(Section):
    """Clean-up of texts when subsets are written: Japanese commas and full stops, footers trimmed; if configured, lines
    that repeat across a host are dropped, and personal data is masked."""

    mode: Literal["careful", "swallow", "off"] = Field(
        default="careful",
        description="`swallow`: as in the v1 code. `careful`: keeps the first line and at least half of a text.",
    )
    host_lines: Annotated[HostLines | None, BeforeValidator(_off)] = Field(
        default=None, description="Drop lines that repeat on a host. Off unless the section is present."
    )
    mask: tuple[Literal["mail", "phone", "postal_code"], ...] = Field(default=(), description="Personal data to mask.")
