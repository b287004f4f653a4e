"""What a new crawl has changed: the funnel of the corpus before and after it."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from swallow_spark.corpus.corpus import Corpus

_COUNTED: Final = ("records", "pages", "duplicates", "survivors", "accepted")


class Change(NamedTuple):
    """Documents of each step before and now, the run that `before` is from, and the new crawls."""

    run: str
    finished: str
    new_crawls: tuple[str, ...]
    documents: Mapping[str, tuple[int, int]]


def change(corpus: Corpus, summary: Mapping[str, Any]) -> Change | None:
    """Compared with the last run that had fewer crawls; None if there was none."""
    crawls = set(corpus.crawls().values())
    for path in reversed(corpus.root.files("runs", ".json")):
        try:
            run = json.loads(corpus.root.read_bytes(path))
            had, before = set(run["crawls"]), run["summary"]
            if had < crawls and before["pages"]:
                now = _counts(summary)
                counted = {name: (number, now.get(name, 0)) for name, number in _counts(before).items()}
                name = path.rpartition("/")[2].removesuffix(".json")
                return Change(name, str(run["finished"])[:10], tuple(sorted(crawls - had)), counted)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # the list of runs shows manifests that can't be read
    return None


def _counts(summary: Mapping[str, Any]) -> dict[str, int]:
    subsets = {f"subset {name}": subset["documents"] for name, subset in summary.get("subsets", {}).items()}
    return {**{name: summary[name] for name in _COUNTED if name in summary}, **subsets}
