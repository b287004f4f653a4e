"""Training and evaluating classifiers."""

from pathlib import Path
from typing import Annotated

import typer

from swallow_spark.commands import on_first_use
from swallow_spark.commands.options import (
    DEFAULT_CONFIG,
    JsonOption,
    OverwriteOption,
    SetOption,
    command,
    option,
    refuse_existing,
    tell,
)
from swallow_spark.commands.tables import print_result, show_measures, show_trained
from swallow_spark.session.waiting import waiting

with on_first_use():
    from swallow_spark.config import load as configs
    from swallow_spark.training import evaluate as evaluation
    from swallow_spark.training import train as training

TaskOption = Annotated[str, option("--task", "wiki|edu", "The classifier's task.")]
ExamplesOption = Annotated[
    list[Path], option("--input", "FILE", "Parquet or JSONL: text and label or score; repeatable.")
]


@command("train", "Classifiers", "--task wiki --input examples.parquet --model mine.bin")
def train(
    task: TaskOption,
    inputs: ExamplesOption,
    model: Annotated[Path, option("--model", "OUT", "File to write: .bin, or quantised .ftz.")],
    config: Annotated[str, option("--config", "FILE", "Configuration with the section [training].")] = DEFAULT_CONFIG,
    set_: SetOption = None,
    replace: OverwriteOption = False,
    demonstration: Annotated[bool, typer.Option(help="Mark the model card: for demonstration only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a fastText classifier and write its model card."""
    refuse_existing("--model", model, replace)
    section = configs.load(config, set_ or ()).training
    with waiting(tell, "train"):
        trained = training.train(task, inputs, model, section, demonstration=demonstration)
    print_result(trained, as_json, show_trained)


@command("evaluate", "Classifiers", "--task wiki --model mine.bin --input held-out.parquet")
def evaluate(
    task: TaskOption,
    model: Annotated[Path, option("--model", "FILE", "A fastText model.")],
    inputs: ExamplesOption,
    as_json: JsonOption = False,
) -> None:
    """Measure a classifier on labelled examples."""
    with waiting(tell, "evaluate"):
        measured = evaluation.evaluate(task, model, inputs)
    print_result(measured, as_json, show_measures)
