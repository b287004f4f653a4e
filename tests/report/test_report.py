"""The report of small corpora whose every figure is known."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from event_log import events_of, queries
from pyspark.sql import SparkSession
from small_corpus import IDS, TEXTS, commit, ingested, page

from swallow_spark.config.load import Config
from swallow_spark.config.select import Tokens
from swallow_spark.corpus.corpus import Corpus, Unit
from swallow_spark.pipeline import STAGES
from swallow_spark.report.change import last_report
from swallow_spark.report.contents import Contents
from swallow_spark.report.finished import day, without_secrets
from swallow_spark.report.render import render
from swallow_spark.report.report import gather, write_report
from swallow_spark.report.samples import differences
from swallow_spark.report.state import stages
from swallow_spark.stages.annotate.tasks import FEATURES
from swallow_spark.stages.stage import Due, Lineage
from swallow_spark.tables import DUPLICATES, GROUPS, REMOVED, SCORES, SUBSETS, VERDICTS

CONFIG = {
    "rules": {
        "preset": "p",
        "bounds": {
            "num_letters": {"min": 10, "source": "a paper"},
            "hiragana_fraction": {"min": 0.2, "max": 0.9, "source": "another paper"},
        },
        "hosts": ["bad.example"],
    },
    "sketch": {"bands": 4, "rows_per_band": 4},
    "report": {"sample_pages": 3},
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    model = tmp_path_factory.mktemp("models") / "wiki.ftz"
    model.write_bytes(b"not read here")
    classifiers = {"wiki": {"path": str(model), "weights": {"__label__positive": 1}}}
    subsets = [
        {"classifier": "wiki", "bands": ["top50", "top50-100"]},
        {"name": "long", "classifier": "wiki", "bands": ["top50"], "by": "characters"},
    ]
    return Config.model_validate({**CONFIG, "classifiers": classifiers, "subsets": subsets})


# Pages 5, 6 and 7 have too few letters, 7 has too many hiragana too.
LETTERS = [10, 11, 20, 30, 40, 9, 8, 7, 60, 70]
HIRAGANA = [0.2, 0.5, 0.5, 0.9, 0.5, 0.5, 0.5, 0.95, 0.5, 0.5]
SCORE = {0: 0.9, 3: 0.5, 8: 0.5, 9: 0.0}
SCORED = SUBSETS.append(pa.field("score_wiki", pa.float64()))
MEMBERS = {"wiki-top50": (0, 8), "wiki-top50-100": (3, 9), "long-top50": (0,)}


def finished(directory: Path, config: Config) -> Corpus:
    corpus, _pages = ingested(directory, config)

    def due(stage: str) -> Due:
        """The only unit of a stage that there can be by now."""
        (one,) = Lineage(STAGES, config, corpus).due(stage)
        return one

    commit(corpus, due("sketch"), {})
    features: list[dict[str, Any]] = [
        {**dict.fromkeys(FEATURES.names, 0), "doc_id": IDS[n], "host": page(n)["host"], "num_chars": len(TEXTS[n])}
        | {"num_letters": LETTERS[n], "hiragana_fraction": HIRAGANA[n], "avg_sentence_length": 30.0}
        for n in range(10)
    ]
    commit(corpus, due("measure"), {"features": (FEATURES, features, {})})
    duplicates = [
        {
            "doc_id": IDS[one],
            "witness": IDS[of],
            "representative": IDS[of],
            "band": 0,
            "similarity": near,
            "policy": "bucket",
        }
        for one, of, near in ((1, 0, 1.0), (2, 0, 0.93), (4, 3, 0.85))
    ]
    groups = [{"doc_id": IDS[n], "num_duplicates": {0: 2, 3: 1}.get(n, 0)} for n in (0, 3, 5, 6, 7, 8, 9)]
    rows = {"duplicates": (DUPLICATES, duplicates, {}), "groups": (GROUPS, groups, {})}
    rows["groups"][2].update(rounds=1, exact_copies=1, kept_before_dropped_now=2, dropped_before_kept_now=0)
    commit(corpus, due("deduplicate"), rows, details={"kept": {"c": "7"}})
    reasons = {5: ["num_letters:low"], 6: ["num_letters:low"], 7: ["num_letters:low", "hiragana_fraction:high"]}
    verdicts = [
        {"doc_id": IDS[n], "accepted": n not in reasons, "reasons": reasons.get(n, [])} for n in (0, 3, 5, 6, 7, 8, 9)
    ]
    sums = {"survivors": 7, "survivors_chars": 7 * 407, "accepted": 4, "accepted_chars": 4 * 407}
    sums |= {"rejected:num_letters:low": 3, "rejected:hiragana_fraction:high": 1}
    rows = {"verdicts/preset=p": (VERDICTS, verdicts, sums)}
    commit(corpus, due("decide"), rows)
    scores = [{"doc_id": IDS[n], "score": score} for n, score in SCORE.items()]
    rows = {"scores/classifier=wiki": (SCORES, scores, {})}
    commit(corpus, due("score"), rows)
    # The best half ends with the lower doc_id of the two that score 0.5.
    middle, last = ({"documents": n, "score": s, "doc_id": IDS[of]} for n, s, of in ((2, 0.5, 8), (4, 0.0, 9)))
    cuts = [
        {"ranking": "wiki", "classifier": "wiki", "band": "top50", "upper": None, "lower": middle},
        {"ranking": "wiki", "classifier": "wiki", "band": "top50-100", "upper": middle, "lower": last},
        {"ranking": "long", "classifier": "wiki", "band": "top50", "upper": None, "lower": middle},
    ]
    commit(corpus, due("cuts"), {}, details={"cuts": cuts, "subsets": list(MEMBERS)})
    rows = {}
    for name, numbers in MEMBERS.items():
        own = [{**{key: page(n)[key] for key in SUBSETS.names}, "score_wiki": SCORE[n]} for n in numbers]
        rows[f"subsets/{name}"] = (SCORED, own, {f"chars:subsets/{name}": sum(len(TEXTS[n]) for n in numbers)})
    rows["subsets/long-top50"][2]["both:subsets/wiki-top50:subsets/long-top50"] = 1
    commit(corpus, due("subsets"), rows)
    corpus.root.write_atomically(
        "runs/1.json",
        json.dumps(
            {"command": "build", "version": "0", "started": "2026-01-01T00:00:00", "seconds": {"ingest": 2}}
        ).encode(),
    )
    corpus.root.write_atomically("runs/2.json", b"{")
    corpus.root.write_atomically("runs/3.json", b'{"seconds": {"ingest": NaN}}')
    return corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Corpus:
    return finished(tmp_path_factory.mktemp("finished"), config)


@pytest.fixture(scope="module")
def found(spark: SparkSession, corpus: Corpus, config: Config) -> Contents:
    return gather(spark, Lineage(STAGES, config, corpus))


def test_funnel_and_ledger(found: Contents) -> None:
    steps = [(step.name, step.documents, step.before) for step in found.funnel if not step.is_subset]
    assert steps == [
        ("records", 14, None),
        ("pages", 10, 14),
        ("after dedup", 7, 10),
        ("accepted by the rules", 4, 7),
    ]
    assert found.ledger.accounted == found.ledger.records == 14
    assert [(f.path, f.offset, f.scope, f.reason) for f in found.ledger.first_failures] == [
        ("https://h/b.warc.gz", 50, "gap", "garbage"),
        ("https://h/a.warc.gz", 70, "record", "bad_http"),
    ]
    assert (found.ledger.files, found.ledger.files_pending) == (2, 0)


def test_rules_count_all_and_alone(found: Contents) -> None:
    assert found.rules
    assert [(rule.reason, rule.bound, rule.rejected, rule.alone) for rule in found.rules.rules] == [
        ("num_letters:low", "below 10", 3, 2),
        ("hiragana_fraction:low", "below 0.2", 0, 0),
        ("hiragana_fraction:high", "above 0.9", 1, 0),
        ("host:blocked", "host or a domain above it is listed", 0, 0),
    ]
    assert (found.rules.survivors, found.rules.accepted) == (7, 4)


def test_groups_by_size_and_similarity(found: Contents) -> None:
    assert found.dedup
    assert [(s.smallest, s.largest, s.groups) for s in found.dedup.sizes] == [(1, 1, 5), (2, 2, 1), (3, 4, 1)]
    counts = {place: count for place, count in enumerate(found.dedup.similarities.counts) if count}
    assert counts == {49: 1, 46: 1, 42: 1}
    assert [(group.page.doc_id, group.num_duplicates) for group in found.dedup.largest] == [(IDS[0], 2), (IDS[3], 1)]
    assert found.dedup.needs.lookups == 8 * 10
    assert (found.dedup.duplicates, found.dedup.exact_copies) == (3, 1)
    assert found.dedup.changes == {"kept_before_dropped_now": 2, "dropped_before_kept_now": 0}


def test_reasons_that_coincide(found: Contents) -> None:
    assert found.rules
    assert [tuple(pair) for pair in found.rules.pairs] == [("hiragana_fraction:high", "num_letters:low", 1)]
    assert {one.reason: (one.of, {IDS.index(p.page.doc_id) for p in one.pages}) for one in found.of_reasons} == {
        "num_letters:low": (3, {5, 6, 7}),
        "hiragana_fraction:high": (1, {7}),
    }


def test_features_with_their_bounds(found: Contents) -> None:
    first, second, *others = found.features
    assert (first.name, second.name) == ("num_letters", "hiragana_fraction")
    assert not [one for one in others if one.bounds]
    assert {one.total for one in found.features} == {10}
    # A bound is the end of a bar, whatever the grid: exactly 10 letters, and exactly 0.2 and 0.9 hiragana, pass.
    assert first.bounds == ((10, "below 10"),)
    assert sum(bar.pages for bar in first.bars if bar.rejected) == 3
    assert [(bar.low, bar.pages) for bar in second.bars if bar.rejected and bar.pages] == [(pytest.approx(0.95), 1)]
    assert sum(bar.pages for bar in second.bars if not bar.rejected) == 9


def test_the_pages_on_either_side_of_a_bound(found: Contents) -> None:
    """Of equal values, those of the lowest doc_ids."""
    beside = {(one.feature, one.bound): (one.rejected, one.passing) for one in found.beside}
    values = {key: [[(IDS.index(p.page.doc_id), p.value) for p in pages] for pages in of] for key, of in beside.items()}
    assert values[("num_letters", "below 10")] == [[(5, 9), (6, 8)], [(0, 10), (1, 11)]]
    assert values[("hiragana_fraction", "below 0.2")] == [[], [(0, 0.2), (2, 0.5)]]
    assert values[("hiragana_fraction", "above 0.9")] == [[(7, 0.95)], [(3, 0.9), (2, 0.5)]]


def test_the_pages_at_each_cut(found: Contents) -> None:
    pages = {
        one.name: [[IDS.index(p.page.doc_id) for p in side] for side in (one.top, one.bottom, one.below)]
        for one in found.of_subsets
    }
    # Behind the best half come 3, which has the same score as its last page and a higher doc_id, or 9.
    assert set(pages) == set(MEMBERS)
    (three, nine) = (pages["wiki-top50"][2], pages["wiki-top50-100"][2])
    assert (three, nine) == ([3, 9], [])


def test_robots_and_cut_pages(found: Contents) -> None:
    assert found.hints
    assert (found.hints.robots, found.hints.any_robots) == ({"noindex": 1, "nofollow": 1}, 2)
    assert found.hints.truncated == {True: 1, False: 1, None: 8}


def test_the_opening_says_what_is_wrong(found: Contents) -> None:
    assert found.opening.sentences[0] == ("This corpus has 10 pages, from 14 records in 2 files of 1 crawl (c).")
    assert found.opening.problems == (
        "1 problem with whole files, or with gaps between records.",
        "1 record could not be read (7.1 %).",
    )


def test_scores_with_their_cuts(found: Contents) -> None:
    (scores,) = found.scores
    assert {place: count for place, count in enumerate(scores.histogram.counts) if count} == {0: 1, 30: 2, 54: 1}
    assert [(cut.band, cut.score) for cut in scores.cuts] == [("top50", 0.5), ("top50-100", 0.0)]
    assert [(subset.name, subset.threshold, subset.last_doc_id) for subset in found.subsets] == [
        ("wiki-top50", 0.5, IDS[8]),
        ("wiki-top50-100", 0.0, IDS[9]),
        ("long-top50", 0.5, IDS[8]),
    ]


def test_samples_say_what_was_decided(found: Contents) -> None:
    samples = {sample.kind: sample for sample in found.samples}
    assert {kind: (len(sample.pages), sample.of) for kind, sample in samples.items()} == {
        "accepted": (3, 4),
        "rejected": (3, 3),
        "duplicates": (3, 3),
    }
    for sampled in samples["accepted"].pages:
        number = IDS.index(sampled.page.doc_id)
        assert sampled.subsets == tuple(name for name, numbers in MEMBERS.items() if number in numbers)
        assert list(sampled.scores) == ["wiki"]
    for sampled in samples["duplicates"].pages:
        number = IDS.index(sampled.page.doc_id)
        assert sampled.witness
        assert sampled.witness.doc_id == IDS[3 if number == 4 else 0]
        assert sampled.page.excerpt == TEXTS[number][:300]
        assert sampled.page.date == f"2025-08-{1 + number:02}"
    assert {IDS.index(one.page.doc_id): len(one.reasons) for one in samples["rejected"].pages} == {5: 1, 6: 1, 7: 2}


def test_sizes_without_a_tokenizer(found: Contents) -> None:
    assert found.sizes
    characters = {name: sum(len(TEXTS[n]) for n in numbers) for name, numbers in MEMBERS.items()}
    assert [(size.name, size.documents, size.characters, size.tokens) for size in found.sizes.rows] == [
        ("pages", 10, sum(map(len, TEXTS)), None),
        ("after dedup", 7, 7 * 407, None),
        ("rules swallow-v1", None, None, None),
        ("rules swallow-v2", None, None, None),
        ("rules p", 4, 4 * 407, None),
        *((name, len(numbers), characters[name], None) for name, numbers in MEMBERS.items()),
    ]
    assert "swallow-spark decide --preset swallow-v1" in render(found)


def test_sizes_in_tokens(spark: SparkSession, corpus: Corpus, config: Config) -> None:
    """All pages are sampled, so the estimates are counts: of the texts, and of the rules' wrong characters here."""
    quicktok = pytest.importorskip("quicktok")
    counting = config.model_copy(update={"tokens": Tokens(encoding="llama3", sample_pages=10)})
    found = gather(spark, Lineage(STAGES, counting, corpus))
    assert found.sizes
    counts = [quicktok.get_encoding("llama3").count(text) for text in TEXTS]
    told = {size.name: (size.tokens, size.error) for size in found.sizes.rows}
    assert told["pages"] == (sum(counts), 0)
    assert told["rules swallow-v1"] == (None, None)
    for name, numbers in MEMBERS.items():
        assert told[name] == (sum(counts[n] for n in numbers), 0)
    assert "Tokens by llama3" in render(found)


