"""The built-in subsets `survivors` and `accepted`: pages that no `select` has written, exported from `pages`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import Manifest, lineage
from swallow_spark.kernels.text import cleanup, host_lines, personal
from swallow_spark.stages.export.tasks import FromPages
from swallow_spark.stages.host_lines.step import ship_repeated
from swallow_spark.stages.remove.step import find_removed, removed
from swallow_spark.stages.run import Run
from swallow_spark.stages.tokens.step import tokenizer
from swallow_spark.tables import GROUPS, VERDICTS

MADE_BY: Final = {"survivors": "deduplicate", "accepted": "decide"}


class BuiltIn(NamedTuple):
    """A built-in subset: the units that say which pages are in it, and what its texts depend on."""

    name: str
    units: Sequence[Manifest]
    content: str
    """Identifies the pages and their texts after clean-up."""


def find_built_in(run: Run, name: str) -> BuiltIn:
    """Raises UsageError if the stage that decides on its pages is not finished."""
    find_removed(run)
    units = run.lineage.finished(MADE_BY[name])
    texts = [*run.corpus.manifests("ingest"), *units, *run.corpus.manifests("remove", "crawl=")]
    config = run.config
    counting = config.tokens.tokenizer() if config.tokens.counting else None
    versions = cleanup.VERSION, personal.VERSION, host_lines.VERSION
    return BuiltIn(name, units, lineage(texts, f"{config.cleanup.meaning()} {counting} {versions}"))


@contextmanager
def ship_built_in(run: Run, subset: BuiltIn) -> Iterator[FromPages]:
    """What tasks need to export it. Its pages are looked up by doc_id: no text is shuffled.

    Lines that repeat on a host are counted on accepted pages, so they are dropped from these alone."""
    corpus, section = run.corpus, run.config.cleanup
    if subset.name == "survivors":
        table = "groups"
        members = corpus.read(run.spark, table, GROUPS, subset.units).select("doc_id")
        number = sum(manifest.rows(table) for manifest in subset.units)
    else:
        table = f"verdicts/preset={run.config.rules.preset}"
        verdicts = corpus.read(run.spark, table, VERDICTS, subset.units)
        members = verdicts.where("accepted").select("doc_id")
        number = sum(manifest.counts.get("accepted", 0) for manifest in subset.units)
    if corpus.manifests("tombstones"):
        members = members.join(removed(run), "doc_id", "left_anti")
    repeated = ship_repeated(run, section.host_lines) if section.host_lines and subset.name == "accepted" else None
    with run.progress.stage("export"):
        read = sum(manifest.rows(table) for manifest in subset.units)
        shipped = lookups.ship(members, corpus.root, subset.name, number, read)
    counting = tokenizer(run).load if run.config.tokens.counting else None
    try:
        yield FromPages(shipped, section, repeated, counting)
    finally:
        for lookup in (shipped, repeated):
            if lookup:
                corpus.root.delete(lookup.directory)
