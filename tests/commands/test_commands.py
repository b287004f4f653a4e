"""The commands beside `build`: single stages, imported text, one page explained, classifiers."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import call
from corpora import rows, same_tables
from places import DEMO_TEXTS
from pyspark.sql import SparkSession

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.session import session
from swallow_spark.tables import pack_doc_id, unpack_doc_id


def test_single_stages_in_order_are_a_build(
    spark: SparkSession, built: Path, tmp_path: Path, warcs: list[Path]
) -> None:
    corpus = tmp_path / "corpus"
    first = call("ingest", "--corpus", corpus, "--config", "demo", "--crawl", "c", "--json", *reversed(warcs)).json
    assert "duplicates" not in first
    for stage in ("sketch", "measure", "deduplicate", "decide", "score", "select", "report"):
        assert call(stage, "--corpus", corpus).status == 0, stage  # the configuration is that of the last run
    same_tables(corpus, built)
    assert (corpus / "report" / "index.html").exists()


def test_stages_ask_for_those_before_them(copy: Path) -> None:
    for stage, then, needed in (
        ("score", "select", "score"),
        ("decide", "score", "decide"),
        ("deduplicate", "decide", "deduplicate"),
        ("measure", "decide", "deduplicate"),
        ("sketch", "deduplicate", "sketch"),
    ):
        assert call("discard", "--corpus", copy, "--stage", stage).status in (0, 2)
        assert f"first `swallow-spark {needed}`" in call(then, "--corpus", copy).complaint


def test_imported_text(spark: SparkSession, tmp_path: Path) -> None:
    text = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 20
    lines = [
        json.dumps({"text": text, "url": "https://example.jp/1", "title": "猫", "date": "2025-08-12"}),
        json.dumps({"text": "別の話である。" * 30}),
        json.dumps({"text": "  \n "}),
        "{broken",
        json.dumps({"text": text, "url": "https://example.jp/2"}),
    ]
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    corpus = tmp_path / "corpus"
    imports = ("import", "--corpus", corpus, "--config", "demo", "--crawl", "books", "--json", source)
    summary = call(*imports).json
    assert (summary["records"], summary["pages"], summary["passed_over"]) == (5, 3, {"no_text": 1})
    assert sum(summary["failures"].values()) == 1
    pages = {row["doc_id"]: row for row in rows(corpus, "pages")}
    assert sorted(pages) == [pack_doc_id(1, 0, number) for number in (0, 1, 4)]
    assert pages[pack_doc_id(1, 0, 0)]["text"] == text
    assert pages[pack_doc_id(1, 0, 0)]["title"] == "猫"
    failure = rows(corpus, "failures")[0]
    assert (failure["file_no"], failure["offset"], failure["scope"]) == (0, 3, "record")
    others = tmp_path / "others"
    others.mkdir()
    (others / "a.csv").write_text('url,body\nu,"One,\ntwo."\nu\n', encoding="utf-8")
    (others / "b.json").write_text(json.dumps([{"body": "三つ目"}, {"body": 4}]), encoding="utf-8")
    more = ("import", "--corpus", corpus, "--crawl", "others", others)
    assert "a.csv: no column `text`; this csv file has url (string), body (string): " in call(*more).complaint
    ran = call(*more, "--text-column", "body")
    assert "Japanese" not in ran.err  # which English text isn't
    assert "\n pages " in ran.err
    found = {row["doc_id"]: row["text"] for row in rows(corpus, "pages") if row["doc_id"] not in pages}
    assert found == {pack_doc_id(2, 0, 0): "One,\ntwo.", pack_doc_id(2, 1, 0): "三つ目"}
    failures = {(row["reason"], row["offset"]) for row in rows(corpus, "failures")}
    assert failures == {("not_json", 3), ("wrong_columns", 1), ("no_text_column", 1)}
    assert [file.format for file in Corpus.open(str(corpus)).inputs("others")] == ["csv:body", "json:body"]
    assert call(*imports, "--until", "deduplicate").json["duplicates"] == 1
    assert not (corpus / "features").exists()
    dropped = rows(corpus, "duplicates")[0]
    assert (dropped["doc_id"], dropped["witness"]) == (pack_doc_id(1, 0, 4), pack_doc_id(1, 0, 0))


def explained(corpus: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = call("explain", "--corpus", corpus, *arguments, "--json").json
    return found


def test_explain(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "open_session", None)  # it needs no Spark
    pages = {row["doc_id"]: row for row in rows(built, "pages")}
    duplicate = rows(built, "duplicates")[0]
    verdicts = rows(built, "verdicts/preset=swallow-v2")
    rejected = next(row for row in verdicts if len(row["reasons"]) > 1)
    chosen = rows(built, "subsets/wiki-top10")[0]

    kept = explained(built, "--doc-id", str(chosen["doc_id"]))
    assert kept["url"] == chosen["url"]
    assert kept["dedup"]["kept"]
    assert kept["verdict"] == {"preset": "swallow-v2", "accepted": True, "reasons": []}
    assert kept["scores"]["wiki"] == chosen["score_wiki"]
    assert "wiki-top10" in kept["subsets"]
    assert kept["features"]["num_letters"] > 0
    assert kept["source"]["offset"] == unpack_doc_id(chosen["doc_id"]).offset

    dropped = explained(built, "--doc-id", str(duplicate["doc_id"]))
    assert not dropped["dedup"]["kept"]
    assert dropped["dedup"]["witness"] == duplicate["witness"]
    assert dropped["dedup"]["witness_url"] == pages[duplicate["witness"]]["url"]
    assert "verdict" not in dropped
    assert "scores" not in dropped

    url = pages[rejected["doc_id"]]["url"]
    refused = explained(built, "--url", url)
    assert refused["doc_id"] == min(doc_id for doc_id, row in pages.items() if row["url"] == url)
    by_id = explained(built, "--doc-id", str(rejected["doc_id"]))
    assert by_id["verdict"] == {"preset": "swallow-v2", "accepted": False, "reasons": rejected["reasons"]}
    assert "scores" not in by_id

    shown = call("explain", "--corpus", built, "--doc-id", str(rejected["doc_id"]))
    assert shown.status == 0
    assert all(reason in shown.out.decode() for reason in rejected["reasons"])
    for wanted in (("--url", "https://nowhere.example/"), ("--doc-id", "5"), ("--doc-id", "-5")):
        assert "no page " in call("explain", "--corpus", built, *wanted).complaint


def test_the_raw_record_is_the_warc_s(built: Path, warcs: list[Path]) -> None:
    for row in rows(built, "pages")[::40]:
        where = unpack_doc_id(row["doc_id"])
        content = warcs[where.file_no].read_bytes()[where.offset : where.offset + row["record_length"]]
        ran = call("explain", "--corpus", built, "--doc-id", str(row["doc_id"]), "--raw")
        assert ran.status == 0
        assert ran.out == gzip.decompress(content)


@pytest.mark.parametrize("task", ["wiki", "edu"])
def test_train_and_evaluate(tmp_path: Path, task: str) -> None:
    examples = pq.read_table(DEMO_TEXTS / f"{task}.parquet")
    few, model = tmp_path / "few.parquet", tmp_path / "model.bin"
    pq.write_table(pa.concat_tables([examples.slice(0, 200), examples.slice(examples.num_rows - 200)]), few)
    few_epochs = ("--set", "training.epochs=3")
    trained = call("train", "--task", task, "--input", few, "--model", model, *few_epochs, "--json").json
    assert trained
    assert model.stat().st_size > 0
    assert list(tmp_path.glob("model.bin.card*"))
    measured = call("evaluate", "--task", task, "--model", model, "--input", few, "--json").json
    assert 0 <= measured["accuracy"] <= 1
    again = ("train", "--task", task, "--input", few, "--model", model, *few_epochs)
    assert f"--model {model}: exists already" in call(*again).complaint
    shown = call(*again, "--replace").out.decode()
    assert "np.float" not in shown
    assert "Calibration: expected error" in shown
    assert f"Model card: {model}.card.json and {model}.card.md" in " ".join(shown.split())
    told = call("evaluate", "--task", task, "--model", model, "--input", few).out.decode()
    for part in (f"(Acc) {measured['accuracy']:.4f}", "Predicted class", "Calibration: expected error"):
        assert part in " ".join(told.split())
    if task == "edu":
        assert measured.keys() >= {"accuracy_4", "rmse", "mae", "accuracy_2"}
        assert all(name in told for name in ("(4-Acc)", "(RMSE)", "(MAE)", "(2-Acc)"))
