"""Training and evaluating classifiers."""

from pathlib import Path
from typing import Annotated

import typer

from swallow_spark.commands.options import DEFAULT_CONFIG, JsonOption, SetOption, show
from swallow_spark.config import load
from swallow_spark.training.evaluate import evaluate as evaluate_model
from swallow_spark.training.train import train as train_model

app = typer.Typer()

TaskOption = Annotated[str, typer.Option("--task", metavar="wiki|edu", help="The classifier's task.")]
ExamplesOption = Annotated[
    list[Path], typer.Option("--input", metavar="FILE", help="Parquet or JSONL: text, and label or score; repeatable.")
]


@app.command()
def train(
    task: TaskOption,
    inputs: ExamplesOption,
    model: Annotated[Path, typer.Option("--model", metavar="OUT", help="Where to write it: .bin, or quantised .ftz.")],
    config: Annotated[
        str, typer.Option("--config", metavar="FILE", help="Its section [training] is used.")
    ] = DEFAULT_CONFIG,
    set_: SetOption = None,
    demonstration: Annotated[bool, typer.Option(help="The model card says: for demonstration only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Trains a fastText classifier, with a model card beside it."""
    section = load(config, set_ or ()).training
    show(train_model(task, inputs, model, section, demonstration=demonstration), as_json)


@app.command()
def evaluate(
    task: TaskOption,
    model: Annotated[Path, typer.Option("--model", metavar="FILE", help="A fastText model.")],
    inputs: ExamplesOption,
    as_json: JsonOption = False,
) -> None:
    """Measures a classifier on labelled examples."""
    show(evaluate_model(task, model, inputs), as_json)
