"""Probabilities of a fastText classifier for Arrow arrays of texts.

fastText averages the rows of all features of a text and multiplies the average by the output matrix. Both are linear,
so the output matrix is multiplied into the rows once, at load, unless that makes the rows longer: 800 MB become 8 MB
for 2 M hash buckets of 100 dimensions and two labels, of which only the difference counts. All workers map this table.

Features follow fastText's rules (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification"; Bojanowski et
al. 2017 for the character n-grams): see `features`. A newline is a blank: fastText reads one line per document.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from swallow_spark.errors import ModelError
from swallow_spark.kernels import classifiers
from swallow_spark.kernels.fasttext import losses
from swallow_spark.kernels.fasttext.features import Inputs, index_entries, sum_features
from swallow_spark.kernels.fasttext.file import ModelFile, read
from swallow_spark.kernels.fasttext.table import Table, map_table, write_table
from swallow_spark.kernels.fasttext.trigrams import sum_bigrams_and_trigrams
from swallow_spark.kernels.text.utf8 import utf8_buffers

VERSION: Final = 4  # of the results, and of the files that `Model.share` writes


class Model(classifiers.Model):
    """A loaded classifier. `labels` are the model's, with their `__label__` prefix, in the model's order."""

    floor = losses.ARTEFACT

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
        self.labels = table.labels
        self._table = table
        self._children = (
            losses.huffman_children(table.label_counts) if table.loss == "hs" else np.zeros((0, 2), np.int32)
        )

    @property
    def one_label_each(self) -> bool:
        """Whether the probabilities of a text's labels add up to 1: False for one-vs-all."""
        return self._table.loss in ("softmax", "hs")

    def share(self, path: Path) -> None:
        """Writes what `open_shared` maps."""
        write_table(self._table, path)

    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        """float32 (len(texts), len(labels)): what fastText's `predict(k=-1)` gives.

        texts: string or large_string array. A null counts as an empty text. A text without any feature, for which
        fastText predicts nothing, has 0 for all labels.
        """
        means, counts = self._means(texts)
        table = self._table
        result = np.zeros((len(texts), len(self.labels)), np.float32)
        logits = means
        if len(table.output):
            logits = np.empty((len(texts), len(table.output)), means.dtype)
            losses.dot_products(means, table.output, logits)
        logits = logits[:, : table.num_logits]
        if table.loss == "hs":
            losses.hierarchical_softmax(logits, self._children, result)
        elif table.loss != "softmax":
            result = losses.one_vs_all(logits)
        elif len(self.labels) == 2:
            losses.softmax(np.column_stack([np.zeros(len(texts)), logits[:, 0]]), result)
        else:
            losses.softmax(logits, result)
        result[counts == 0] = 0.0
        return result

    def _means(self, texts: pa.Array) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The mean row of each text (texts, width), and its number of features."""
        data, offsets = utf8_buffers(texts)
        table = self._table
        counts = np.zeros(len(texts), np.int64)
        exactly = not self.one_label_each  # added as fastText adds: see `one_vs_all`
        sums = np.zeros((len(texts), table.rows.shape[1]), np.float32 if exactly else np.float64)
        vocabulary = (table.entries, table.entry_offsets, table.entry_hashes, table.slots, table.num_words)
        inputs = Inputs(*vocabulary, table.rows, table.bucket, table.kept)
        if (table.minn, table.maxn, table.word_ngrams) == (2, 3, 1):
            sum_bigrams_and_trigrams(data, offsets, inputs, exactly, sums, counts)
        else:
            sum_features(data, offsets, inputs, table.minn, table.maxn, table.word_ngrams, sums, counts)
        return sums * (1.0 / np.maximum(counts, 1)).astype(sums.dtype)[:, None], counts


def load(path: str | Path) -> Model:
    """The classifier in a fastText `.bin` or `.ftz` file. Raises ModelError if it has no supervised model."""
    path = Path(path)
    return Model(path, _convert(path, read(path)))


def open_shared(path: Path) -> Model:
    """The classifier that `share` wrote, in memory that processes share. Raises ModelError if the file is damaged."""
    return Model(path, map_table(path))


def _convert(path: Path, contents: ModelFile) -> Table:
    """The table of a model file, with rows as short as possible."""
    arguments = contents.arguments
    output = np.concatenate(list(contents.output.chunks()))
    used = output.astype(np.float64)
    if contents.loss == "softmax" and len(output) == 2:
        used = used[1:] - used[:1]
    elif contents.loss == "hs":
        used = used[:-1]  # the last row belongs to no inner node
    folded = contents.loss in ("softmax", "hs") and len(used) <= arguments.dim
    width = len(used) if folded else arguments.dim
    width = 4 if width in (2, 3) else width  # four columns are added at a time
    rows = np.zeros((contents.input.num_rows + 1, width), np.float32)  # the last one stays zero
    start = 0
    for chunk in contents.input.chunks():
        if folded:
            _fold(chunk, used, rows[start : start + len(chunk)])
        else:
            rows[start : start + len(chunk), : arguments.dim] = chunk
        start += len(chunk)
    if not np.isfinite(rows).all():
        raise ModelError(f"{path}: the product of its matrices is not finite")
    entries = contents.words + [label.encode() for label in contents.labels]
    return Table(
        contents.labels,
        contents.label_counts,
        contents.loss,
        len(contents.words),
        arguments.bucket,
        arguments.minn,
        arguments.maxn,
        arguments.word_ngrams,
        *index_entries(entries),
        np.zeros(0, np.int32) if contents.kept_buckets is None else contents.kept_buckets,
        rows,
        len(used),
        np.zeros((0, 0), np.float32) if folded else used.astype(np.float32),
    )


@njit(cache=True, nogil=True)
def _fold(rows: NDArray[np.float32], output: NDArray[np.float64], result: NDArray[np.float32]) -> None:
    """result[r, k] = rows[r] . output[k], in double precision, in the same order on every machine (unlike BLAS)."""
    for r in range(rows.shape[0]):
        for k in range(output.shape[0]):
            total = 0.0
            for d in range(rows.shape[1]):
                total += np.float64(rows[r, d]) * output[k, d]
            result[r, k] = total
