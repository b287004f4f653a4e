"""The declaration of a stage, and what follows from it: fingerprints, whether a unit is up to date, what is discarded
together, what has to be done first. `pipeline.STAGES` is the table of all stages.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pyarrow as pa

from swallow_spark.config.load import Config, fingerprint
from swallow_spark.corpus.corpus import Corpus, Manifest, Unit, lineage
from swallow_spark.errors import UsageError


def _nothing(_config: Config, _variant: str = "") -> dict[str, Any]:
    return {}


class Annotation(Protocol):
    """A table computed from each page alone, in the scan that all annotations share. Sent to tasks: keep it small."""

    table: str
    schema: pa.Schema

    def start(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Called once in a task: a function from rows of `pages` (doc_id, host, num_chars, text) to the table's."""


@dataclass(frozen=True)
class Source:
    """A stage that another stage is computed from."""

    stage: str
    part: Callable[[Manifest, str], str | None] | None = None
    """Identifies the part of a unit that matters for a crawl; None: the whole unit."""
    in_fingerprint: bool = True
    """False: only the ids of its units count, not its fingerprint."""
    when: Callable[[Config], bool] = lambda config: True
    variants: Callable[[Config], Sequence[str]] | None = None
    """The variants that are read; None: all."""
    required: bool = True
    """False: it may be missing."""
    discards: bool = True
    """False: discarding it leaves this stage's units, which are then out of date if they depend on it."""


@dataclass(frozen=True)
class Stage:
    """A row of the table of stages."""

    name: str
    each: Literal["batch", "crawl", "corpus"]
    """What one unit covers: a batch of pages as `ingest` committed it, a crawl, or all crawls."""
    sources: tuple[Source, ...] = ()
    tables: Callable[[Config, str], Mapping[str, pa.Schema]] = _nothing
    meaning: Callable[[Config, str], dict[str, Any]] = _nothing
    """The part of the configuration that changes a variant's rows."""
    versions: Callable[[Config, str], Mapping[str, Any]] = _nothing
    """Its kernels' versions, under names that never change: they are in the fingerprints of every corpus."""
    also: Callable[[Config], Sequence[str]] = lambda config: ()
    """Further parts of the fingerprint."""
    same_fingerprint_as: str | None = None
    directory: str = ""
    """Below manifests/; default: the name. Stages of one directory are discarded together."""
    unit: str = ""
    """The only unit of a stage of the whole corpus; empty: it has any number of units."""
    prefix: str = ""
    """Of the units' names; {} is the variant."""
    variants: Callable[[Config], Sequence[str]] = lambda config: ("",)
    """The presets, classifiers, ... that are configured."""
    wanted: Callable[[Config, Corpus], bool] = lambda config, corpus: True
    run: Callable[[Any], None] | None = None
    """Given the Run, does what is missing; stages that share a scan share it. None: another stage's does it."""
    command: str = ""
    """The command that redoes a unit; default: `annotate` for annotations, else the name."""
    annotation: Callable[[Config], Annotation] | None = None
    uniform: bool = False
    """All units must have one fingerprint, since pages are compared with each other."""
    checked: bool = True
    """Whether `check` and the report show its state."""
    reported: bool = True
    """Whether a new unit makes the report out of date."""

    @property
    def end(self) -> str:
        """Its name for `--until`; stages that share a scan have one name."""
        return self.run.__name__ if self.run else "ingest" if self.name == "ingest" else ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "directory", self.directory or self.name)
        object.__setattr__(self, "command", self.command or ("annotate" if self.annotation else self.name))
        if annotation := self.annotation:
            object.__setattr__(self, "tables", lambda config, _: {(of := annotation(config)).table: of.schema})


@dataclass(frozen=True)
class Due:
    """A unit as the present configuration and sources would make it."""

    stage: Stage
    unit: Unit
    fingerprint: str
    meaning: dict[str, Any]
    upstream: str
    variant: str = ""
    crawl: str = ""
    pages: Manifest | None = None
    """The batch of pages, if the stage has a unit for each."""
    sources: Mapping[str, Sequence[Manifest]] = field(default_factory=dict)
    """stage -> the units that this one is computed from."""

    def is_done(self, corpus: Corpus) -> bool:
        return corpus.is_finished(self.unit, self.fingerprint, self.upstream)

    def commit(self, corpus: Corpus, written: Iterable[Any], **more: Any) -> Manifest:
        return corpus.commit(self.unit, self.fingerprint, self.meaning, self.upstream, written, **more)


