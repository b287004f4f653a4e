"""Scores of the accepted survivors by each classifier, batch by batch."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from swallow_spark.config.section import sha256_of
from swallow_spark.corpus import lookups
from swallow_spark.corpus.corpus import (
    Manifest,
    Unit,
)
from swallow_spark.corpus.lineage import Due
from swallow_spark.errors import ModelError
from swallow_spark.files.storage import Root
from swallow_spark.kernels.classifiers import Kind, Preparation, kind
from swallow_spark.stages.run import (
    Run,
    crawl_of,
    in_flight,
    verdicts,
)
from swallow_spark.stages.score import tasks as stage
from swallow_spark.stages.score.models import model_file
from swallow_spark.tables import PAGES, SCORES, VERDICTS


def score(run: Run) -> None:
    """Scores of the accepted survivors by each classifier, all that are missing in one scan of a batch's text."""
    corpus, config = run.corpus, run.config
    for crawl, decision in verdicts(run).items():
        work = []
        for pages in corpus.manifests("ingest", f"crawl={crawl}/"):
            due = {name: run.lineage.score(name, pages, decision) for name in config.classifiers}
            missing = {name: one for name, one in due.items() if not one.is_done(corpus)}
            if missing:
                work.append((pages, missing))
        if not work:
            continue
        with run.progress.stage("score"):
            rows = corpus.read(run.spark, f"verdicts/preset={config.rules.preset}", VERDICTS, [decision])
            accepted = rows.where("accepted").select("doc_id")
            shipped = lookups.ship(accepted, corpus.root, "accepted", decision.counts.get("accepted", 0))
            models = {name: _ship_model(run, name) for name in config.classifiers}
            one = partial(_score_batch, run, shipped, models)
            in_flight(run, one, work)
            corpus.root.delete(shipped.directory)


def _score_batch(
    run: Run,
    accepted: lookups.Lookups,
    models: Mapping[str, stage.Model],
    item: tuple[Manifest, dict[str, Due]],
) -> None:
    pages, missing = item
    corpus = run.corpus
    tables = {stage.table_of(name): SCORES for name in missing}
    outputs = corpus.outputs(Unit("score", pages.unit), tables, crawl_of(run, pages))
    rows = corpus.scan(run.spark, "pages", PAGES, [pages])
    written = stage.score(rows, accepted, {name: models[name] for name in missing}, outputs).collect()
    for name, due in missing.items():
        corpus.commit(*due, [row for row in written if row["table"] == stage.table_of(name)])


def _ship_model(run: Run, name: str) -> stage.Model:
    """Puts a model below the corpus root, in the form that workers map."""
    classifier, root = run.config.classifiers[name], run.corpus.root
    module = kind(classifier.kind)
    path = f"models/{classifier.content}-{classifier.kind}-{module.VERSION}"
    if not _is_whole(root, path, module):
        if root.is_local:  # other stores need no directories
            root.make_directory("models")
        with tempfile.TemporaryDirectory() as scratch:
            written, file = Path(scratch) / "model", model_file(classifier)
            module.load(file).share(written)
            if sha256_of(file) != classifier.content:
                raise ModelError(f"{file}: another file than when the run began; start it again")
            root.upload(written, f"{path}.tmp")  # the lock is ours: nobody else writes it
        root.move(f"{path}.tmp", path)
    preparation = Preparation(classifier.newlines, classifier.nfkc, classifier.lower_case)
    return stage.Model(path, module.open_shared, dict(classifier.weights), preparation)


def _is_whole(root: Root, path: str, module: Kind) -> bool:
    """Whether a model is there, and as it was written: it is in no manifest, so nothing else tells."""
    if not root.exists(path):
        return False
    copy = root.local_copy(path)
    try:
        module.open_shared(copy)
    except ModelError:
        copy.unlink()  # or this machine's copy would be taken again
        return False
    return True
