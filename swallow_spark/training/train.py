"""Trains Swallow's two classifiers: fastText on characters, the same bytes from the same examples.

Features as in Swallow Corpus v2: character 2- and 3-grams. Japanese has no blanks, so a document is one or a few
"words"; `min_count` keeps these out of the vocabulary, and only their n-grams count.
"""

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import fasttext
import numpy as np

from swallow_spark.errors import InputError, ModelError, UsageError
from swallow_spark.kernels import fasttext as scoring
from swallow_spark.training.card import write_card
from swallow_spark.training.evaluate import measure
from swallow_spark.training.examples import Examples, Task, find_task, prepare_text, read_examples, split

EPOCHS: Final = {"wiki": 5, "edu": 25}  # four classes of neighbouring scores need more passes than two distant ones
# More threads would update the matrix without order. fasttext 0.9.3 also leaves part of it uninitialised with fewer
# than 10; fasttext-community does not, and `_check_finite` looks.
THREADS: Final = 1
MIN_QUANTISED_ROWS: Final = 256  # fastText's product quantiser needs as many rows as centroids


def train(
    task: str,
    inputs: Sequence[Path],
    output: Path,
    *,
    epochs: int | None = None,
    learning_rate: float = 0.5,
    dim: int = 16,
    buckets: int = 200_000,
    min_count: int = 5000,
    minn: int = 2,
    maxn: int = 3,
    held_out_fraction: float = 0.1,
    kept_buckets: int = 20_000,
    seed: int = 0,
    demonstration: bool = False,
) -> dict[str, Any]:
    """Trains a classifier for `task` (wiki, edu) into `output` (.bin, or quantised .ftz), with a model card beside it.

    epochs: passes over the examples (None: 5 for wiki, 25 for edu). held_out_fraction: share of the examples, chosen by
    the hash of the text, that only measures. kept_buckets: n-gram rows that a .ftz keeps, those of the longest vectors
    (0: all). demonstration: the card says that the model shows how things work and no more.

    Returns a summary: `task`, `model`, `bytes`, `sha256`, `parameters`, `examples` and `held_out_examples` (by class),
    `metrics` on the held-out part (those of `evaluate`; None where nothing is held out), `cards`. Raises UsageError,
    InputError, ModelError (training diverged).
    """
    found = find_task(task)
    output = Path(output)
    parameters = {
        "epochs": EPOCHS[found.name] if epochs is None else epochs,
        "learning_rate": learning_rate,
        "dim": dim,
        "buckets": buckets,
        "min_count": min_count,
        "minn": minn,
        "maxn": maxn,
        "held_out_fraction": held_out_fraction,
        "kept_buckets": kept_buckets if output.suffix == ".ftz" else 0,
        "seed": seed,
        "threads": THREADS,
        "loss": "softmax",
    }
    _check_parameters(output, parameters)
    examples = read_examples(found, inputs)
    training, held_out = split(examples, held_out_fraction)
    counts = _count_classes(found, training)
    if empty := [value for value, count in counts.items() if not count]:
        raise InputError(f"no training example of {found.column} {', '.join(empty)} in {', '.join(map(str, inputs))}")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".training-", dir=output.parent) as directory:
        lines = Path(directory) / "examples.txt"
        _write_lines(found, training, lines)
        trained = Path(directory) / output.name
        _fit(lines, trained, parameters)
        model = scoring.load(trained)
        metrics = measure(found, model, held_out) if len(held_out) else None
        digest = hashlib.sha256(trained.read_bytes()).hexdigest()
        trained.replace(output)
    summary = {
        "task": found.name,
        "model": str(output),
        "bytes": output.stat().st_size,
        "sha256": digest,
        "parameters": parameters,
        "examples": counts,
        "held_out_examples": _count_classes(found, held_out),
        "metrics": metrics,
    }
    libraries = {name: version(name) for name in ("swallow-spark", "fasttext-community")}
    cards = write_card(output, summary, examples, libraries, demonstration)
    return summary | {"cards": [str(card) for card in cards]}


def _check_parameters(output: Path, parameters: dict[str, Any]) -> None:
    if output.suffix not in (".bin", ".ftz"):
        raise UsageError(f"{output}: a model's name ends in .bin, or in .ftz to have it quantised")
    bounds: dict[str, tuple[float, float]] = {
        "epochs": (1, 10_000),
        "learning_rate": (1e-6, 10),
        "dim": (1, 4096),
        "buckets": (MIN_QUANTISED_ROWS, 1 << 28),
        "min_count": (1, 1 << 30),
        "minn": (1, parameters["maxn"]),
        "maxn": (1, 16),
        "held_out_fraction": (0, 0.9),
        "kept_buckets": (0, parameters["buckets"]),
        "seed": (0, (1 << 31) - 1),
    }
    for name, (low, high) in bounds.items():
        if not low <= parameters[name] <= high:
            raise UsageError(f"{name} is {parameters[name]}; allowed is {low} to {high}")
    if 0 < parameters["kept_buckets"] < MIN_QUANTISED_ROWS:
        raise UsageError(
            f"kept_buckets is {parameters['kept_buckets']}; allowed is 0 (all) or {MIN_QUANTISED_ROWS} and more"
        )


def _count_classes(task: Task, examples: Examples) -> dict[str, int]:
    counts = Counter(examples.classes.tolist())
    return {value: counts[i] for i, value in enumerate(task.values)}


def _write_lines(task: Task, examples: Examples, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for text, number in zip(examples.texts.to_pylist(), examples.classes, strict=True):
            file.write(f"{task.labels[number]} {prepare_text(text)}\n")


def _fit(lines: Path, output: Path, parameters: dict[str, Any]) -> None:
    try:
        model = fasttext.train_supervised(
            str(lines),
            epoch=parameters["epochs"],
            lr=parameters["learning_rate"],
            dim=parameters["dim"],
            bucket=parameters["buckets"],
            minCount=parameters["min_count"],
            minn=parameters["minn"],
            maxn=parameters["maxn"],
            loss=parameters["loss"],
            seed=parameters["seed"],
            thread=THREADS,
            verbose=0,
        )
        _check_finite(model)
        if output.suffix == ".ftz":
            kept = parameters["kept_buckets"]
            model.quantize(str(lines), cutoff=kept, retrain=kept > 0, qnorm=True, thread=THREADS, verbose=0)
        model.save_model(os.fspath(output))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"training failed: {error} (a lower learning rate may help)") from error


def _check_finite(model: Any) -> None:
    for matrix in (model.get_input_matrix(), model.get_output_matrix()):
        if not np.isfinite(matrix).all():
            raise ModelError("training gave numbers that are not finite; a lower learning rate may help")
