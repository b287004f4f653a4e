"""How far a corpus is: the state of each stage, and the runs that made it, from manifests alone."""

import json
import math
from typing import Final

from swallow_spark.config.load import Config
from swallow_spark.corpus.corpus import (
    Corpus,
    Manifest,
)
from swallow_spark.corpus.lineage import (
    Due,
    Lineage,
)
from swallow_spark.report.contents import RunEntry, Stage

_MOST_RUNS: Final = 20


def stages(corpus: Corpus, config: Config, files_pending: int) -> tuple[Stage, ...]:
    """The state of each stage: done, not done, partly done, or out of date where it was made from other units or with
    another configuration than now. `files_pending` are registered inputs that no batch covers."""
    lineage, preset = Lineage(config), config.rules.preset
    ingested = corpus.manifests("ingest")
    due = [lineage.ingest(manifest.unit) for manifest in ingested]
    found = [_stage("ingest", ingested, due, len(ingested) + (files_pending > 0))]
    sketched, measured = corpus.manifests("sketch"), corpus.manifests("measure")
    found.append(_stage("sketch", sketched, [lineage.annotate("sketch", pages) for pages in ingested]))
    found.append(_stage("measure", measured, [lineage.annotate("measure", pages) for pages in ingested]))
    deduplicated = corpus.manifests("deduplicate")
    found.append(_stage("deduplicate", deduplicated, [lineage.deduplicate(sketched)]))

    contaminated = corpus.manifests("decontaminate") if config.decontamination.against else []
    if config.decontamination.against:
        due = [lineage.decontaminate(pages, kept) for pages in ingested for kept in deduplicated]
        found.append(_stage("decontaminate", contaminated, due, len(ingested)))

    decided = corpus.manifests("decide", f"preset={preset}/")
    due = []
    for crawl in corpus.crawls().values():
        own = corpus.manifests("measure", f"crawl={crawl}/")
        shares = [manifest for manifest in contaminated if manifest.unit.startswith(f"crawl={crawl}/")]
        due += [lineage.decide(crawl, own, kept, shares) for kept in deduplicated if own]
    found.append(_stage(f"decide {preset}", decided, due))

    scores: list[Manifest] = []
    verdicts = {manifest.unit: manifest for manifest in decided}
    for name in config.classifiers:
        scored = corpus.manifests("score", f"classifier={name}/")
        due = []
        for pages in ingested:
            if verdict := verdicts.get(f"preset={preset}/{pages.unit.split('/')[0]}"):
                due.append(lineage.score(name, pages, verdict))
        found.append(_stage(f"score {name}", scored, due, len(ingested)))
        if name in config.plan.classifiers:
            scores.extend(scored)

    if config.subsets:
        cuts = corpus.manifests("select", "cuts")
        of_batch: dict[str, list[Manifest]] = {}
        for manifest in scores:
            of_batch.setdefault(manifest.unit.partition("/")[2], []).append(manifest)
        if config.plan.counts("tokens"):
            scores.extend(corpus.manifests("tokens", "accepted/"))
        found.append(_stage("select: cuts", cuts, [lineage.cuts(scores)]))
        if config.cleanup.host_lines:
            due = [
                lineage.host_lines(pages, verdict)
                for pages in ingested
                if (verdict := verdicts.get(f"preset={preset}/{pages.unit.split('/')[0]}"))
            ]
            found.append(_stage("host_lines", corpus.manifests("host_lines"), due, len(ingested)))
        subsets = corpus.manifests("select", "crawl=")
        removed = {manifest.unit: manifest for manifest in corpus.manifests("remove")}
        due = [
            lineage.subsets(pages, one, of_batch.get(pages.unit, ()), removed.get(pages.unit))
            for pages in ingested
            for one in cuts
        ]
        found.append(_stage("select: subsets", subsets, due, len(ingested)))
    return tuple(found)


def _stage(name: str, manifests: list[Manifest], due: list[Due], expected: int | None = None) -> Stage:
    """`due`: the units that can be told by now; `expected`: how many there are to be, where those are not all."""
    current = {(one.unit.name, one.fingerprint, one.upstream) for one in due}
    state = "done"
    if not manifests:
        state = "not done"
    elif any((manifest.unit, manifest.fingerprint, manifest.upstream) not in current for manifest in manifests):
        state = "out of date"
    elif len(manifests) < (len(due) if expected is None else expected):
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
