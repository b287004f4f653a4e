"""The subsets that a corpus has: none of them goes unless the user has agreed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.errors import CorpusError, SwallowSparkError
from swallow_spark.stages.run import Run

_OF_SUBSETS = ("features", "dedup", "rules", "decontamination", "classifiers", "subsets", "tokens", "cleanup")


class Standing(NamedTuple):
    """A subset as it was written."""

    name: str
    documents: int
    characters: int

    def __str__(self) -> str:
        return f"{self.name} ({self.documents:,} documents, {self.characters:,} characters)"


def standing(corpus: Corpus) -> list[Standing]:
    """The subsets that have pages, of whatever configuration; by name."""
    documents, characters = Counter[str](), Counter[str]()
    for manifest in corpus.manifests("select", "crawl="):
        for table in {file.table for file in manifest.files}:
            documents[table] += manifest.rows(table)
            characters[table] += manifest.counts.get(f"chars:{table}", 0)
    return [Standing(name.removeprefix("subsets/"), documents[name], characters[name]) for name in sorted(documents)]


def left_alone(run: Run, there: Sequence[Standing]) -> str:
    """Says that a run without configured subsets keeps those of an earlier configuration."""
    removed = "; pages that were removed since are still in them" if run.corpus.manifests("tombstones") else ""
    return (
        f"select: this configuration has no subsets. Those of another one stay as they are: "
        f"{', '.join(map(str, there))}{removed}"
    )


def refuse_replacing(run: Run, made: Mapping[str, Any] | None, before: Config | None) -> None:
    """Refuses to replace subsets of another configuration: with new pages, removals, thresholds or another release of
    this program, a subset is still the same one.

    made: the record of the run that wrote them; before: its configuration; None if they aren't known. Raises
    CorpusError, which names what would go.
    """
    corpus, now = run.corpus, run.config
    if not now.subsets or not (there := standing(corpus)):
        return
    written = corpus.manifests("select", "crawl=")
    if {manifest.fingerprint for manifest in written} == {run.lineage.fingerprint("cuts")}:
        return
    if made and max(manifest.finished for manifest in written) > datetime.fromisoformat(made["finished"]):
        made = before = None  # a later run wrote them, and was stopped before it left a record
    if before and _is_same(run, before):
        return
    configured = {subset.name for subset in now.plan.subsets}
    deleted = [one for one in there if one.name not in configured]
    replaced = [one for one in there if one.name in configured]
    parts = [f"{verb} {', '.join(map(str, of))}" for verb, of in (("delete", deleted), ("replace", replaced)) if of]
    raise CorpusError(
        f"{corpus.root.location}: this run would {' and '.join(parts)}, made with {_named(made)}"
        f"{_differences(before, now)}. "
        "Agree with --replace, or use another --corpus; `swallow-spark export` copies them first"
    )


def _is_same(run: Run, before: Config) -> bool:
    """Whether a configuration gives the same subsets, in this release, but for thresholds."""
    before = before.model_copy(update={"selection": run.config.selection})
    try:
        earlier = replace(run, config=before)
        return earlier.lineage.fingerprint("cuts") == run.lineage.fingerprint("cuts")
    except (SwallowSparkError, OSError):  # a file that it names is gone
        return False


def _named(made: Mapping[str, Any] | None) -> str:
    if not made:
        return "another configuration"
    name = made.get("config_name")
    return f"{f'the configuration {name}' if name else 'another configuration'} on {made['started'][:10]}"


def _differences(before: Config | None, now: Config) -> str:
    """The sections that mean something else now."""
    sections = [name for name in _OF_SUBSETS if before and _meaning(before, name) != _meaning(now, name)]
    return f" (different now: {', '.join(f'[{name}]' for name in sections)})" if sections else ""


def _meaning(config: Config, section: str) -> Any:
    value = getattr(config, section)
    if isinstance(value, Mapping):
        return {name: one.meaning() for name, one in value.items()}
    return [one.meaning() for one in value] if isinstance(value, tuple) else value.meaning()
