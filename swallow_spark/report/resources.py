"""Resources of the stages (time, CPU, shuffle, spill, skew) in this run, or the last run that did any work."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.stages.stage import Lineage


class Used(NamedTuple):
    """Resources of one stage in one run; `rows` and `bytes` are those of all its finished units."""

    stage: str
    seconds: float
    python_cpu_seconds: float
    measured: Mapping[str, float]
    rows: int
    bytes: int


def resources(
    lineage: Lineage, seconds: Mapping[str, float], measured: Mapping[str, Mapping[str, float]]
) -> list[Used]:
    """By stage, in order of execution. `seconds` and `measured` are those of the current run (progress.Progress)."""
    if not measured:
        seconds, measured = _of_last_run(lineage.corpus)
    found = []
    for stage, figures in measured.items():
        # `annotate` is one scan for the units of several stages.
        directories = {row.directory for row in lineage.stages if stage in (row.end, row.directory)}
        manifests = [m for name in sorted(directories) for m in lineage.corpus.manifests(name)]
        files = [file for manifest in manifests for file in manifest.files]
        cpu = sum(manifest.cpu_seconds for manifest in manifests)
        rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
        found.append(Used(stage, float(seconds.get(stage, 0)), cpu, figures, rows, size))
    return found


def _of_last_run(corpus: Corpus) -> tuple[Mapping[str, float], Mapping[str, Mapping[str, float]]]:
    for path in reversed(corpus.root.files("runs", ".json")):
        try:
            run = json.loads(corpus.root.read_bytes(path))
            if set(run["resources"]) - {"report"}:
                return dict(run["seconds"]), {stage: dict(found) for stage, found in run["resources"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # the list of runs shows manifests that can't be read
    return {}, {}
