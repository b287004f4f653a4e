"""Training and evaluating classifiers."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from swallow_spark.commands.options import DEFAULT_CONFIG, JsonOption, SetOption, print_json, show
from swallow_spark.config.load import load
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
    found = evaluate_model(task, model, inputs)
    print_json(found) if as_json else show_measures(found, Console(highlight=False))


_MEASURES = {  # with the names of Swallow Corpus v2's Table 1
    "documents": "documents",
    "accuracy": "accuracy of the most probable class (Acc)",
    "accuracy_4": "the same, of four classes (4-Acc)",
    "rmse": "root mean square error of the expected value (RMSE)",
    "mae": "mean absolute error of the expected value (MAE)",
    "accuracy_2": "accuracy of expected value >= 1.5 (2-Acc)",
    "accuracy_first_100_chars": "accuracy on the first 100 characters",
    "accuracy_first_200_chars": "accuracy on the first 200 characters",
}


def show_measures(found: dict[str, Any], console: Console) -> None:
    """The measures of `evaluate` as tables for people."""
    measures = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    for key, name in _MEASURES.items():
        if key in found:
            measures.add_row(name, f"{found[key]:,}" if key == "documents" else f"{found[key]:.4f}")
    console.print(measures)
    labels = [label.removeprefix("__label__") for label in found["labels"]]
    confusion = Table("true class", box=box.SIMPLE_HEAD, title="Predicted class", title_justify="left", pad_edge=False)
    for label in labels:
        confusion.add_column(label, justify="right")
    for label, row in zip(labels, found["confusion"], strict=True):
        confusion.add_row(label, *(f"{number:,}" for number in row))
    console.print(confusion)
    error = f"Calibration: expected error {found['calibration']['expected_error']:.4f}"
    bins = Table(box=box.SIMPLE_HEAD, title=error, title_justify="left", pad_edge=False)
    for heading in ("probability", "documents", "mean", "accuracy"):
        bins.add_column(heading, justify="right")
    for row in found["calibration"]["bins"]:
        bounds = f"{row['low']:.1f} to {row['high']:.1f}"
        bins.add_row(bounds, f"{row['documents']:,}", f"{row['confidence']:.3f}", f"{row['accuracy']:.3f}")
    console.print(bins)
