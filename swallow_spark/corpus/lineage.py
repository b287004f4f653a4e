"""When a unit is up to date: what each stage's units are computed from, and with which configuration and kernels.

Steps ask it what to do, and the report what has been done. What is not here: tombstones, which add up and follow from
nothing, and the boundaries of dedup, which are of one run of it and take their fingerprint and lineage from it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from swallow_spark.config.load import (
    Config,
    fingerprint,
    selection,
)
from swallow_spark.corpus.corpus import (
    Corpus,
    Manifest,
    NumberedFile,
    Unit,
    lineage,
)
from swallow_spark.kernels import features, japanese, lsh
from swallow_spark.kernels.classifiers import kind
from swallow_spark.kernels.html import charset, html, imported, page
from swallow_spark.kernels.minhash import minhash
from swallow_spark.kernels.text import (
    blocklists,
    cleanup,
    contamination,
    host_lines,
    ngwords,
    personal,
    tokens,
    tombstones,
)
from swallow_spark.kernels.warc import warc

SELECTION_VERSION: Final = 1
DEDUPLICATE_VERSION: Final = 3
DECIDE_VERSION: Final = 1
SELECT_VERSION: Final = 2

DUPLICATES_OF_REMOVED: Final = Unit("remove", "duplicates")
"""Of all crawls together, by the present dedup."""

# stage -> the stages whose rows are computed from its rows, or, as the selections, only for them
COMPUTED_FROM: Final[dict[str, tuple[str, ...]]] = {
    "ingest": (
        "selection",
        "sketch",
        "measure",
        "deduplicate",
        "boundary",
        "decontaminate",
        "decide",
        "score",
        "tokens",
        "host_lines",
        "select",
        "remove",
    ),
    "sketch": ("deduplicate", "boundary", "decontaminate", "decide", "score", "tokens", "host_lines", "select"),
    "measure": ("decide", "score", "tokens", "host_lines", "select"),
    "deduplicate": ("boundary", "decontaminate", "decide", "score", "tokens", "host_lines", "select"),
    "decontaminate": ("decide", "score", "tokens", "host_lines", "select"),
    "decide": ("score", "tokens", "host_lines", "select"),
    "score": ("select",),
    "tokens": ("select",),
    "host_lines": ("select",),
    "select": (),
    "tombstones": ("remove",),
}


def taken_back(stage: str, crawl: str | None, units: Callable[[str], Iterable[Unit]]) -> Iterator[Unit]:
    """The units that go with a stage, or with a crawl's part of it; the stage's own last, so that an interrupted call
    can be repeated. `units`: those of a stage (corpus.Corpus.units)."""
    stages = (*COMPUTED_FROM[stage], stage)
    if "deduplicate" in stages:
        yield from (unit for unit in units("remove") if unit == DUPLICATES_OF_REMOVED)
    for name in stages:
        yield from (unit for unit in units(name) if not crawl or f"crawl={crawl}" in unit.name.split("/"))


@dataclass(frozen=True)
class Fingerprints:
    """What each stage's rows depend on beside the rows that they are computed from."""

    config: Config

    @cached_property
    def ingest(self) -> str:
        # These names are in every corpus: they stay, whatever the modules are called.
        versions = {
            "swallow_spark.kernels.warc": warc.VERSION,
            "swallow_spark.kernels.page": page.VERSION,
            "swallow_spark.kernels.charset": charset.VERSION,
            "swallow_spark.kernels.html": html.VERSION,
            "swallow_spark.kernels.japanese": japanese.VERSION,
            "swallow_spark.kernels.imported": imported.VERSION,
        }
        return fingerprint(self.config.ingest.meaning(), versions)

    @cached_property
    def sketch(self) -> str:
        versions = {"minhash": minhash.VERSION, "lsh": lsh.VERSION}
        return fingerprint(self.config.sketch.meaning(), versions, self.ingest)

    @cached_property
    def measure(self) -> str:
        versions = {**features.versions(self.config.features.groups), "ngwords": ngwords.VERSION}
        return fingerprint(self.config.features.meaning(), versions, self.ingest)

    @cached_property
    def deduplicate(self) -> str:
        return fingerprint(self.config.dedup.meaning(), {"deduplicate": DEDUPLICATE_VERSION}, self.sketch)

    @cached_property
    def decide(self) -> str:
        # Not that of dedup: which pages it keeps is in the lineage.
        versions = {"decide": DECIDE_VERSION, "blocklists": blocklists.VERSION}
        section = self.config.decontamination
        also = [self.decontaminate, f"{section.rejected_from}"] if section.against else []
        return fingerprint(self.config.rules.meaning(), versions, self.measure, *also)

    @cached_property
    def decontaminate(self) -> str:
        versions = {"contamination": contamination.VERSION}
        return fingerprint(self.config.decontamination.measured(), versions, self.ingest)

    def score(self, classifier: str) -> str:
        section = self.config.classifiers[classifier]
        return fingerprint(section.meaning(), {section.kind: kind(section.kind).VERSION}, self.decide)

    @cached_property
    def select(self) -> str:
        versions = {"select": SELECT_VERSION, "cleanup": cleanup.VERSION, "personal": personal.VERSION}
        if self.config.cleanup.host_lines:
            versions["host_lines"] = host_lines.VERSION
        return fingerprint(selection(self.config), versions, *map(self.score, self.config.plan.classifiers))

    @cached_property
    def host_lines(self) -> str:
        return fingerprint({}, {"host_lines": host_lines.VERSION}, self.ingest)

    @cached_property
    def tokens(self) -> str:
        section = self.config.tokens
        return fingerprint(section.tokenizer(), tokens.versions(section.file, section.encoding))


