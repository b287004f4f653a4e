"""Kinds of classifiers: the interface that scoring uses, and the module that reads each kind.

To add one, write a module with `VERSION`, `load` and `open_shared` (see `Kind`) and list it in `KINDS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from swallow_spark.errors import ModelError

KINDS: Final = {"fasttext": "swallow_spark.kernels.fasttext.fasttext"}
"""Kind, as in `classifiers.NAME.kind` -> its module."""


class Model(ABC):
    """A loaded classifier. `labels` are the model's, in its order."""

    path: Path
    labels: list[str]
    floor: ClassVar[float] = 0.0
    """The probability that a model gives to impossible labels; scores are computed without it."""

    @property
    def one_label_each(self) -> bool:
        """Whether the probabilities of a text's labels add up to 1."""
        return False

    @abstractmethod
    def probabilities(self, texts: pa.Array) -> NDArray[np.float32]:
        """float32 (len(texts), len(labels)). texts: string or large_string array; a null counts as an empty text."""

    @abstractmethod
    def share(self, path: Path) -> None:
        """Writes the file that the kind's `open_shared` opens, which all processes of a machine can map."""

    def expected_score(self, probabilities: NDArray[np.float32], weights: Mapping[str, float]) -> NDArray[np.float64]:
        """The sum of weight x probability over the labels, for each row of `probabilities`: float64, (rows,).

        If labels exclude each other, the score stays within the range of the weights. Raises ModelError if `weights`
        names a label that the model does not have.
        """
        if unknown := sorted(set(weights) - set(self.labels)):
            raise ModelError(f"{self.path} has no label {', '.join(unknown)}; its labels are {', '.join(self.labels)}")
        score = np.zeros(len(probabilities), np.float64)
        for column, label in enumerate(self.labels):  # in a fixed order: the same sum for every batch size
            score += weights.get(label, 0.0) * np.maximum(probabilities[:, column].astype(np.float64) - self.floor, 0.0)
        if self.one_label_each:
            return np.clip(score, min(0.0, *weights.values()), max(0.0, *weights.values()))
        return score


class Kind(Protocol):
    """The module of a kind of classifier."""

    VERSION: int
    """Raise it when a probability changes for the same text, or the format of the files that `Model.share` writes."""

    def load(self, path: Path) -> Model:
        """The model in a file. Raises ModelError if it is missing or damaged."""

    def open_shared(self, path: Path) -> Model:
        """The model that `Model.share` wrote. Raises ModelError if the file is damaged."""


def kind(name: str) -> Kind:
    """The module of a kind. Raises KeyError for an unknown kind."""
    return cast(Kind, import_module(KINDS[name]))


class Preparation(NamedTuple):
    """How texts are prepared for a model: see the section [classifiers.NAME]."""

    newlines: str = "blank"
    nfkc: bool = False
    lower_case: bool = False

    def apply(self, texts: pa.Array) -> pa.Array:
        """texts: string or large_string array."""
        if self.nfkc:
            texts = pc.utf8_normalize(texts, form="NFKC")
        if self.lower_case:
            texts = pc.utf8_lower(texts)
        if self.newlines == "nothing":  # a model reads it as a blank anyway
            texts = pc.replace_substring(texts, "\n", "")
        return texts
