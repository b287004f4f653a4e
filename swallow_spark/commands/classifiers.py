"""Training and evaluating classifiers."""

from pathlib import Path
from typing import Annotated

import typer

from swallow_spark.commands.options import (
    DEFAULT_CONFIG,
    JsonOption,
    OverwriteOption,
    SetOption,
    command,
    option,
    refuse_existing,
)
from swallow_spark.commands.tables import print_result, show_measures, show_trained
from swallow_spark.config.load import load
from swallow_spark.training.evaluate import evaluate as evaluate_model
from swallow_spark.training.train import train as train_model

TaskOption = Annotated[str, option("--task", "wiki|edu", "The classifier's task.")]
ExamplesOption = Annotated[
    list[Path], option("--input", "FILE", "Parquet or JSONL: text and label or score; repeatable.")
]


@command("train")
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
    section = load(config, set_ or ()).training
    trained = train_model(task, inputs, model, section, demonstration=demonstration)
    print_result(trained, as_json, show_trained)


@command("evaluate")
def evaluate(
    task: TaskOption,
    model: Annotated[Path, option("--model", "FILE", "A fastText model.")],
    inputs: ExamplesOption,
    as_json: JsonOption = False,
) -> None:
    """Measure a classifier on labelled examples."""
    print_result(evaluate_model(task, model, inputs), as_json, show_measures)
