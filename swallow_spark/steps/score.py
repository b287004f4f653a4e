"""Scores of the accepted survivors by each classifier, batch by batch."""

import hashlib
from collections.abc import Mapping
from functools import partial

from swallow_spark import lookups
from swallow_spark.corpus import Manifest, Unit, lineage
from swallow_spark.stages import score as stage
from swallow_spark.steps.run import Fingerprints, Run, crawl_of, in_flight, verdicts
from swallow_spark.tables import PAGES, SCORES, VERDICTS


def score(run: Run) -> None:
    """Scores of the accepted survivors by each classifier, all that are missing in one scan of a batch's text."""
    corpus, config = run.corpus, run.config
    prints = Fingerprints(config)
    decided = verdicts(run, prints)
    for crawl, decision in decided.items():
        work = []
        for pages in corpus.manifests("ingest", f"crawl={crawl}/"):
            units = {}
            for name in config.classifiers:
                unit = Unit("score", f"classifier={name}/{pages.unit}")
                if not corpus.is_finished(unit, prints.score(name), lineage([pages, decision])):
                    units[name] = unit
            if units:
                work.append((pages, units))
        if not work:
            continue
        with run.progress.stage("score"):
            rows = corpus.read(run.spark, f"verdicts/preset={config.rules.preset}", VERDICTS, [decision])
            accepted = rows.where("accepted").select("doc_id")
            shipped = lookups.ship(accepted, corpus.root, "accepted", decision.counts.get("accepted", 0))
            models = {name: _ship_model(run, name) for name in config.classifiers}
            one = partial(_score_batch, run, prints, decision, shipped, models)
            in_flight(run, one, work)
            corpus.root.delete(shipped.directory)


def _score_batch(
    run: Run,
    prints: Fingerprints,
    decision: Manifest,
    accepted: lookups.Lookups,
    models: Mapping[str, stage.Model],
    item: tuple[Manifest, dict[str, Unit]],
) -> None:
    pages, units = item
    corpus = run.corpus
    tables = {stage.table_of(name): SCORES for name in units}
    outputs = corpus.outputs(Unit("score", pages.unit), tables, crawl_of(run, pages))
    rows = corpus.read(run.spark, "pages", PAGES, [pages])
    written = stage.score(rows, accepted, {name: models[name] for name in units}, outputs).collect()
    for name, unit in units.items():
        own = [row for row in written if row["table"] == stage.table_of(name)]
        meaning = run.config.classifiers[name].meaning()
        corpus.commit(unit, prints.score(name), meaning, lineage([pages, decision]), own)


def _ship_model(run: Run, name: str) -> stage.Model:
    """Puts a model below the corpus root, from where the workers take it."""
    classifier = run.config.classifiers[name]
    content = classifier.path.read_bytes()
    path = f"models/{hashlib.sha256(content).hexdigest()}{classifier.path.suffix}"
    if not run.corpus.root.exists(path):
        run.corpus.root.write_atomically(path, content)
    return stage.Model(path, dict(classifier.weights))