class Due(NamedTuple):
    """A unit as this configuration and these upstream units make it. The fields are the first arguments of
    `Corpus.commit`."""

    unit: Unit
    fingerprint: str
    meaning: dict[str, Any]
    upstream: str

    def is_done(self, corpus: Corpus) -> bool:
        return corpus.is_finished(self.unit, self.fingerprint, self.upstream)


@dataclass(frozen=True)
class Lineage:
    """The units of a configuration, each from the manifests of those that it is computed from."""

    config: Config

    @cached_property
    def prints(self) -> Fingerprints:
        return Fingerprints(self.config)

    def ingest(self, unit: str) -> Due:
        return Due(Unit("ingest", unit), self.prints.ingest, self.config.ingest.meaning(), lineage([]))

    def selection(self, crawl: str, meaning: dict[str, Any], files: Iterable[NumberedFile]) -> Due:
        """The records of a crawl's registered files that an index names."""
        print_ = fingerprint(meaning, {"selection": SELECTION_VERSION})
        upstream = fingerprint({"files": [[file.file_no, file.key] for file in files]}, {})
        return Due(Unit("selection", f"crawl={crawl}/records"), print_, meaning, upstream)

    def annotate(self, stage: Literal["sketch", "measure"], pages: Manifest) -> Due:
        section = self.config.sketch if stage == "sketch" else self.config.features
        print_ = self.prints.sketch if stage == "sketch" else self.prints.measure
        return Due(Unit(stage, pages.unit), print_, section.meaning(), lineage([pages]))

    def deduplicate(self, sketched: Iterable[Manifest]) -> Due:
        unit = Unit("deduplicate", "corpus")
        return Due(unit, self.prints.deduplicate, self.config.dedup.meaning(), lineage(sketched))

    def decontaminate(self, pages: Manifest, kept: Manifest) -> Due:
        """`kept`: as of decide."""
        crawl = pages.unit.split("/")[0].removeprefix("crawl=")
        upstream = lineage([pages], kept.details.get("kept", {}).get(crawl, ""))
        meaning = self.config.decontamination.measured()
        return Due(Unit("decontaminate", pages.unit), self.prints.decontaminate, meaning, upstream)

    def decide(
        self, crawl: str, measured: Iterable[Manifest], kept: Manifest, contaminated: Iterable[Manifest] = ()
    ) -> Due:
        """`contaminated`: those of decontaminate, where that is configured.

        `kept`: that of dedup. Of it counts which pages of the crawl are kept, and no more: a new crawl that changes
        nothing for them leaves their verdicts and scores as they are."""
        unit = Unit("decide", f"preset={self.config.rules.preset}/crawl={crawl}")
        upstream = lineage([*measured, *contaminated], kept.details.get("kept", {}).get(crawl, ""))
        return Due(unit, self.prints.decide, self.config.rules.meaning(), upstream)

    def score(self, classifier: str, pages: Manifest, decided: Manifest) -> Due:
        unit = Unit("score", f"classifier={classifier}/{pages.unit}")
        meaning = self.config.classifiers[classifier].meaning()
        return Due(unit, self.prints.score(classifier), meaning, lineage([pages, decided]))

    def cuts(self, scored: Iterable[Manifest]) -> Due:
        return Due(Unit("select", "cuts"), self.prints.select, selection(self.config), lineage(scored))

    def remove(self, pages: Manifest, listed: Iterable[Manifest]) -> Due:
        """`listed`: those of the tombstones."""
        print_ = fingerprint({}, {"tombstones": tombstones.VERSION})
        return Due(Unit("remove", pages.unit), print_, {}, lineage([pages, *listed]))

    def duplicates_of_removed(self, removed: Iterable[Manifest], deduplicated: Iterable[Manifest]) -> Due:
        """`removed`: those of `remove` for all pages."""
        return Due(DUPLICATES_OF_REMOVED, fingerprint({}, {}), {}, lineage([*removed, *deduplicated]))

    def report(self, version: int, everything: Iterable[Manifest]) -> Due:
        """`version`: that of the page. `everything`: what it tells of."""
        print_ = fingerprint(self.config.meaning(), {"report": version})
        return Due(Unit("report", "index"), print_, {}, lineage(everything))

    def subsets(self, pages: Manifest, cuts: Manifest, scored: Iterable[Manifest], removed: Manifest | None) -> Due:
        """`scored`: those of `score` for these pages. Of the cuts counts where they are, and no more: where thresholds
        that are given make them, a new crawl leaves the subsets of old ones as they are. But ranks, and which lines
        repeat on a host, are of the whole corpus, whose accepted pages are in the lineage of the cuts.

        `removed`: that of `remove` for these pages. Of it counts which ones are removed: where none is, the subsets
        stay as they are."""
        counts = removed.counts if removed else {}
        which = [f"removed {counts['removed']} {counts['mixed']}"] if counts.get("removed") else []
        if self._selects_by_the_corpus:
            upstream = lineage([pages, cuts], *which)
        else:
            upstream = lineage([pages, *scored], self._where(cuts), *which)
        return Due(Unit("select", pages.unit), self.prints.select, {}, upstream)

    @cached_property
    def _selects_by_the_corpus(self) -> bool:
        ranks = any(ranking.ranks for ranking in self.config.plan.rankings.values())
        return ranks or bool(self.config.cleanup.host_lines)

    def _where(self, cuts: Manifest) -> str:
        """Identifies the places of the cuts."""
        if cuts.id not in self._places:
            edges = [
                [
                    cut["ranking"],
                    cut["band"],
                    *((at and [at["score"], at["doc_id"]]) for at in (cut["upper"], cut["lower"])),
                ]
                for cut in cuts.details["cuts"]
            ]
            self._places[cuts.id] = fingerprint({"cuts": edges}, {})
        return self._places[cuts.id]

    @cached_property
    def _places(self) -> dict[str, str]:
        """By the id of the cuts' manifest, which thousands of batches are asked about."""
        return {}

    def host_lines(self, pages: Manifest, decided: Manifest) -> Due:
        unit = Unit("host_lines", pages.unit)
        return Due(unit, self.prints.host_lines, {}, lineage([pages, decided]))

    def tokens(self, of: str, pages: Manifest, texts: Iterable[Manifest]) -> Due:
        """`of`: a subset's name, or `accepted`; `texts`: what tells which texts are counted."""
        unit = Unit("tokens", f"{of}/{pages.unit}")
        return Due(unit, self.prints.tokens, self.config.tokens.tokenizer(), lineage(texts))
