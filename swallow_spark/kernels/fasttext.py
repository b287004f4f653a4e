"""Probabilities of a fastText classifier for Arrow arrays of texts.

Softmax models, dense or quantised, are computed here over the Arrow buffers; hierarchical softmax and one-vs-all are
left to fastText itself behind the same interface. fastText averages the rows of all features of a text and multiplies
the average by the output matrix; since both are linear, the output matrix is multiplied into the rows once, at load,
wherever that makes the rows no longer (800 MB become 16 MB for 2 M buckets of 100 dimensions and two labels).

What counts as a feature is fastText's own rule (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification";
Bojanowski et al. 2017 for the character n-grams): see `_sum_features`. A newline counts as a blank, since fastText
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
from swallow_spark.kernels.fasttext_file import ModelFile, read
from swallow_spark.kernels.utf8 import utf8_buffers

VERSION: Final = 1
ARTEFACT: Final = 1e-5  # fastText reports p + 1e-5: it takes the logarithm of that sum and its exponential again
END_OF_LINE: Final = b"</s>"
LABEL_PREFIX: Final = b"__label__"
FEATURES_AT_ONCE: Final = 1024
FNV_OFFSET: Final = 2166136261
FNV_PRIME: Final = 16777619
WORD_NGRAM_FACTOR: Final = np.uint64(116049371)


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
        self._vocabulary = _index_entries(entries)
        self._num_words = len(contents.words)
        self._kept = np.zeros(0, np.int32) if contents.kept_buckets is None else contents.kept_buckets
        self._bucket, self._word_ngrams = arguments.bucket, arguments.word_ngrams
        self._minn, self._maxn = arguments.minn, arguments.maxn

    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        data, offsets = utf8_buffers(texts)
        sums = np.zeros((len(texts), self._rows.shape[1]), np.float64)
        counts = np.zeros(len(texts), np.int64)
        _sum_features(
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


def _index_entries(
    entries: list[bytes],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """The entries' bytes, offsets and hashes, and an open-addressing table of their numbers (half empty at least)."""
    data = np.frombuffer(b"".join(entries), np.uint8)
    offsets = np.zeros(len(entries) + 1, np.int64)
    np.cumsum([len(entry) for entry in entries], out=offsets[1:])
    slots = np.full(1 << (2 * len(entries)).bit_length(), -1, np.int32)
    hashes = np.zeros(len(entries), np.int64)
    _fill_slots(data, offsets, hashes, slots)
    return data, offsets, hashes, slots


@njit(cache=True, nogil=True, inline="always")
def _step(h: Any, byte: Any) -> Any:
    """One step of FNV-1a in 32 bits. fastText extends the sign of a byte: 0x80 and above set the upper 24 bits too."""
    return ((h ^ (np.int64(np.int8(byte)) & 0xFFFFFFFF)) * FNV_PRIME) & 0xFFFFFFFF