def test_overlap_of_rankings(found: Contents) -> None:
    assert [(one.band, one.rankings, one.shares) for one in found.overlaps] == [
        ("top50", ("wiki", "long"), ((1.0, 0.5), (1.0, 1.0)))
    ]


def test_sources(found: Contents) -> None:
    assert found.sources
    hosts = [(host.name, host.documents) for host in found.sources.hosts]
    assert hosts == [("host0.example", 3), ("host2.example", 1)]  # 0, 3, 9 and 8
    assert [(charset.name, charset.documents) for charset in found.sources.charsets] == [("utf-8", 7), ("euc-jp", 3)]
    (crawl,) = found.sources.crawls
    assert (crawl.name, crawl.files, crawl.pages, crawl.survivors, crawl.accepted) == ("c", 2, 10, 7, 4)
    assert (crawl.first_date, crawl.last_date) == ("2025-08-01", "2025-08-10")


def test_runs_that_cannot_be_read_say_so(found: Contents) -> None:
    assert {run.id: bool(run.problem) for run in found.runs} == {"1": False, "2": True, "3": True}


def test_all_stages_are_done(found: Contents) -> None:
    assert {stage.state for stage in found.stages} == {"done"}
    assert len(found.stages) == 8


def test_the_same_corpus_gives_the_same_page(
    spark: SparkSession, corpus: Corpus, config: Config, found: Contents
) -> None:
    path = write_report(spark, Lineage(STAGES, config, corpus))
    assert path == "report/index.html"
    figures = json.loads(corpus.root.read_bytes("report/report.json"))
    assert (figures["ledger"]["records"], figures["rules"]["accepted"], figures["previous"]) == (14, 4, None)
    assert TEXTS[0][:50] not in json.dumps(figures, ensure_ascii=False)
    assert "num_letters,10.0," in corpus.root.read_bytes("report/features.csv").decode()
    page = corpus.root.read_bytes(path).decode()
    assert page == render(found)
    assert "<script" not in page
    assert 'href="javascript' not in page
    assert "secret@" not in page
    assert "key=1" not in page


