"""Resources of the stages (time, CPU, shuffle, spill, skew): of the whole build, that is of all runs of the corpus."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.stages.stage import Lineage


class Used(NamedTuple):
    """Resources of one stage in all runs; of `skew` the highest. Python's CPU time, `rows` and `bytes` are those of its
    finished units."""

    stage: str
    seconds: float
    python_cpu_seconds: float
    measured: Mapping[str, float]
    rows: int
    bytes: int


class Resources(NamedTuple):
    """`runs`: how many runs have left a record, the present one included."""

    stages: tuple[Used, ...]
    runs: int

    @property
    def seconds(self) -> float:
        return sum(used.seconds for used in self.stages)

    @property
    def cpu_seconds(self) -> float:
        return sum(used.python_cpu_seconds + used.measured.get("jvm_cpu_seconds", 0) for used in self.stages)

    def total(self, name: str) -> float:
        return sum(used.measured.get(name, 0) for used in self.stages)


def resources(lineage: Lineage, seconds: Mapping[str, float], measured: Mapping[str, Mapping[str, float]]) -> Resources:
    """By stage, in the order of the pipeline. `seconds` and `measured` are those of the current run
    (progress.Progress), which has no record yet."""
    runs = [*_recorded(lineage.corpus), *([(seconds, measured)] if measured else [])]
    places = {name: number for number, row in enumerate(lineage.stages) for name in (row.directory, row.end)}
    names = dict.fromkeys(stage for _, of in runs for stage in of)
    ordered = sorted(names, key=lambda name: places.get(name, len(places)))
    return Resources(tuple(_used(lineage, name, runs) for name in ordered), len(runs))


def _used(lineage: Lineage, stage: str, runs: list[Any]) -> Used:
    # `annotate` is one scan for the units of several stages.
    directories = {row.directory for row in lineage.stages if stage in (row.end, row.directory)}
    manifests = [m for name in sorted(directories) for m in lineage.corpus.manifests(name)]
    files = [file for manifest in manifests for file in manifest.files]
    sums: dict[str, float] = {}
    for _, measured in runs:
        for name, value in measured.get(stage, {}).items():
            sums[name] = max(sums.get(name, 0), value) if name == "skew" else sums.get(name, 0) + value
    return Used(
        stage,
        sum(float(seconds.get(stage, 0)) for seconds, _ in runs),
        sum(manifest.cpu_seconds for manifest in manifests),
        sums,
        sum(file.rows for file in files),
        sum(file.bytes for file in files),
    )


def _recorded(corpus: Corpus) -> Iterator[tuple[Mapping[str, float], Mapping[str, Mapping[str, float]]]]:
    for path in corpus.root.files("runs", ".json"):
        try:
            run = json.loads(corpus.root.read_bytes(path))
            found = {
                stage: {name: float(value) for name, value in of.items()} for stage, of in run["resources"].items()
            }
            yield {stage: float(value) for stage, value in run["seconds"].items()}, found
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # the list of runs shows manifests that can't be read
