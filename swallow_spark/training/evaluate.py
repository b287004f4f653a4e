"""Evaluates a classifier on labelled text: the measures of Swallow Corpus v2's Table 1, and a confusion matrix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from swallow_spark.errors import ModelError
from swallow_spark.kernels.fasttext import fasttext
from swallow_spark.kernels.fasttext.losses import ARTEFACT
from swallow_spark.training.examples import EDU, Examples, Task, find_task, read_examples

EDUCATIONAL: Final = 1.5  # the threshold of Swallow's 2-class accuracy, for the score and the expected value
FIRST_CHARS: Final = (100, 200)
BATCH_ROWS: Final = 4096
CALIBRATION_BINS: Final = 10


def evaluate(task: str, model: Path, inputs: Sequence[Path]) -> dict[str, Any]:
    """Measures of `model` on all examples of `inputs` (see `training.examples` for their columns).

    `documents`, `accuracy` (of the most probable class), `accuracy_first_100_chars` and `…_200_chars`, `labels`,
    `confusion` (a row per true class, a column per predicted one), `calibration` (see the function); for edu also
    `accuracy_4` (the same as `accuracy`), `rmse` and `mae` of the expected value, and `accuracy_2` (expected value and
    score on the same side of 1.5). Raises InputError, ModelError.
    """
    found = find_task(task)
    return measure(found, fasttext.load(model), read_examples(found, inputs))


def measure(task: Task, model: fasttext.Model, examples: Examples) -> dict[str, Any]:
    """The measures of `evaluate` for a loaded model and at least one example."""
    labels = match_labels(task, model)
    weights = dict(zip(labels, task.weights, strict=True))
    columns = [model.labels.index(label) for label in labels]
    probabilities = _probabilities(model, examples.texts)
    predicted = probabilities[:, columns].argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (examples.classes, predicted), 1)
    result: dict[str, Any] = {"documents": len(examples), "accuracy": float((predicted == examples.classes).mean())}
    for chars in FIRST_CHARS:
        start = _probabilities(model, pc.utf8_slice_codeunits(examples.texts, 0, chars))[:, columns].argmax(axis=1)
        result[f"accuracy_first_{chars}_chars"] = float((start == examples.classes).mean())
    if task is EDU:
        expected = model.expected_score(probabilities, weights)
        true = np.array(task.weights)[examples.classes]
        result["accuracy_4"] = result["accuracy"]
        result["rmse"] = float(np.sqrt(((expected - true) ** 2).mean()))
        result["mae"] = float(np.abs(expected - true).mean())
        result["accuracy_2"] = float(((expected >= EDUCATIONAL) == (true >= EDUCATIONAL)).mean())
    result["labels"] = labels
    result["confusion"] = confusion.tolist()
    result["calibration"] = calibration(probabilities.max(axis=1), predicted == examples.classes)
    return result


def calibration(confidence: NDArray[np.float32], correct: NDArray[np.bool_]) -> dict[str, Any]:
    """`bins`: for each of CALIBRATION_BINS equal ranges of the predictions' probability, if it has documents, its
    bounds `low` and `high`, `documents`, mean `confidence` and `accuracy`; `expected_error`: the expected calibration
    error (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2)."""
    values = np.clip(confidence.astype(np.float64) - ARTEFACT, 0.0, 1.0)
    bins = np.minimum((values * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    rows, error = [], 0.0
    for number in np.unique(bins):
        here = bins == number
        mean, share, documents = float(values[here].mean()), float(correct[here].mean()), int(here.sum())
        error += documents / len(values) * abs(mean - share)
        low, high = number / CALIBRATION_BINS, (number + 1) / CALIBRATION_BINS
        rows.append({"low": low, "high": high, "documents": documents, "confidence": mean, "accuracy": share})
    return {"expected_error": error, "bins": rows}


def match_labels(task: Task, model: fasttext.Model) -> list[str]:
    """The model's label for each class of the task: ours, or those of released models (`__label__pos…`; ends in 0..3).

    Raises ModelError if the model has other labels.
    """
    if set(model.labels) == set(task.labels):
        return task.labels

    def matches_value(label: str, value: str) -> bool:
        return label.endswith(value) if task is EDU else label.startswith(f"__label__{value[:3]}")

    matches = [[label for label in model.labels if matches_value(label, value)] for value in task.values]
    if len(model.labels) != len(task.values) or any(len(match) != 1 for match in matches):
        raise ModelError(
            f"{model.path}: not a model for the task {task.name}: its labels are {', '.join(model.labels)}, "
            f"not {', '.join(task.labels)}"
        )
    return [match[0] for match in matches]


def _probabilities(model: fasttext.Model, texts: pa.Array) -> NDArray[np.float32]:
    batches = [model.probabilities(texts.slice(start, BATCH_ROWS)) for start in range(0, len(texts), BATCH_ROWS)]
    return np.concatenate(batches) if batches else np.zeros((0, len(model.labels)), np.float32)
