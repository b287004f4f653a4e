"""A kind of classifier made up for tests: a file of words, one a line, each of them a label. A word's probability is
its share of the occurrences of all of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.errors import ModelError
from swallow_spark.kernels import classifiers

VERSION = 7


class Model(classifiers.Model):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels = path.read_text().split()
        if not self.labels:
            raise ModelError(f"{path}: no word")

    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        found = [[(text or "").count(word) for word in self.labels] for text in texts.to_pylist()]
        counts = np.array(found, np.float32).reshape(len(texts), len(self.labels))
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # type: ignore[no-any-return]

    def share(self, path: Path) -> None:
        path.write_text("\n".join(self.labels))


def load(path: Path) -> Model:
    return Model(path)


open_shared = load