class Stages:
    """The table of stages, in the order of work."""

    def __init__(self, *rows: Stage) -> None:
        self._rows = {row.name: row for row in rows}
        assert len(self._rows) == len(rows), "two stages have one name"

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._rows.values())

    def __getitem__(self, name: str) -> Stage:
        return self._rows[name]

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories of manifests, which are the values of `discard --stage`."""
        return tuple(dict.fromkeys(row.directory for row in self))

    @property
    def discardable(self) -> tuple[str, ...]:
        """What `discard --stage` takes: all but what follows from other stages at once, or has no rows."""
        return tuple(dict.fromkeys(row.directory for row in self if row.checked or not row.sources))

    @property
    def ends(self) -> tuple[str, ...]:
        """The values of `--until`."""
        return tuple(dict.fromkeys(row.end for row in self if row.end))

    def needed(self, until: str) -> set[str]:
        """The stages named `until` (one of `ends`), and all that they need; all stages if it is the last one."""
        names = {row.name for row in self if until in (row.end, self.ends[-1])}
        while more := {source.stage for name in names for source in self[name].sources} - names:
            names |= more
        return names

    def taken_back(self, directory: str, crawl: str | None, units: Callable[[str], Iterable[Unit]]) -> Iterator[Unit]:
        """The units of a stage, or a crawl's part of them, and all that is computed from these: the latest stage first
        and its own last, so that an interrupted call can be repeated. `units`: those of a directory.

        With a crawl, units of the whole corpus stay: they are out of date, and the next run replaces them. But those
        that `build` doesn't make are included."""
        gone = {row.name for row in self if row.directory == directory}
        while more := {row.name for row in self if any(s.discards and s.stage in gone for s in row.sources)} - gone:
            gone |= more
        rows = [row for row in reversed(list(self)) if row.name in gone]
        for row in sorted(rows, key=lambda row: row.directory == directory):
            for unit in units(row.directory):
                if self._row_of(unit) is not row:
                    continue
                if row.each == "corpus":
                    stays = not row.unit or row.checked
                else:
                    stays = f"crawl={crawl}" not in unit.name.split("/")
                if not crawl or not stays:
                    yield unit

    def again(self, unit: Unit) -> str:
        """The command that redoes a unit; `build` too, if the unit is on its way to the subsets."""
        row = self._row_of(unit)
        if not row:
            return "`swallow-spark build`"
        in_build = row.run or row.command in self.ends
        return f"`swallow-spark {row.command}`" + (" (or `build`)" if in_build else "")

    def _row_of(self, unit: Unit) -> Stage | None:
        """The stage that a unit is one of: several may share its directory."""
        rows = [row for row in self if row.directory == unit.stage]
        return next((row for row in rows if _matches(row, unit)), rows[0] if rows else None)


def _matches(row: Stage, unit: Unit) -> bool:
    """Whether a unit of the stage's directory is one of the stage's."""
    if row.each == "corpus":
        return unit.name == row.unit or not row.unit
    return re.fullmatch(f"{re.escape(row.prefix).replace(re.escape('{}'), '[^/]+')}crawl=.*", unit.name) is not None


