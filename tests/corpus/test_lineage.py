"""When subsets are up to date: by what their cuts are, or by which unit they were found."""

from datetime import UTC, datetime
from typing import Any

import pytest

from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Manifest
from swallow_spark.corpus.lineage import Lineage


def manifest(stage: str, unit: str, id_: str = "1", **more: Any) -> Manifest:
    plain: dict[str, Any] = dict.fromkeys(("fingerprint", "upstream", "version"), "")
    rest = {"meaning": {}, "files": (), "counts": {}, "finished": datetime(2026, 1, 1, tzinfo=UTC)}
    return Manifest(stage=stage, unit=unit, id=id_, **plain, **(rest | more))


def cuts(id_: str, score: float, documents: int) -> Manifest:
    lower = {"documents": documents, "score": score, "doc_id": None}
    cut = {"ranking": "edu", "band": "top10", "upper": None, "lower": lower, "documents": 10 * documents}
    return manifest("select", "cuts", id_, details={"cuts": [cut]})


@pytest.mark.parametrize(
    ("overrides", "by_place"),
    [
        ([], True),
        (["cleanup.host_lines={}"], False),
        (["subsets=[{name='a', ranks={edu=1, wiki=1}}]"], False),
    ],
)
def test_subsets_follow_from_where_the_cuts_are(overrides: list[str], by_place: bool) -> None:
    lineage, pages = Lineage(load("demo", overrides)), manifest("ingest", "crawl=c/000000")
    scores = [manifest("score", f"classifier={name}/crawl=c/000000") for name in ("edu", "wiki")]
    before = lineage.subsets(pages, cuts("1", 1.5, 10), scores, None)
    later = lineage.subsets(pages, cuts("2", 1.5, 20), scores, None)
    assert (later == before) == by_place, "another unit of cuts, with the same scores as bars"
    assert lineage.subsets(pages, cuts("3", 1.25, 10), scores, None) != before or not by_place
    others = [scores[0], manifest("score", scores[1].unit, "2")]
    assert (lineage.subsets(pages, cuts("1", 1.5, 10), others, None) != before) == by_place
    removed = manifest("remove", pages.unit, counts={"removed": 1, "mixed": 2})
    assert lineage.subsets(pages, cuts("1", 1.5, 10), scores, removed) != before
