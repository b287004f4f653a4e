"""A kind of classifier that the program doesn't know, from the configuration to the subsets."""

from pathlib import Path

import keyword_kind
import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from runs import MakeRun, table

from swallow_spark import pipeline
from swallow_spark.config.load import Config, load
from swallow_spark.errors import ConfigError
from swallow_spark.kernels import classifiers
from swallow_spark.pipeline import STAGES
from swallow_spark.report.explain import explain_page
from swallow_spark.stages.run import check_config
from swallow_spark.stages.stage import Lineage


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(classifiers.KINDS, "keywords", "keyword_kind")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("です\nである\n")
    return path


def configured(words: Path, weights: str = "{'です' = 1, 'である' = 3}") -> list[str]:
    return [f"classifiers={{style = {{kind = 'keywords', path = '{words}', weights = {weights}}}}}", "subsets=[]"]


def fingerprint(config: Config) -> str:
    return Lineage(STAGES, config, None).fingerprint("score", "style")  # type: ignore[arg-type]


@pytest.mark.usefixtures("known")
def test_another_kind_scores_pages(spark: SparkSession, make_run: MakeRun, slices: list[Path], words: Path) -> None:
    spark.sparkContext.addPyFile(keyword_kind.__file__)
    subsets = "subsets=[{classifier = 'style', bands = ['top50']}]"
    run = make_run(slices[:1], overrides=[*configured(words), subsets, "rules.bounds={}"])
    check_config(run.config, models=True)
    pipeline.build(run, "c")
    texts = {row["doc_id"]: row["text"] for row in table(run, "pages", "ingest")}
    scores = {row["doc_id"]: row["score"] for row in table(run, "scores/classifier=style", "score")}
    accepted = [
        row["doc_id"] for row in table(run, f"verdicts/preset={run.config.rules.preset}", "decide") if row["accepted"]
    ]
    assert sorted(scores) == accepted
    assert len({round(score, 3) for score in scores.values()}) > 2
    for doc_id, score in scores.items():
        polite, plain = texts[doc_id].count("です"), texts[doc_id].count("である")
        assert score == pytest.approx((polite + 3 * plain) / max(polite + plain, 1), abs=1e-6)
    assert len(table(run, "subsets/style-top50", "select")) == round(len(accepted) / 2)
    explained = explain_page(run.corpus, run.config, None, accepted[0])
    assert explained.values["scores"] == {"style": scores[accepted[0]]}


@pytest.mark.usefixtures("known")
def test_the_kind_and_its_version_are_in_the_fingerprint(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = fingerprint(load("demo", configured(words)))
    assert fingerprint(load("demo", configured(words))) == prints
    monkeypatch.setattr(keyword_kind, "VERSION", 8)
    assert fingerprint(load("demo", configured(words))) != prints
    monkeypatch.setattr(keyword_kind, "VERSION", classifiers.kind("fasttext").VERSION)
    as_fasttext = [entry.replace("keywords", "fasttext") for entry in configured(words)]
    other, same = load("demo", configured(words)), load("demo", as_fasttext)
    assert other.classifiers["style"].meaning() == same.classifiers["style"].meaning()
    assert fingerprint(other) != fingerprint(same)


@pytest.mark.usefixtures("known")
def test_what_cannot_work_is_found_before(words: Path) -> None:
    with pytest.raises(ConfigError, match=r"classifiers\.style\.kind: no such kind of classifier: words"):
        load("demo", [configured(words)[0].replace("keywords", "words")])
    with pytest.raises(ConfigError, match=r"has no label なの \(it has です, である\)"):
        check_config(load("demo", configured(words, "{'なの' = 1}")), models=True)


def test_scores_are_without_the_floor_of_a_kind(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keyword_kind.load(words)
    probabilities = model.probabilities(pa.array(["です", "", None]))
    assert model.expected_score(probabilities, {"です": 2.0}).tolist() == [2, 0, 0]
    monkeypatch.setattr(keyword_kind.Model, "floor", 0.25)
    assert np.array_equal(model.expected_score(probabilities, {"です": 2.0}), [1.5, 0, 0])
