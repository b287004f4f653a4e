"""Probabilities of the demonstration classifiers and of a large model: the kernel against fastText itself.

Run: .venv/bin/python -m benchmarks.fasttext (as a module: run by its path, it would hide the package `fasttext`)
"""

import tempfile
from pathlib import Path

import fasttext as peer
import numpy as np
import pyarrow as pa

from benchmarks.timing import ROOT, documents, race, show
from swallow_spark.kernels.fasttext import fasttext


def main() -> None:
    texts = [text.replace("\n", " ") for text in documents()]
    with tempfile.TemporaryDirectory() as directory:
        models = [ROOT / f"conf/models/{name}.ftz" for name in ("demo-wiki", "demo-edu")]
        models += [_train(Path(directory), texts, dim, buckets) for dim, buckets in ((16, 200_000), (100, 2_000_000))]
        _race(models, texts)


def _train(directory: Path, texts: list[str], dim: int, buckets: int) -> Path:
    """A model of this size, trained on anything."""
    lines, path = directory / "lines.txt", directory / f"dim{dim}-buckets{buckets}.bin"
    lines.write_text("".join(f"__label__{i % 2} {text}\n" for i, text in enumerate(texts[:200])))
    settings = {"minn": 2, "maxn": 3, "minCount": 5000, "epoch": 1, "thread": 1, "verbose": 0}
    peer.train_supervised(str(lines), dim=dim, bucket=buckets, **settings).save_model(str(path))
    return path


def _race(models: list[Path], texts: list[str]) -> None:
    array = pa.array(texts)
    for path in models:
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
        title = f"{path.name}, {len(ours.labels)} labels, 1,500 characters each (probabilities within {difference:.0e})"
        show(title, figures, ("fasttext-community", "numba", "numpy"))
        print()


if __name__ == "__main__":
    main()
