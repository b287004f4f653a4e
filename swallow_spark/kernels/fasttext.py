"""Probabilities of a fastText classifier for Arrow arrays of texts.

Softmax models, dense or quantised, are computed here over the Arrow buffers; hierarchical softmax and one-vs-all are
left to fastText itself behind the same interface. fastText averages the rows of all features of a text and multiplies
the average by the output matrix; since both are linear, the output matrix is multiplied into the rows once, at load,
wherever that makes the rows no longer (800 MB become 16 MB for 2 M buckets of 100 dimensions and two labels).

What counts as a feature is fastText's own rule (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification";
Bojanowski et al. 2017 for the character n-grams): see `fasttext_features`. A newline counts as a blank, since fastText
reads one line a document.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import fasttext
import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from swallow_spark.errors import ModelError
from swallow_spark.kernels.fasttext_features import index_entries, sum_features
from swallow_spark.kernels.fasttext_file import ModelFile, read
from swallow_spark.kernels.utf8 import utf8_buffers

VERSION: Final = 2
ARTEFACT: Final = 1e-5  # fastText reports p + 1e-5: it takes the logarithm of that sum and its exponential again


class Model(ABC):
    """A loaded classifier. `labels` are the model's, with their `__label__` prefix, in the model's order."""

    def __init__(self, path: Path, labels: list[str]) -> None:
        self.path = path
        self.labels = labels

    @abstractmethod
    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        """float32 (len(texts), len(labels)): what fastText's `predict(k=-1)` gives, p + 1e-5.

        texts: string or large_string array. A null counts as an empty text. A text in which fastText finds no feature,
        and so predicts nothing, has 0 for all labels.
        """


def load(path: str | Path) -> Model:
    """The classifier in a fastText `.bin` or `.ftz` file.

    Raises ModelError where the file is missing, cut, damaged, or holds no supervised model.
    """
    path = Path(path)
    contents = read(path)
    if contents.loss == "softmax":
        return _SoftmaxModel(path, contents)
    for matrix in (contents.input, contents.output):
        for _ in matrix.chunks():  # checks that all is finite
            pass
    return _PeerModel(path, contents.labels)


def expected_score(
    model: Model, probabilities: NDArray[np.float32], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """float64 (n,): the sum of weight x probability over the labels; a label without a weight weighs 0.

    fastText's 1e-5 is taken off first, so that a score stays within the weights. Raises ModelError where `weights`
    names a label that the model does not have.
    """
    unknown = sorted(set(weights) - set(model.labels))
    if unknown:
        raise ModelError(f"{model.path} has no label {', '.join(unknown)}; its labels are {', '.join(model.labels)}")
    score = np.zeros(len(probabilities), np.float64)
    for column, label in enumerate(model.labels):  # a fixed order of additions: the same sum in every batch size
        score += weights.get(label, 0.0) * np.maximum(probabilities[:, column].astype(np.float64) - ARTEFACT, 0.0)
    return score


class _PeerModel(Model):
    """Any supervised model, computed by fastText itself."""

    def __init__(self, path: Path, labels: list[str]) -> None:
        super().__init__(path, labels)
        try:
            self._peer: Any = fasttext.load_model(str(path))
        except (ValueError, RuntimeError, MemoryError) as error:
            raise ModelError(f"{path}: {error}") from error

    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        result = np.zeros((len(texts), len(self.labels)), np.float32)
        column = {label: i for i, label in enumerate(self.labels)}
        if len(texts):
            labels, values = self._peer.predict([(text or "").replace("\n", " ") for text in texts.to_pylist()], k=-1)
            for row, row_labels, row_values in zip(result, labels, values, strict=True):
                row[[column[label] for label in row_labels]] = row_values
        return result


class _SoftmaxModel(Model):
    def __init__(self, path: Path, contents: ModelFile) -> None:
        super().__init__(path, contents.labels)
        arguments = contents.arguments
        output = np.concatenate(list(contents.output.chunks()))
        folded = len(output) <= arguments.dim
        self._output = None if folded else output
        self._rows = np.empty((contents.input.num_rows, len(output) if folded else arguments.dim), np.float32)
        start = 0
        for chunk in contents.input.chunks():
            rows = self._rows[start : start + len(chunk)]
            if folded:
                _fold(chunk, output, rows)
            else:
                rows[:] = chunk
            start += len(chunk)
        if not np.isfinite(self._rows).all():
            raise ModelError(f"{path}: the products of its matrices are not finite")
        entries = contents.words + [label.encode() for label in contents.labels]
        self._vocabulary = index_entries(entries)
        self._num_words = len(contents.words)
        self._kept = np.zeros(0, np.int32) if contents.kept_buckets is None else contents.kept_buckets
        self._bucket, self._word_ngrams = arguments.bucket, arguments.word_ngrams
        self._minn, self._maxn = arguments.minn, arguments.maxn

    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        data, offsets = utf8_buffers(texts)
        sums = np.zeros((len(texts), self._rows.shape[1]), np.float64)
        counts = np.zeros(len(texts), np.int64)
        sum_features(
            data,
            offsets,
            *self._vocabulary,
            self._num_words,
            self._rows,
            self._bucket,
            self._kept,
            self._minn,
            self._maxn,
            self._word_ngrams,
            sums,
            counts,
        )
        mean = sums / np.maximum(counts, 1)[:, None]
        result = np.zeros((len(texts), len(self.labels)), np.float32)
        _softmax(mean, np.eye(mean.shape[1], dtype=np.float32) if self._output is None else self._output, result)
        result[counts == 0] = 0.0
        return result


@njit(cache=True, nogil=True)
def _fold(rows: NDArray[np.float32], output: NDArray[np.float32], result: NDArray[np.float32]) -> None:
    """result[r, k] = rows[r] . output[k], in double precision and in one order on every machine, unlike BLAS."""
    for r in range(rows.shape[0]):
        for k in range(output.shape[0]):
            total = 0.0
            for d in range(rows.shape[1]):
                total += np.float64(rows[r, d]) * np.float64(output[k, d])
            result[r, k] = total


@njit(cache=True, nogil=True)
def _softmax(means: NDArray[np.float64], output: NDArray[np.float32], result: NDArray[np.float32]) -> None:
    logits = np.empty(output.shape[0], np.float64)
    for r in range(means.shape[0]):
        for k in range(output.shape[0]):
            logits[k] = 0.0
            for d in range(means.shape[1]):
                logits[k] += means[r, d] * output[k, d]
        highest = logits.max()
        total = 0.0
        for k in range(len(logits)):
            logits[k] = np.exp(logits[k] - highest)
            total += logits[k]
        for k in range(len(logits)):
            result[r, k] = logits[k] / total + ARTEFACT
