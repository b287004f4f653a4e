"""Two presets compared, over verdicts and features that are known; and two sets of pages."""

import io
from pathlib import Path
from typing import Any

import pytest
from commands import call
from pyspark.sql import SparkSession
from rich.console import Console
from small_corpus import IDS, TEXTS, commit, ingested

from swallow_spark.commands.tables import show_compared, show_comparison
from swallow_spark.config.load import Config
from swallow_spark.errors import UsageError
from swallow_spark.pipeline import STAGES
from swallow_spark.report.comparison.corpora import Side, last_common
from swallow_spark.report.comparison.corpora import compare as compare_sets
from swallow_spark.report.comparison.presets import compare
from swallow_spark.report.contents import SentenceBounds
from swallow_spark.report.counts import _sentence_bounds
from swallow_spark.report.finished import Finished
from swallow_spark.report.report import by_host
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.stages.stage import Lineage
from swallow_spark.tables import VERDICTS

HIRAGANA = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.3, 4: 0.19, 5: 0.9}
ELLIPSIS = {0: 0.5, 1: 0.0, 2: 0.2, 3: 0.1, 4: 0.4, 5: 0.3}
NG = {0: None, 1: None, 2: 0.05, 3: 0.04, 4: None, 5: 0.9}
LENGTH = {0: 10.0, 1: 20.0, 2: 150.0, 3: 90.0, 4: 300.0, 5: 30.0}
FIRST = {"hiragana_fraction": {"min": 0.2, "source": "s"}, "ellipsis_fraction": {"max": 0.2, "source": "s"}}
SECOND = {"hiragana_fraction": {"min": 0.2, "source": "s"}, "ng_fraction": {"below": 0.05, "source": "s"}}


def decided(spark: SparkSession, directory: Path) -> tuple[Finished, Finished]:
    presets = [Config.model_validate({"rules": {"preset": n, "bounds": b}}) for n, b in (("a", FIRST), ("b", SECOND))]
    corpus, _pages = ingested(directory, presets[0])
    rows: list[dict[str, Any]] = []
    for n in HIRAGANA:
        row: dict[str, Any] = dict.fromkeys(FEATURES.names, 0) | {"doc_id": IDS[n], "host": "h", "num_chars": 9}
        rows.append(row | {"hiragana_fraction": HIRAGANA[n], "ellipsis_fraction": ELLIPSIS[n], "ng_fraction": NG[n]})
        rows[-1]["avg_sentence_length"] = LENGTH[n]
    # One more, which dedup drops: nearer to the bound than any other, but no page of the comparison.
    rows.append({**rows[0], "doc_id": IDS[6], "hiragana_fraction": 0.199})
    first, second = (Lineage(STAGES, config, corpus) for config in presets)
    for stage, tables in (("sketch", {}), ("measure", {"features": (FEATURES, rows, {})}), ("deduplicate", {})):
        commit(corpus, first.due(stage)[0], tables)
    for lineage in (first, second):
        verdicts = []
        for row in rows[:-1]:
            reasons = [r for name, bound in lineage.config.rules.bounds.items() for r in bound.reasons(name, row[name])]
            verdicts.append({"doc_id": row["doc_id"], "accepted": not reasons, "reasons": reasons})
        name = lineage.config.rules.preset
        table = {f"verdicts/preset={name}": (VERDICTS, verdicts, {})}
        commit(corpus, lineage.due("decide")[0], table)
    return Finished(spark, first), Finished(spark, second)


def test_what_each_keeps_and_why(spark: SparkSession, tmp_path: Path) -> None:
    compared = compare(*decided(spark, tmp_path))
    # a rejects 0 and 4 for both reasons, 5 for one; b rejects 0 and 4, and 2 and 5 for their NG expressions.
    assert compared["accepted"] == {"a": 3, "b": 2, "both": 2, "only a": 1, "only b": 0, "neither": 3}
    assert compared["presets"] == ["a", "b"]
    assert compared["pages"] == 6
    assert compared["reasons"] == [
        {"reason": "ellipsis_fraction:high", "a": 3, "b": 0, "both": 0},
        {"reason": "hiragana_fraction:low", "a": 2, "b": 2, "both": 2},
        {"reason": "ng_fraction:high", "a": 0, "b": 2, "both": 0},
    ]
    assert compared["overlap"] == [
        {"first": "ellipsis_fraction:high", "second": "hiragana_fraction:low", "pages": 2},
        {"first": "ellipsis_fraction:high", "second": "ng_fraction:high", "pages": 1},
    ]


