"""All features of the rules: the kernels against the naive Python of the tests; and the cost of NG expressions.

All features are computed, whatever the preset needs, so any preset can be decided without reading the text again.

Run: .venv/bin/python -m benchmarks.features
"""

import random
import sys

import pyarrow as pa

from benchmarks.timing import ROOT, documents, race, show
from swallow_spark.config.load import load
from swallow_spark.kernels import features
from swallow_spark.kernels.text.ngwords import Matcher

sys.path.insert(0, str(ROOT / "tests" / "support"))
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
            "swallow-spark, all features": (lambda: features.measure(array), len(texts)),
            "naive Python, all features": (lambda: [naive_features.measure(text) for text in few], len(few)),
        }
    )
    needed = len(load("swallow-v2").rules.bounds)
    number = len(naive_features.measure(""))
    title = f"All {number} features (swallow-v2 needs {needed}), 1,500 characters each, equal values"
    show(title, figures, ("numba", "numpy"))
    print()

    contestants = {"all features": (lambda: features.measure(array), len(texts))}
    for group in features.GROUPS:
        contestants[f"with the group {group}"] = (
            lambda group=group: features.measure(array, groups=[group]),
            len(texts),
        )
    show("Features of other pipelines", race(contestants), ("numba",))
    print()

    lists = {"100 expressions": mixed(texts, 100), "1,000": mixed(texts, 1_000), "50,000": mixed(texts, 50_000)}
    lists["50,000 that begin like pieces of the documents"] = pieces(texts, 50_000)
    matchers = {f"with {name}": Matcher(found) for name, found in lists.items()}
    matchers["with the 50,000, whatever width and kana"] = Matcher(lists["50,000"], ("width", "kana"))
    contestants = {"all features, no list": (lambda: features.measure(array), len(texts))}
    for name, matcher in matchers.items():
        contestants[name] = (lambda matcher=matcher: features.measure(array, ng_words=matcher), len(texts))
    show("NG expressions", race(contestants), ("ahocorasick-rs", "numba"))


def mixed(texts: list[str], number: int) -> set[str]:
    """Expressions of 2 to 8 characters, drawn from the characters of the documents."""
    rng, characters = random.Random(1), sorted({c for text in texts for c in text if "ぁ" <= c <= "鿿"})
    found: set[str] = set()
    while len(found) < number:
        found.add("".join(rng.choices(characters, k=rng.randint(2, 8))))
    return found


def pieces(texts: list[str], number: int) -> set[str]:
    """The hard case: pieces of 3 to 10 characters of the documents with one character changed. At nearly every third
    position of a text an expression seems to start, but none matches."""
    rng, whole = random.Random(1), "".join(texts).replace("\n", "")
    found: set[str] = set()
    while len(found) < number:
        length, start = rng.randint(3, 10), rng.randrange(len(whole) - 10)
        at = rng.randrange(length)
        piece = whole[start : start + length]
        found.add(piece[:at] + chr(rng.randrange(0x4E00, 0x9000)) + piece[at + 1 :])
    return found


if __name__ == "__main__":
    main()
