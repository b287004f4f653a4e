"""Probabilities of the two demonstration classifiers: the kernel against fastText itself.

Run: .venv/bin/python -m benchmarks.fasttext (as a module: run by its path, it would hide the package `fasttext`)
"""

import fasttext as peer
import numpy as np
import pyarrow as pa

from benchmarks.timing import ROOT, documents, race, show
from swallow_spark.kernels import fasttext


def main() -> None:
    texts = [text.replace("\n", " ") for text in documents()]
    array = pa.array(texts)
    for name in ("demo-wiki", "demo-edu"):
        path = ROOT / f"conf/models/{name}.ftz"
        ours, theirs = fasttext.load(path), peer.load_model(str(path))
        found = ours.probabilities(array)
        expected = np.zeros_like(found)
        column = {label: i for i, label in enumerate(ours.labels)}
        for row, labels, values in zip(expected, *theirs.predict(texts, k=-1), strict=True):
            row[[column[label] for label in labels]] = values
        difference = float(np.abs(found - expected).max())
        assert difference < 1e-5, difference
        figures = race(
            {
                "swallow-spark": (lambda: ours.probabilities(array), len(texts)),  # noqa: B023 - used at once
                "fastText": (lambda: theirs.predict(texts, k=-1), len(texts)),  # noqa: B023
            }
        )
        title = f"{name}.ftz, {len(ours.labels)} labels, 1,500 characters each (probabilities within {difference:.0e})"
        show(title, figures, ("fasttext-community", "numba", "numpy"))
        print()


if __name__ == "__main__":
    main()
