"""All features of the rules: the kernels against the naive Python that the tests compare them with.

Run: .venv/bin/python -m benchmarks.features
"""

import sys

import pyarrow as pa

from benchmarks.timing import ROOT, documents, race, show
from swallow_spark.kernels import features

sys.path.insert(0, str(ROOT / "tests" / "kernels"))
import naive_features


def main() -> None:
    texts = documents()
    few = texts[:100]
    array = pa.array(texts)
    for text, row in zip(few, features.measure(pa.array(few)).to_pylist(), strict=True):
        expected = naive_features.measure(text)
        assert {name: row[name] for name in expected} == expected
    figures = race(
        {
            "swallow-spark": (lambda: features.measure(array), len(texts)),
            "naive Python": (lambda: [naive_features.measure(text) for text in few], len(few)),
        }
    )
    title = f"All {len(features.SCHEMA) - 1} features, 1,500 characters each (equal values; no list of NG expressions)"
    show(title, figures, ("numba", "numpy"))


if __name__ == "__main__":
    main()