def test_the_pages_next_to_each_bound(spark: SparkSession, tmp_path: Path) -> None:
    compared = compare(*decided(spark, tmp_path))
    beside = {bound["rejected_if"]: (bound["below"], bound["above"]) for bound in compared["bounds"]}
    values = {said: tuple(side and (side["value"], side["doc_id"]) for side in sides) for said, sides in beside.items()}
    assert values == {
        "hiragana_fraction < 0.2": ((0.19, IDS[4]), (0.2, IDS[1])),
        "ellipsis_fraction > 0.2": ((0.2, IDS[2]), (0.3, IDS[5])),
        "ng_fraction >= 0.05": ((0.04, IDS[3]), (0.05, IDS[2])),
    }
    below = beside["hiragana_fraction < 0.2"][0]
    assert below["url"] == "https://host1.example/4"
    assert TEXTS[4].startswith(below["text"])
    shown = io.StringIO()
    show_comparison(Console(file=shown, width=200), compared)
    assert "accepted by only a: 1" in shown.getvalue()
    assert "https://host1.example/4" in shown.getvalue()


def test_what_other_bounds_on_the_sentence_length_would_reject(spark: SparkSession, tmp_path: Path) -> None:
    first, _ = decided(spark, tmp_path)
    # 0, 4 and 5 are rejected by other rules; the page that dedup drops (length 10) is none of them.
    assert _sentence_bounds(by_host(first)) == (SentenceBounds(20, 90, 3, 1), SentenceBounds(20, 200, 2, 0))


def test_two_sets_of_pages_of_a_corpus(spark: SparkSession, tmp_path: Path) -> None:
    first, _ = decided(spark, tmp_path)
    compared = compare_sets(*(Side(first, name, name) for name in ("a", "b")))
    # a accepts 1, 2 and 3; b accepts 1 and 3.
    assert [compared[key] for key in ("a_pages", "b_pages", "both", "only_a", "only_b")] == [3, 2, 2, 1, 0]
    assert compared["characters"]["only_a"] == len(TEXTS[2])
    assert compared["jaccard"] == pytest.approx(2 / 3)
    (page,) = compared["samples"]["only_a"]
    assert (page["doc_id"], page["url"]) == (IDS[2], "https://host2.example/2")
    assert compared["samples"]["only_b"] == []
    shown = io.StringIO()
    show_compared(Console(file=shown, width=80), compared)
    assert "https://host2.example/2" in shown.getvalue()
    with pytest.raises(UsageError, match=r"no `c` \(there are: pages, survivors, accepted, a, b\)"):
        compare_sets(Side(first, "a", ""), Side(first, "c", ""))


def test_two_corpora(spark: SparkSession, tmp_path: Path) -> None:
    """Their doc_ids need not agree: pages are the same by URL and payload."""
    first, _ = decided(spark, tmp_path / "one")
    other, _ = ingested(tmp_path / "two", first.config)
    second = Finished(spark, Lineage(STAGES, first.config, other))
    assert last_common(first, second) == "pages"
    compared = compare_sets(Side(first, "pages", "1"), Side(second, "pages", "2"))
    assert [compared[key] for key in ("a_pages", "b_pages", "both", "jaccard")] == [10, 10, 10, 1]
    compared = compare_sets(Side(first, "accepted", "1"), Side(second, "pages", "2"), 2)
    assert [compared[key] for key in ("both", "only_a", "only_b")] == [3, 0, 7]
    assert len(compared["samples"]["only_b"]) == 2


def test_the_command(spark: SparkSession, built: Path) -> None:
    bands = call("compare", "--corpus", built, "wiki-top10", "edu-top10", "--json").json
    assert bands["a_pages"] == bands["both"] + bands["only_a"]
    assert bands["b_pages"] == bands["both"] + bands["only_b"]
    done = call("compare", built, built)
    assert done.status == 0
    assert "Of all different pages 100.0% are in both." in done.err
    assert "no `x` (there are: pages" in call("compare", "--corpus", built, "wiki-top10", "x").complaint
