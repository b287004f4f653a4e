"""When subsets are up to date: by what their cuts are, or by which unit they were found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swallow_spark.config.load import Config, load
from swallow_spark.corpus.corpus import Corpus, Unit
from swallow_spark.errors import UsageError
from swallow_spark.pipeline import STAGES
from swallow_spark.stages.stage import Due, Lineage

BATCH = "crawl=c/000000"


def cuts(score: float, documents: int) -> dict[str, Any]:
    lower = {"documents": documents, "score": score, "doc_id": None}
    return {"cuts": [{"ranking": "edu", "band": "top10", "upper": None, "lower": lower, "documents": 10 * documents}]}


def commit(corpus: Corpus, stage: str, unit: str, **more: Any) -> None:
    corpus.commit(Unit(stage, unit), "", {}, "", [], **more)


@pytest.mark.parametrize(
    ("overrides", "by_place"),
    [
        ([], True),
        (["cleanup.host_lines={}"], False),
        (["subsets=[{name='a', ranks={edu=1, wiki=1}}]"], False),
    ],
)
def test_subsets_follow_from_where_the_cuts_are(overrides: list[str], by_place: bool, tmp_path: Path) -> None:
    corpus, config = Corpus.open_or_create(str(tmp_path / "c")), load("demo", overrides)

    def due(found: Mapping[str, Any] | None = None) -> tuple[str, str]:
        if found:
            commit(corpus, "select", "cuts", details=found)
        (one,) = Lineage(STAGES, config, corpus).due("subsets")
        return one.fingerprint, one.upstream

    commit(corpus, "ingest", BATCH)
    for name in ("edu", "wiki"):
        commit(corpus, "score", f"classifier={name}/{BATCH}")
    before = due(cuts(1.5, 10))
    # Another unit of cuts, with the same scores as bars:
    assert (due(cuts(1.5, 20)) == before) == by_place
    assert due(cuts(1.25, 10)) != before
    again = due(cuts(1.5, 10))
    assert (again == before) == by_place
    commit(corpus, "score", f"classifier=wiki/{BATCH}")
    assert (due() != again) == by_place
    again = due()
    commit(corpus, "remove", BATCH, counts={"removed": 0})
    assert due() == again, "no page is removed"
    commit(corpus, "remove", BATCH, counts={"removed": 1, "mixed": 2})
    assert due() != again


def test_a_unit_is_due_when_its_sources_are_there(tmp_path: Path) -> None:
    corpus, config = Corpus.open_or_create(str(tmp_path / "c")), load("demo")
    lineage = Lineage(STAGES, config, corpus)

    def due(stage: str) -> list[Due]:
        return lineage.due(stage)

    assert due("sketch") == due("deduplicate") == due("decide") == []
    for number in range(3):
        commit(corpus, "ingest", f"crawl={'cde'[number]}/0")
    assert [one.unit.name for one in due("sketch")] == ["crawl=c/0", "crawl=d/0", "crawl=e/0"]
    assert [one.crawl for one in due("sketch")] == ["c", "d", "e"]
    assert due("deduplicate") == due("decide") == []
    for one in (*due("sketch"), *due("measure")):
        one.commit(corpus, [])
    (whole,) = due("deduplicate")
    whole.commit(corpus, [], details={"kept": {"c": "1", "d": "2"}})
    before = {one.crawl: one for one in due("decide")}
    assert list(before) == ["c", "d", "e"]
    assert [manifest.unit for manifest in before["d"].sources["measure"]] == ["crawl=d/0"]
    for one in before.values():
        one.commit(corpus, [])
    assert [one.unit.name for one in due("score")] == [
        f"classifier={name}/crawl={crawl}/0" for name in config.classifiers for crawl in "cde"
    ]
    # Another dedup that keeps the same pages of a crawl leaves its verdicts.
    whole.commit(corpus, [], details={"kept": {"c": "1", "d": "3"}})
    assert [one.crawl for one in due("decide") if one.is_done(corpus)] == ["c", "e"]


def test_what_until_needs() -> None:
    assert STAGES.needed("deduplicate") == {"ingest", "sketch", "deduplicate"}
    assert {"measure", "decide"} <= STAGES.needed("decide")
    assert not {"score", "cuts"} & STAGES.needed("decide")
    assert STAGES.needed("report") >= {"subsets", "cuts", "score", "decide", "deduplicate", "report"}
    assert STAGES.ends == (
        "ingest",
        "annotate",
        "deduplicate",
        "decontaminate",
        "decide",
        "score",
        "select",
        "report",
    )


def test_configurations_are_independent_of_a_corpus() -> None:
    config: Config = load("demo")
    assert Lineage(STAGES, config, None).fingerprint("cuts") == Lineage(STAGES, config, None).fingerprint("subsets")


def test_requests_for_removal_are_no_unit_that_can_be_missing(tmp_path: Path) -> None:
    corpus, config = Corpus.open_or_create(str(tmp_path / "c")), load("demo")
    lineage = Lineage(STAGES, config, corpus)
    commit(corpus, "ingest", BATCH)
    assert lineage.due("remove") == []
    commit(corpus, "tombstones", "000000")
    (due,) = lineage.due("remove")
    with pytest.raises(UsageError, match="first `swallow-spark select`"):
        lineage.finished("remove")
    due.commit(corpus, [])
    assert [manifest.unit for manifest in lineage.finished("remove")] == [BATCH]


@pytest.mark.parametrize(
    ("stage", "gone"),
    [
        ("select", {"select", "tokens/edu-top10"}),
        ("score", {"score", "select", "tokens/edu-top10"}),
        ("host_lines", {"host_lines", "select", "tokens/edu-top10"}),
        ("tombstones", {"tombstones", "remove"}),
        ("decide", {"decide", "score", "tokens/accepted", "tokens/edu-top10", "host_lines", "select"}),
    ],
)
def test_what_is_discarded_with_a_stage(stage: str, gone: set[str]) -> None:
    units = [
        Unit("ingest", BATCH),
        Unit("decide", "preset=p/crawl=c"),
        Unit("score", f"classifier=edu/{BATCH}"),
        Unit("tokens", f"accepted/{BATCH}"),
        Unit("tokens", f"edu-top10/{BATCH}"),
        Unit("host_lines", BATCH),
        Unit("select", "cuts"),
        Unit("select", BATCH),
        Unit("tombstones", "000000"),
        Unit("remove", BATCH),
        Unit("remove", "duplicates"),
    ]

    def of(directory: str) -> list[Unit]:
        return [unit for unit in units if unit.stage == directory]

    taken = list(STAGES.taken_back(stage, None, of))
    assert len(set(taken)) == len(taken)
    names = {f"tokens/{unit.name.split('/')[0]}" if unit.stage == "tokens" else unit.stage for unit in taken}
    assert names == gone
    assert taken[-1].stage == stage, "its own last"
