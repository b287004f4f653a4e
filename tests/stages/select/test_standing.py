"""When a run may replace the subsets that are there. No Spark."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from swallow_spark.config.load import Config, load
from swallow_spark.corpus.corpus import Corpus, Unit
from swallow_spark.errors import CorpusError
from swallow_spark.pipeline import STAGES
from swallow_spark.session.progress import Progress
from swallow_spark.stages.run import Run, say_replaced
from swallow_spark.stages.select.standing import Standing, refuse_replacing, standing
from swallow_spark.stages.stage import Lineage

DEMO = load("demo")


def file_of(table: str, rows: int, chars: int) -> dict[str, Any]:
    values = {"table": table, "path": f"{table}/crawl=c/x-0123456789ab/p", "rows": rows, "bytes": 1, "crc32": 1}
    return {**values, "sums": {f"chars:{table}": chars}, "cpu_seconds": 0}


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A corpus with two subsets of the configuration demo."""
    corpus = Corpus.open_or_create(str(tmp_path))
    corpus.register("c", [])
    written = [file_of("subsets/edu-top10", 3, 1234), file_of("subsets/wiki-top10", 2, 99)]
    made = Lineage(STAGES, DEMO, corpus).fingerprint("cuts")
    corpus.commit(Unit("select", "crawl=c/0"), made, {}, "", written)
    return corpus


def record(**more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"started": now.isoformat(), "finished": (now + timedelta(hours=1)).isoformat(), **more}


def run_of(corpus: Corpus, config: Config) -> Run:
    return Run(corpus, config, Progress(lambda: pytest.fail("no session"), Console(file=StringIO())), STAGES)


def test_subsets_are_those_of_the_manifests(corpus: Corpus) -> None:
    assert standing(corpus) == [Standing("edu-top10", 3, 1234), Standing("wiki-top10", 2, 99)]
    assert str(standing(corpus)[0]) == "edu-top10 (3 documents, 1,234 characters)"


@pytest.mark.parametrize(
    "overrides",
    [[], ["execution.files_per_batch=3"], ["report.sample_pages=2"], ["subsets=[]"]],
)
def test_the_same_subsets_and_none_need_no_agreement(corpus: Corpus, overrides: list[str]) -> None:
    refuse_replacing(run_of(corpus, load("demo", overrides)), None, None)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["cleanup.mode=off"], "replace edu-top10 (3 documents, 1,234 characters), wiki-top10 (2 documents, 99"),
        (["rules.bounds.hiragana_fraction=false"], "(different now: [rules])"),
        (["rules.preset=mine"], "(different now: [rules])"),
        (["classifiers.edu.weights.__label__3=4", "dedup.policy=greedy"], "(different now: [dedup], [classifiers])"),
        (["subsets=[{classifier='edu'}]"], "delete wiki-top10 (2 documents, 99 characters) and replace edu-top10"),
        (["subsets=[{classifier='edu',by='characters'}]"], "made with the configuration demo on 20"),
    ],
)
def test_others_are_named(corpus: Corpus, overrides: list[str], said: str) -> None:
    with pytest.raises(CorpusError) as caught:
        refuse_replacing(run_of(corpus, load("demo", overrides)), record(config_name="demo"), DEMO)
    assert said in str(caught.value)
    assert "Agree with --replace" in str(caught.value)


def test_thresholds_and_other_releases_are_no_other_configuration(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    thresholds = "selection.thresholds={edu={'10'=2, '30'=1}, wiki={'10'=0.5, '30'=0.1}}"
    refuse_replacing(run_of(corpus, load("demo", [thresholds])), record(), DEMO)
    monkeypatch.setattr("swallow_spark.kernels.text.cleanup.VERSION", 99)
    refuse_replacing(run_of(corpus, DEMO), record(), DEMO)
    with pytest.raises(CorpusError, match="made with another configuration on"):
        refuse_replacing(run_of(corpus, DEMO), record(), None)


def test_a_run_that_left_no_record_may_have_had_any_configuration(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swallow_spark.kernels.text.cleanup.VERSION", 99)
    earlier = record(finished="2020-01-01T00:00:00+00:00")
    with pytest.raises(CorpusError, match=r"made with another configuration\. Agree"):
        refuse_replacing(run_of(corpus, DEMO), earlier, DEMO)


def test_tables_that_are_made_again_are_named(corpus: Corpus) -> None:
    made = Lineage(STAGES, DEMO, corpus)
    unit = Unit("decide", "preset=swallow-v2/crawl=c")
    corpus.commit(unit, made.fingerprint("decide", "swallow-v2"), {}, "", [file_of("verdicts/preset=swallow-v2", 1, 1)])
    for overrides, expected in (
        ([], ""),
        (["rules.preset=mine"], ""),  # the other preset's verdicts stay
        (["rules.bounds.hiragana_fraction=false"], "made again: verdicts/preset=swallow-v2"),
    ):
        run = run_of(corpus, load("demo", overrides))
        say_replaced(run, {"decide", "score", "subsets"})
        told = run.progress.console.file
        assert isinstance(told, StringIO)
        assert " ".join(told.getvalue().split()).endswith(expected)
        assert bool(told.getvalue()) == bool(expected)