class Lineage:
    """The units that a configuration would make of a corpus with the manifests that it has."""

    def __init__(self, stages: Stages, config: Config, corpus: Corpus) -> None:
        self.stages, self.config, self.corpus = stages, config, corpus
        self._fingerprints: dict[tuple[str, str], str] = {}

    def fingerprint(self, name: str, variant: str = "") -> str:
        """Identifies what a stage's rows depend on beside its sources' units: configuration and versions, its own and
        those of the stages before it."""
        row = self.stages[name]
        if row.same_fingerprint_as:
            return self.fingerprint(row.same_fingerprint_as)
        if (name, variant) not in self._fingerprints:
            config = self.config
            before = [
                self.fingerprint(source.stage, one)
                for source in self._sources(row)
                if source.in_fingerprint
                for one in self._variants(source)
            ]
            own = row.meaning(config, variant), row.versions(config, variant)
            self._fingerprints[name, variant] = fingerprint(*own, *before, *row.also(config))
        return self._fingerprints[name, variant]

    def made(self, name: str, unit: str, upstream: str = "") -> Due:
        """A unit whose sources the caller knows."""
        row = self.stages[name]
        meaning = row.meaning(self.config, "")
        return Due(row, Unit(row.directory, unit), self.fingerprint(name), meaning, upstream or lineage([]))

    def due(self, name: str, variants: Sequence[str] | None = None, crawl: str = "") -> list[Due]:
        """The units of a stage whose sources are finished, by variant, then by name; of one crawl, if named."""
        row, due = self.stages[name], []
        batches = self.corpus.manifests("ingest")
        found = [(source, self._units(source, {pages.unit for pages in batches})) for source in self._sources(row)]
        for variant in row.variants(self.config) if variants is None else variants:
            fingerprint, meaning = self.fingerprint(name, variant), row.meaning(self.config, variant)
            for scope, pages in _scopes(row, batches, crawl):
                of_crawl = scope.partition("/")[0].removeprefix("crawl=") if row.each != "corpus" else ""
                sources = {source.stage: units.within(scope if row.each != "corpus" else "") for source, units in found}
                if any(source.required and not sources[source.stage] for source, _ in found):
                    continue
                whole = [m for source, _ in found if not source.part for m in sources[source.stage]]
                parts = [source.part(m, of_crawl) for source, _ in found if source.part for m in sources[source.stage]]
                upstream = lineage(whole, *(part for part in parts if part is not None))
                unit = Unit(row.directory, row.prefix.format(variant) + scope)
                due.append(Due(row, unit, fingerprint, meaning, upstream, variant, of_crawl, pages, sources))
        return due

    def everything(self) -> str:
        """Identifies all units that the report shows."""
        directories = dict.fromkeys(row.directory for row in self.stages if row.reported)
        return lineage(manifest for name in directories for manifest in self.corpus.manifests(name))

    def number(self, name: str, variants: Sequence[str] | None = None) -> int:
        """How many units a stage has when it is done."""
        row = self.stages[name]
        return len(_scopes(row, self.corpus.manifests("ingest"))) * len(
            row.variants(self.config) if variants is None else variants
        )

    def finished(self, name: str, variants: Sequence[str] | None = None) -> list[Manifest]:
        """The units of a stage, in the order of `due`. Raises UsageError if one is missing or out of date, also of the
        stages that it is computed from."""
        row, where = self.stages[name], self.corpus.root.location
        if not self.corpus.manifests("ingest"):
            raise UsageError(f"{where}: there are no pages yet: first `swallow-spark ingest`")
        for source in self._sources(row):
            if source.required:
                self.finished(source.stage, source.variants and source.variants(self.config))
        due = self.due(name, variants)
        done = [one for one in due if one.is_done(self.corpus)]
        number = self.number(name, variants)
        if len(done) < number and name != "ingest":  # pages are used as they are
            missing = f"{number - len(done)} of {number} units of {row.directory}"
            raise UsageError(f"{where}: {missing} are missing or out of date: first `swallow-spark {row.command}`")
        return [manifest for one in due if (manifest := self.corpus.manifest(one.unit))]

    def _sources(self, row: Stage) -> list[Source]:
        return [source for source in row.sources if source.when(self.config)]

    def _variants(self, source: Source) -> Sequence[str]:
        return (source.variants or self.stages[source.stage].variants)(self.config)

    def _units(self, source: Source, batches: set[str]) -> "_Units":
        """The finished units of a source, of the given batches."""
        row = self.stages[source.stage]
        units = _Units(row.each)
        for variant in self._variants(source):
            prefix = row.prefix.format(variant)
            for manifest in self.corpus.manifests(
                row.directory, prefix + (row.unit if row.each == "corpus" else "crawl=")
            ):
                scope = manifest.unit.removeprefix(prefix)
                if row.each != "batch" or scope in batches:
                    units.add(scope, manifest)
        return units


class _Units:
    """Units by what they cover."""

    def __init__(self, each: str) -> None:
        self._each = each
        self._by_scope: dict[str, list[Manifest]] = {}

    def add(self, scope: str, manifest: Manifest) -> None:
        # A batch's unit is also one of its crawl and of the corpus ("").
        for covered in ("",) if self._each == "corpus" else dict.fromkeys(("", scope.partition("/")[0], scope)):
            self._by_scope.setdefault(covered, []).append(manifest)

    def within(self, scope: str) -> list[Manifest]:
        """Those of a batch, a crawl, or the corpus (""); of larger units, the one that covers it."""
        covered = {"corpus": "", "crawl": scope.partition("/")[0]}.get(self._each, scope)
        return self._by_scope.get(covered, [])


def _scopes(row: Stage, batches: Sequence[Manifest], crawl: str = "") -> list[tuple[str, Manifest | None]]:
    """What the units of a stage cover: the names of batches or crawls (of one crawl, if named), or of the one unit of
    the corpus."""
    if row.each == "corpus":
        return [(row.unit, None)] if batches and row.unit else []
    own = [pages for pages in batches if not crawl or pages.unit.startswith(f"crawl={crawl}/")]
    if row.each == "batch":
        return [(pages.unit, pages) for pages in own]
    return [(name, None) for name in dict.fromkeys(pages.unit.partition("/")[0] for pages in own)]
