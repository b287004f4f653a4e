"""The progress of a corpus from its manifests: the state of each stage, and the runs."""

import json
import math
from typing import Final

from swallow_spark.corpus.corpus import Corpus, Manifest
from swallow_spark.report.contents import RunEntry, Stage
from swallow_spark.stages.stage import Due, Lineage

_MOST_RUNS: Final = 20


def stages(lineage: Lineage, files_pending: int) -> tuple[Stage, ...]:
    """The state of each stage: done, not done, partly done, or out of date if it was computed from other units or with
    another configuration. `files_pending`: registered inputs that are in no batch."""
    found = []
    for row in lineage.stages:
        if not row.checked or not row.wanted(lineage.config, lineage.corpus):
            continue
        for variant in row.variants(lineage.config):
            prefix = row.prefix.format(variant) + (row.unit if row.each == "corpus" else "crawl=")
            manifests = lineage.corpus.manifests(row.directory, prefix)
            number = lineage.number(row.name, [variant]) + (row.name == "ingest" and files_pending > 0)
            name = row.name if row.directory == row.name else f"{row.directory}: {row.name}"
            due = lineage.due(row.name, [variant])
            found.append(_stage(f"{name} {variant}".strip(), manifests, due, number))
    return tuple(found)


def _stage(name: str, manifests: list[Manifest], due: list[Due], number: int) -> Stage:
    """`due`: the units whose sources exist; `number`: the number of units once all is done."""
    current = {(one.unit.name, one.fingerprint, one.upstream) for one in due}
    state = "done"
    if not manifests:
        state = "not done"
    elif any((manifest.unit, manifest.fingerprint, manifest.upstream) not in current for manifest in manifests):
        state = "out of date"
    elif len(manifests) < number:
        state = "partly done"
    return Stage(
        name,
        state,
        len(manifests),
        tuple(sorted({manifest.fingerprint for manifest in manifests})),
        tuple(sorted({manifest.version for manifest in manifests})),
        max((f"{manifest.finished:%Y-%m-%d %H:%M:%S}" for manifest in manifests), default=""),
    )


def runs(corpus: Corpus) -> tuple[RunEntry, ...]:
    """The latest runs, newest first, including those whose manifest can't be read."""
    entries = []
    for path in corpus.root.files("runs", ".json"):
        name = path.rpartition("/")[2].removesuffix(".json")
        try:
            found = json.loads(corpus.root.read_bytes(path))
            seconds = {str(stage): float(value) for stage, value in found.get("seconds", {}).items()}
            if not all(map(math.isfinite, seconds.values())):
                raise ValueError("seconds that are not finite")
            text = {key: str(found.get(key, "")) for key in ("command", "version", "started")}
            entries.append(RunEntry(name, seconds=seconds, **text))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            entries.append(RunEntry(name, problem=f"{path}: {error}"))
    return tuple(sorted(entries, key=lambda entry: (entry.started, entry.id), reverse=True)[:_MOST_RUNS])
