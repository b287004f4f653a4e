"""Annotates the pages, batch by batch: all missing annotations in one scan of the text."""

from typing import Final

from pyspark.sql import DataFrame

from swallow_spark.kernels import features, lsh
from swallow_spark.kernels.minhash import minhash
from swallow_spark.kernels.text import ngwords
from swallow_spark.stages.annotate import tasks
from swallow_spark.stages.run import Batch, Run, each_batch
from swallow_spark.stages.stage import Source, Stage


def annotate(run: Run) -> None:
    """Writes the tables of all stages that annotate pages (sketches, features, ...), for batches that lack them."""
    names = [stage.name for stage in run.stages if stage.annotation and (run.only is None or stage.name in run.only)]
    wanted = [name for name in names if run.stages[name].wanted(run.config, run.corpus)]

    def work(batch: Batch) -> DataFrame:
        annotations = [due.stage.annotation(run.config) for due in batch.due if due.stage.annotation]
        return tasks.annotate(batch.rows, annotations, batch.outputs)

    each_batch(run, "annotate", [due for name in wanted for due in run.lineage.due(name)], work)


SKETCH: Final = Stage(
    "sketch",
    command="sketch",
    each="batch",
    sources=(Source("ingest"),),
    run=annotate,
    annotation=lambda config: tasks.Sketching(config.sketch),
    uniform=True,
    meaning=lambda config, _: config.sketch.meaning(),
    versions=lambda config, _: {"minhash": minhash.VERSION, "lsh": lsh.VERSION},
)

MEASURE: Final = Stage(
    "measure",
    command="measure",
    each="batch",
    sources=(Source("ingest"),),
    run=annotate,
    annotation=lambda config: tasks.Measuring(config.features),
    meaning=lambda config, _: config.features.meaning(),
    versions=lambda config, _: {**features.versions(config.features.groups), "ngwords": ngwords.VERSION},
)