def test_a_report_says_what_changed_since_the_last(found: Contents) -> None:
    now = {"records": 14, "subset new": 3}
    last = {"as_of": "2026-01-01 00:00:00", "figures": {"records": 10, "pages": 7}}
    compared = last_report(last, now)
    assert compared
    assert compared.figures == {"records": (10, 14), "pages": (7, None), "subset new": (None, 3)}
    text = render(found._replace(last_report=compared))
    assert "Since the last report" in text
    assert "+4" in text


def test_how_two_texts_differ() -> None:
    before, after = "同じ\n" * 3 + "あ" * 200 + "違う\n古い", "同じ\n" * 3 + "あ" * 200 + "別だ"
    assert list(differences(before, after)) == [
        ("=", "3"),
        ("-", "…" + "あ" * 20 + "違う"),
        ("+", "…" + "あ" * 20 + "別だ"),
        ("-", "古い"),
    ]
    assert list(differences("一\n" * 300, "二\n" * 300))[-1] == ("…", "")


def test_few_queries_make_a_report(spark: SparkSession, event_log: Path, corpus: Corpus, config: Config) -> None:
    """Each costs a fresh session a third of a CPU second: as many however many features, subsets and crawls."""
    ran, outside = queries(events_of(spark, event_log, lambda: gather(spark, Lineage(STAGES, config, corpus))))
    assert (len(ran), outside) == (3, 0)
    assert sum(query.shuffled_bytes > 0 for query in ran) <= 1


