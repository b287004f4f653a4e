"""What has changed: by a new crawl, and since the last report."""

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


class LastReport(NamedTuple):
    """The figures of the report before this one that differ, before and now; None where one has none."""

    as_of: str
    figures: Mapping[str, tuple[int | None, int | None]]


def last_report(previous: Mapping[str, Any] | None, figures: Mapping[str, int]) -> LastReport | None:
    """previous: what `report.json` says of the report before it."""
    if not previous:
        return None
    before = dict(previous["figures"])
    changed = {
        name: (before.get(name), figures.get(name))
        for name in dict.fromkeys((*before, *figures))
        if before.get(name) != figures.get(name)
    }
    return LastReport(str(previous["as_of"]), changed)
