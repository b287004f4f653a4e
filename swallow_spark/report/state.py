"""How far a corpus is: the state of each stage, and the runs that made it, from manifests alone."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from swallow_spark.config import Config, selection
from swallow_spark.corpus import Corpus, Manifest, Unit, lineage
from swallow_spark.report.contents import RunEntry, Stage

_MOST_RUNS: Final = 20


def stages(corpus: Corpus, config: Config, files_pending: int) -> tuple[Stage, ...]:
    """The state of each stage: done, not done, partly done, or out of date where it was made from other units or with
    another configuration than now. `files_pending` are registered inputs that no batch covers."""
    ingested = corpus.manifests("ingest")
    found = [_stage("ingest", ingested, len(ingested) + (files_pending > 0), {}, config.ingest.meaning())]
    of_pages = {manifest.unit: lineage([manifest]) for manifest in ingested}
    sketched, measured = corpus.manifests("sketch"), corpus.manifests("measure")
    found.append(_stage("sketch", sketched, len(ingested), of_pages, config.sketch.meaning()))
    found.append(_stage("measure", measured, len(ingested), of_pages, config.features.meaning()))
    deduplicated = corpus.manifests("deduplicate")
    upstream = {"corpus": lineage(sketched)}
    found.append(_stage("deduplicate", deduplicated, 1, upstream, config.dedup.meaning()))

    preset = config.rules.preset
    decided = corpus.manifests("decide", f"preset={preset}/")
    upstream = {}
    for crawl in corpus.crawls().values():
        if own := corpus.manifests("measure", f"crawl={crawl}/"):
            upstream[f"preset={preset}/crawl={crawl}"] = lineage([*own, *deduplicated])
    expected = len(upstream) or 1
    found.append(_stage(f"decide {preset}", decided, expected, upstream, config.rules.meaning()))

    scores: list[Manifest] = []
    for name, classifier in config.classifiers.items():
        scored = corpus.manifests("score", f"classifier={name}/")
        upstream = {}
        for pages in ingested:
            decision = corpus.manifest(Unit("decide", f"preset={preset}/{pages.unit.split('/')[0]}"))
            upstream[f"classifier={name}/{pages.unit}"] = lineage([pages, decision]) if decision else ""
        found.append(_stage(f"score {name}", scored, len(ingested), upstream, classifier.meaning()))
        if any(subset.classifier == name for subset in config.subsets):
            scores.extend(scored)

    if config.subsets:
        cuts = corpus.manifests("select", "cuts")
        meaning = selection(config)
        found.append(_stage("select: cuts", cuts, 1, {"cuts": lineage(scores)}, meaning))
        subsets = corpus.manifests("select", "crawl=")
        upstream = {pages.unit: lineage([pages, *cuts]) for pages in ingested}
        found.append(_stage("select: subsets", subsets, len(ingested), upstream, {}))
    return tuple(found)


def _stage(
    name: str, manifests: list[Manifest], expected: int, upstream: Mapping[str, str], meaning: Mapping[str, Any]
) -> Stage:
    as_now = json.loads(json.dumps(meaning))
    current = [m for m in manifests if m.meaning == as_now and m.upstream == upstream.get(m.unit, m.upstream)]
    state = "done"
    if not manifests:
        state = "not done"
    elif len(current) < len(manifests):
        state = "out of date"
    elif len(manifests) < expected:
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
    """The latest runs, the newest first. One whose manifest can't be read says so."""
    entries = []
    for path in corpus.root.files("runs", ".json"):
        name = path.rpartition("/")[2].removesuffix(".json")
        try:
            found = json.loads(corpus.root.read_bytes(path))
            seconds = {str(stage): float(value) for stage, value in found.get("seconds", {}).items()}
            if not all(map(math.isfinite, seconds.values())):
                raise ValueError("seconds that are no numbers")
            text = {key: str(found.get(key, "")) for key in ("command", "version", "started")}
            entries.append(RunEntry(name, seconds=seconds, **text))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            entries.append(RunEntry(name, problem=f"{path}: {error}"))
    return tuple(sorted(entries, key=lambda entry: (entry.started, entry.id), reverse=True)[:_MOST_RUNS])