def test_nothing_of_removed_pages_is_shown(spark: SparkSession, tmp_path: Path, config: Config) -> None:
    corpus = finished(tmp_path, config)
    due = Lineage(STAGES, config, corpus).made("remove", "crawl=c/0-1")
    commit(corpus, due, {"removed": (REMOVED, [{"doc_id": IDS[0]}], {})})
    shown = render(gather(spark, Lineage(STAGES, config, corpus)))
    assert str(IDS[0]) not in shown
    assert str(IDS[3]) in shown


def test_what_does_not_fit_the_configuration_is_out_of_date(tmp_path: Path, config: Config) -> None:
    corpus = finished(tmp_path, config)
    changed = config.model_copy(update={"rules": config.rules.model_copy(update={"hosts": ("other.example",)})})
    late = ["decide p", "score wiki", "select: cuts", "select: subsets"]
    found = stages(Lineage(STAGES, changed, corpus), 0)
    assert [stage.name for stage in found if stage.state == "out of date"] == late
    found = stages(Lineage(STAGES, config, corpus), 1)
    assert [stage.name for stage in found if stage.state == "partly done"] == ["ingest"]
    # Without its verdicts, or with others, the scores no longer stand for anything.
    corpus.forget(Unit("decide", "preset=p/crawl=c"))
    states = {stage.name: stage.state for stage in stages(Lineage(STAGES, config, corpus), 0)}
    assert (states["decide p"], states["score wiki"]) == ("not done", "out of date")


