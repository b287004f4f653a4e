"""Trains Swallow's two classifiers, fastText on characters, reproducibly byte for byte."""

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

from swallow_spark.config.training import Training
from swallow_spark.errors import InputError, ModelError, UsageError
from swallow_spark.kernels.fasttext import fasttext as scoring
from swallow_spark.training.card import write_card
from swallow_spark.training.evaluate import measure
from swallow_spark.training.examples import EDU, Examples, Task, find_task, prepare_text, read_examples
from swallow_spark.training.split import balance, split

EPOCHS: Final = {"wiki": 5, "edu": 25}  # four adjacent scores need more passes than two distinct classes
# More threads would update the matrix in random order. fasttext 0.9.3 also leaves part of it uninitialised with fewer
# than 10; fasttext-community does not, and `_check_finite` makes sure.
THREADS: Final = 1
TUNING_FRACTION: Final = 0.1  # of the training part, for autotune's validation; held-out examples are never used


def train(
    task: str, inputs: Sequence[Path], output: Path, section: Training | None = None, *, demonstration: bool = False
) -> dict[str, Any]:
    """Trains a classifier for `task` (wiki, edu) into `output` (.bin, or quantised .ftz), with a model card beside it.

    Hashes of the texts decide which are held out, near-duplicates together. demonstration: the card says that the model
    is only a demonstration.

    Returns a summary: `task`, `model`, `bytes`, `sha256`, `parameters`, `examples` and `held_out_examples` (by class),
    `metrics` on the held-out part (those of `evaluate`; None if nothing is held out), `cards`. Raises UsageError,
    InputError, ModelError (training diverged).
    """
    found, section, output = find_task(task), section or Training(), Path(output)
    if output.suffix not in (".bin", ".ftz"):
        raise UsageError(f"{output}: a model's name must end in .bin, or in .ftz for a quantised model")
    balanced = found is not EDU if section.balanced is None else section.balanced
    parameters: dict[str, Any] = section.model_dump() | {
        "epochs": section.epochs or EPOCHS[found.name],
        "balanced": balanced,
        "kept_buckets": min(section.kept_buckets, section.buckets) if output.suffix == ".ftz" else 0,
        "threads": THREADS,
        "loss": "softmax",
    }
    examples = read_examples(found, inputs)
    training, held_out = split(examples, section.held_out_fraction)
    if balanced:
        training = balance(training)
    counts = _count_classes(found, training)
    if empty := [value for value, count in counts.items() if not count]:
        raise InputError(f"no training example of {found.column} {', '.join(empty)} in {', '.join(map(str, inputs))}")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".training-", dir=output.parent) as directory:
        trained = Path(directory) / output.name
        parameters |= _fit(found, training, trained, parameters)
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


def _count_classes(task: Task, examples: Examples) -> dict[str, int]:
    counts = Counter(examples.classes.tolist())
    return {value: counts[i] for i, value in enumerate(task.values)}


def _write_lines(task: Task, examples: Examples, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for text, number in zip(examples.texts.to_pylist(), examples.classes, strict=True):
            file.write(f"{task.labels[number]} {prepare_text(text)}\n")


def _fit(task: Task, examples: Examples, output: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """Trains and saves a model; returns the parameters that autotune found, if it was used."""
    lines = output.with_name("examples.txt")
    _write_lines(task, examples, lines)
    tuned = {"epochs": "epoch", "learning_rate": "lr"}
    given: dict[str, Any] = {name: parameters[key] for key, name in tuned.items()}
    sample = lines
    if parameters["autotune_seconds"]:
        # autotune keeps parameters that are passed by name, and searches the others.
        rest, tuning = split(examples, TUNING_FRACTION)
        sample, validation = output.with_name("sample.txt"), output.with_name("tuning.txt")
        _write_lines(task, rest, sample)
        _write_lines(task, tuning, validation)
        given = {"autotuneValidationFile": str(validation), "autotuneDuration": parameters["autotune_seconds"]}
    try:
        model = fasttext.train_supervised(
            str(sample),
            dim=parameters["dim"],
            bucket=parameters["buckets"],
            minCount=parameters["min_count"],
            minn=parameters["minn"],
            maxn=parameters["maxn"],
            wordNgrams=1,
            loss=parameters["loss"],
            seed=parameters["seed"],
            thread=THREADS,
            verbose=0,
            **given,
        )
        _check_finite(model)
        if output.suffix == ".ftz":
            kept = parameters["kept_buckets"]
            model.quantize(str(lines), cutoff=kept, retrain=kept > 0, qnorm=True, thread=THREADS, verbose=0)
        model.save_model(os.fspath(output))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"training failed: {error} (a lower learning rate may help)") from error
    if not parameters["autotune_seconds"]:
        return {}
    return {key: getattr(model.f.getArgs(), name) for key, name in tuned.items()}


def _check_finite(model: Any) -> None:
    for matrix in (model.get_input_matrix(), model.get_output_matrix()):
        if not np.isfinite(matrix).all():
            raise ModelError("training gave infinite or undefined weights; a lower learning rate may help")