@njit(cache=True, nogil=True)
def _fill_slots(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], hashes: NDArray[np.int64], slots: NDArray[np.int32]
) -> None:
    for entry in range(len(hashes)):
        h = FNV_OFFSET
        for i in range(offsets[entry], offsets[entry + 1]):
            h = _step(h, data[i])
        hashes[entry] = h
        slot = h & (len(slots) - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = entry


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


@njit(cache=True, nogil=True)
def _is_blank(byte: int) -> bool:
    return byte == 32 or byte == 0 or 9 <= byte <= 13


@njit(cache=True, nogil=True)
def _starts_with(token: NDArray[np.uint8], length: int, prefix: bytes) -> bool:
    if length < len(prefix):
        return False
    for i in range(len(prefix)):  # noqa: SIM110 - compiled
        if token[i] != prefix[i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _find_entry(
    token: NDArray[np.uint8],
    length: int,
    h: int,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    hashes: NDArray[np.int64],
    slots: NDArray[np.int32],
) -> int:
    """Number of the vocabulary's entry that equals the first `length` bytes of `token` (h: their hash), or -1."""
    slot = h & (len(slots) - 1)
    while slots[slot] >= 0:
        entry = int(slots[slot])
        start = offsets[entry]
        if hashes[entry] == h and offsets[entry + 1] - start == length:
            same = True
            for i in range(length):
                if data[start + i] != token[i]:
                    same = False
                    break
            if same:
                return entry
        slot = (slot + 1) & (len(slots) - 1)
    return -1


@njit(cache=True, nogil=True)
def _add_rows(rows: NDArray[np.float32], numbers: NDArray[np.int32], count: int, total: NDArray[np.float64]) -> int:
    """Adds the rows with the first `count` numbers to `total`; returns 0, the new count.

    The two widths of Swallow's classifiers keep their sums in registers; the order of additions is the same in all.
    """
    if len(total) == 2:
        a, b = total[0], total[1]
        for i in range(count):
            row = numbers[i]
            a += rows[row, 0]
            b += rows[row, 1]
        total[0], total[1] = a, b
    elif len(total) == 4:
        a, b, c, d = total[0], total[1], total[2], total[3]
        for i in range(count):
            row = numbers[i]
            a += rows[row, 0]
            b += rows[row, 1]
            c += rows[row, 2]
            d += rows[row, 3]
        total[0], total[1], total[2], total[3] = a, b, c, d
    else:
        for i in range(count):
            row = numbers[i]
            for k in range(len(total)):
                total[k] += rows[row, k]
    return 0


@njit(cache=True, nogil=True)
def _sum_features(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    entry_data: NDArray[np.uint8],
    entry_offsets: NDArray[np.int64],
    entry_hashes: NDArray[np.int64],
    slots: NDArray[np.int32],
    num_words: int,
    rows: NDArray[np.float32],
    num_buckets: int,
    kept: NDArray[np.int32],
    minn: int,
    maxn: int,
    word_ngrams: int,
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Adds the rows of each text's features to `sums` (n, width) and their number to `counts` (n,).

    fastText's rules: tokens stand between blanks (U+3000 is none) and the end of the line is the token `</s>`, also
    where it is written out, which ends the text. A token of the vocabulary is a feature; so are the n-grams of `minn`
    to `maxn` characters of `<token>`, except `<` and `>` alone, of any token but `</s>`; labels and other tokens with
    the prefix of labels are nothing. n-grams of words count where the model has them. n-grams are hashed to buckets;
    those of a pruned bucket are dropped (`kept` is empty in a model without pruning).
    """
    longest = 0
    for document in range(len(counts)):
        longest = max(longest, offsets[document + 1] - offsets[document])
    token = np.empty(longest + 8, np.uint8)  # <token>, or </s> in brackets
    word_hashes = np.empty(longest // 2 + 2 if word_ngrams > 1 else 0, np.uint64)
    numbers = np.empty(FEATURES_AT_ONCE + max(maxn, 0) + max(word_ngrams, 0), np.int32)
    modulus = np.uint32(max(num_buckets, 1))
    pruned = len(kept) > 0
    for document in range(len(counts)):
        position, end = offsets[document], offsets[document + 1]
        total = sums[document]
        pending = 0  # features in `numbers` that are not yet added
        num_hashes = 0
        at_end = False
        while not at_end:
            while position < end and _is_blank(data[position]):
                position += 1
            length = 0
            h = FNV_OFFSET
            token[0] = ord("<")
            while position < end and not _is_blank(data[position]):
                h = _step(h, data[position])
                length += 1
                token[length] = data[position]
                position += 1
            if length == 0:
                for byte in END_OF_LINE:
                    h = _step(h, byte)
                    length += 1
                    token[length] = byte
            token[length + 1] = ord(">")
            at_end = length == len(END_OF_LINE) and _starts_with(token[1:], length, END_OF_LINE)

            entry = _find_entry(token[1:], length, h, entry_data, entry_offsets, entry_hashes, slots)
            if entry >= num_words or (entry < 0 and _starts_with(token[1:], length, LABEL_PREFIX)):
                continue
            if entry >= 0:
                numbers[pending] = entry
                pending += 1
            if word_ngrams > 1:
                word_hashes[num_hashes] = np.uint64(np.int64(np.int32(np.uint32(h))))  # the sign is extended
                num_hashes += 1
            characters_end = 0 if at_end or maxn <= 0 else length + 2
            for first in range(characters_end):
                if token[first] & 0xC0 == 0x80:  # inside a character
                    continue
                h = FNV_OFFSET
                i = first
                n = 1
                while i < characters_end and n <= maxn:
                    h = _step(h, token[i])
                    i += 1
                    while i < characters_end and token[i] & 0xC0 == 0x80:
                        h = _step(h, token[i])
                        i += 1
                    if n >= minn and not (n == 1 and (first == 0 or i == characters_end)):
                        row = np.int32(np.uint32(h) % modulus)
                        if pruned:
                            row = kept[row]
                        if row >= 0:
                            numbers[pending] = row + num_words
                            pending += 1
                    n += 1
                if pending >= FEATURES_AT_ONCE:
                    counts[document] += pending
                    pending = _add_rows(rows, numbers, pending, total)
            if pending >= FEATURES_AT_ONCE:
                counts[document] += pending
                pending = _add_rows(rows, numbers, pending, total)
        for i in range(num_hashes):
            gram = word_hashes[i]
            for j in range(i + 1, min(num_hashes, i + word_ngrams)):
                gram = gram * WORD_NGRAM_FACTOR + word_hashes[j]
                row = np.int32(gram % np.uint64(modulus))
                if pruned:
                    row = kept[row]
                if row >= 0:
                    numbers[pending] = row + num_words
                    pending += 1
            if pending >= FEATURES_AT_ONCE:
                counts[document] += pending
                pending = _add_rows(rows, numbers, pending, total)
        counts[document] += pending
        _add_rows(rows, numbers, pending, total)