def test_a_corpus_of_pages_alone(spark: SparkSession, tmp_path: Path, config: Config) -> None:
    corpus, _ = ingested(tmp_path, config)
    found = gather(spark, Lineage(STAGES, config, corpus))
    assert (found.dedup, found.rules, found.scores, found.subsets) == (None, None, (), ())
    assert [(sample.kind, len(sample.pages)) for sample in found.samples] == [("pages", 3)]
    assert found.sources
    assert found.sources.hosts_of == "pages"
    assert render(found)


def test_an_empty_corpus(spark: SparkSession, tmp_path: Path, config: Config) -> None:
    corpus = Corpus.open_or_create(str(tmp_path / "corpus"))
    write_report(spark, Lineage(STAGES, config, corpus))
    assert "There are no pages yet." in corpus.root.read_bytes("report/index.html").decode()


def test_secret_settings_are_not_told(spark: SparkSession, tmp_path: Path, config: Config) -> None:
    settings = {"spark.hadoop.fs.s3a.secret.key": "hunter2", "spark.executor.memory": "4g"}
    empty = Corpus.open_or_create(str(tmp_path / "c"))
    told = gather(spark, Lineage(STAGES, config.model_copy(update={"spark": settings}), empty))
    assert told.configuration["spark"] == {
        "spark.hadoop.fs.s3a.secret.key": "(secret)",
        "spark.executor.memory": "4g",
    }


def test_locations_without_secrets() -> None:
    assert without_secrets("/data/a?b@c") == "/data/a?b@c"
    assert without_secrets("s3://key:secret@bucket/path/a.gz") == "s3://bucket/path/a.gz"
    assert without_secrets("https://h/x.gz?X-Amz-Signature=1#f") == "https://h/x.gz"
    assert without_secrets("https://h?p=a@b/c") == "https://h"


def test_days() -> None:
    assert day(None) == ""
    assert day(0) == "1970-01-01"
    assert day(1754956800_000_000) == "2025-08-12"
    assert day(2**62) == "?"
