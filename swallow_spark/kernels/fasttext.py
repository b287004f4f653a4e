"""Probabilities of a fastText classifier for Arrow arrays of texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import fasttext
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.errors import ModelError

VERSION: Final = "1"
ARTEFACT: Final = 1e-5  # fastText reports p + 1e-5: it takes the logarithm of that sum and its exponential again


class Model:
    """A loaded classifier. `labels` are the model's labels, with their `__label__` prefix, in the model's order."""

    def __init__(self, path: Path, model: Any) -> None:
        self.path = path
        self.labels: list[str] = list(model.get_labels())
        self._model = model

    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        """float32 (len(texts), len(labels)): what fastText's own `predict(k=-1)` gives. Newlines count as blanks."""
        result = np.zeros((len(texts), len(self.labels)), np.float32)
        column = {label: i for i, label in enumerate(self.labels)}
        labels, values = self._model.predict([(t or "").replace("\n", " ") for t in texts.to_pylist()], k=-1)
        for row, row_labels, row_values in zip(result, labels, values, strict=True):
            row[[column[label] for label in row_labels]] = row_values
        return result


def load(path: str | Path) -> Model:
    """The classifier in a fastText `.bin` or `.ftz` file. Raises ModelError where it can't be used."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    try:
        return Model(path, fasttext.load_model(str(path)))
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error


def expected_score(
    model: Model, probabilities: NDArray[np.float32], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """float64 (n,): the sum of weight x probability, without fastText's 1e-5. Labels not named weigh 0.

    Raises ModelError where `weights` names a label that the model does not have.
    """
    unknown = sorted(set(weights) - set(model.labels))
    if unknown:
        raise ModelError(f"{model.path} has no label {', '.join(unknown)}; its labels are {', '.join(model.labels)}")
    vector = np.array([weights.get(label, 0.0) for label in model.labels], np.float64)
    plain = np.maximum(probabilities.astype(np.float64) - ARTEFACT, 0.0)
    return (plain * vector).sum(axis=1)
