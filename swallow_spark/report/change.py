"""What a new crawl has changed: the funnel of the corpus now, and as it was before that crawl."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from swallow_spark.corpus.corpus import Corpus

_COUNTED: Final = ("records", "pages", "duplicates", "survivors", "accepted")


@dataclass(frozen=True)
class Change:
    """The documents of each step, before and now; the run that `before` is from, and the crawls that are new."""

    run: str
    finished: str
    new_crawls: tuple[str, ...]
    documents: Mapping[str, tuple[int, int]]


def change(corpus: Corpus, summary: Mapping[str, Any]) -> Change | None:
    """Against the last run that had fewer crawls; None where there was none, as in a corpus of one crawl."""
    crawls = set(corpus.crawls().values())
    for path in reversed(corpus.root.files("runs", ".json")):
        try:
            run = json.loads(corpus.root.read_bytes(path))
            had, before = set(run["crawls"]), run["summary"]
            if had < crawls and before["pages"]:
                counted = {name: (number, _count(summary, name)) for name, number in _counts(before).items()}
                name = path.rpartition("/")[2].removesuffix(".json")
                return Change(name, str(run["finished"])[:10], tuple(sorted(crawls - had)), counted)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a run's manifest that can't be read is told by the list of runs
    return None


def _counts(summary: Mapping[str, Any]) -> dict[str, int]:
    subsets = {f"subset {name}": subset["documents"] for name, subset in summary.get("subsets", {}).items()}
    return {**{name: summary[name] for name in _COUNTED if name in summary}, **subsets}


def _count(summary: Mapping[str, Any], name: str) -> int:
    return _counts(summary).get(name, 0)
