"""Scores the accepted pages by each classifier, batch by batch."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame

from swallow_spark.config.section import sha256_of
from swallow_spark.corpus.lookups import Lookups
from swallow_spark.errors import ModelError
from swallow_spark.files.storage import Root
from swallow_spark.kernels.classifiers import Kind, Preparation, kind
from swallow_spark.stages.run import Batch, Run, each_batch, ship_accepted
from swallow_spark.stages.score import tasks
from swallow_spark.stages.score.models import model_file
from swallow_spark.stages.stage import Due, Source, Stage
from swallow_spark.tables import SCORES


def score(run: Run) -> None:
    """Writes the scores that are missing, all of a batch in one scan of its text."""
    run.lineage.finished("decide")
    models = cache(lambda: {name: _ship_model(run, name) for name in run.config.classifiers})

    def accepted(due: Due) -> Lookups:
        models()  # before several threads need it
        return ship_accepted(run, due)

    def work(batch: Batch, accepted: Lookups) -> DataFrame:
        wanted = {due.variant: models()[due.variant] for due in batch.due}
        return tasks.score(batch.rows, accepted, wanted, batch.outputs)

    each_batch(run, "score", run.lineage.due("score"), work, accepted)


def _ship_model(run: Run, name: str) -> tasks.Model:
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
                raise ModelError(f"{file}: changed since the run began; start it again")
            root.upload(written, f"{path}.tmp")  # the corpus is locked: nobody else writes it
        root.move(f"{path}.tmp", path)
    preparation = Preparation(classifier.newlines, classifier.nfkc, classifier.lower_case)
    return tasks.Model(path, module.open_shared, dict(classifier.weights), preparation)


def _is_whole(root: Root, path: str, module: Kind) -> bool:
    """Whether a model is there and can be opened: no manifest lists it."""
    if not root.exists(path):
        return False
    copy = root.local_copy(path)
    try:
        module.open_shared(copy)
    except ModelError:
        copy.unlink()  # or this machine's copy would be used again
        return False
    return True


STAGE: Final = Stage(
    "score",
    each="batch",
    prefix="classifier={}/",
    variants=lambda config: tuple(config.classifiers),
    sources=(Source("ingest", in_fingerprint=False), Source("decide")),
    run=score,
    tables=lambda config, name: {f"scores/classifier={name}": SCORES},
    meaning=lambda config, name: config.classifiers[name].meaning(),
    versions=lambda config, name: {(of := config.classifiers[name].kind): kind(of).VERSION},
)
