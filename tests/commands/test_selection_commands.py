"""Thresholds taken to another corpus, exports and mixtures, by the command line."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import quicktok
from commands import call
from corpora import rows, snapshot
from pyspark.sql import SparkSession

from swallow_spark.corpus.corpus import Corpus
from swallow_spark.kernels.order.sampling import is_sampled
from swallow_spark.kernels.text import cleanup, personal


def test_the_bar_of_another_month(built: Path, copy: Path, tmp_path: Path) -> None:
    before = {band: rows(built, f"subsets/wiki-{band}") for band in ("top10", "top10-30")}
    thresholds = json.loads((built / "subsets" / "thresholds.json").read_text())
    scores = [row["score"] for row in rows(built, "scores/classifier=wiki")]
    bar, lower = sorted(scores)[-20], sorted(scores)[-40]
    thresholds["wiki"]["top10"]["score"] = bar
    thresholds["wiki"]["top10-30"]["score"] = lower
    (tmp_path / "month.json").write_text(json.dumps(thresholds))
    ran = call("select", "--corpus", copy, "--thresholds", tmp_path / "month.json", "--json")
    told = ran.json
    found = rows(copy, "subsets/wiki-top10")
    assert {row["doc_id"] for row in found} == {
        row["doc_id"] for row in rows(built, "scores/classifier=wiki") if row["score"] >= bar
    }
    assert all(lower <= row["score_wiki"] < bar for row in rows(copy, "subsets/wiki-top10-30"))
    assert len(found) != len(before["top10"])
    expected = {"score": bar, "documents": len(found), "of": len(scores)}
    assert told["bands"]["wiki"]["top10"] == expected
    assert told["thresholds"]["wiki"] == {"top10": bar, "top10-30": lower}
    assert "By given thresholds" in ran.err
    assert f"{len(found) / len(scores):.2%}" in ran.err
    # The thresholds stay those of the corpus until a configuration says otherwise; its own give the same again.
    again = call("select", "--corpus", copy, "--json").json
    assert again["thresholds"] == told["thresholds"]
    own = call("select", "--corpus", copy, "--thresholds", copy / "subsets" / "thresholds.json", "--json").json
    assert own["subsets"] == told["subsets"]
    back = call("select", "--corpus", copy, "--set", "selection.thresholds={}", "--json").json
    assert {band: rows(copy, f"subsets/wiki-{band}") for band in before} == before
    assert back["thresholds"]["wiki"]["top10"] != bar


def test_export_and_mixture(copy: Path, tmp_path: Path) -> None:
    ran = call(
        *("export", "--corpus", copy, "--subset", "wiki-top10", "--subset", "edu-top10-30", "--format", "jsonl.zst"),
        *("--output", tmp_path / "out", "--shard-size", "1M", "--json"),
    )
    told = ran.json["export"]["subsets"]
    assert {name: of["documents"] for name, of in told.items()} == {
        name: len(rows(copy, f"subsets/{name}")) for name in ("wiki-top10", "edu-top10-30")
    }
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["tokenizer"] is None
    card = (tmp_path / "out" / "README.md").read_text()  # what the Hugging Face Hub reads
    for name, of in told.items():
        assert f'- config_name: "{name}"\n  data_files: "{name}/*.jsonl.zst"\n' in card
        assert f"| {name} | {of['documents']:,} | {of['characters']:,} |" in card
    texts = [row["text"] for row in rows(copy, "subsets/wiki-top10")]
    tokens = sum(quicktok.get_encoding("llama3").count(text) for text in texts)
    target = tokens * 5 // 2
    planned = call(
        *("plan-mixture", "--corpus", copy, "--target-tokens", str(target * 2), "--subset", "wiki-top10", "--json"),
        *("--external", f"w:{target}=50%", "--set", "tokens.encoding=llama3", "--output", tmp_path / "mixture"),
    ).json
    ours, theirs = planned["sources"]
    assert (ours["tokens"], theirs["epochs"]) == (tokens, 1.0)
    assert abs(ours["epochs"] - 2.5) < 0.01
    manifest = json.loads((tmp_path / "mixture" / "manifest.json").read_text())
    assert manifest["mixture"]["read"] == {"wiki-top10": 2, "wiki-top10-part": 1}
    found = {
        name: {
            doc_id
            for shard in of["shards"]
            for doc_id in pq.read_table(tmp_path / "mixture" / shard["file"]).column("doc_id").to_pylist()
        }
        for name, of in manifest["subsets"].items()
    }
    assert found["wiki-top10"] == {row["doc_id"] for row in rows(copy, "subsets/wiki-top10")}
    sample = manifest["subsets"]["wiki-top10-part"]["sample"]
    doc_ids = np.array(sorted(found["wiki-top10"]))
    part = is_sampled(doc_ids, 1, Fraction(sample["share"]))
    assert (found["wiki-top10-part"], sample["seed"]) == ({*doc_ids[part].tolist()}, 1)
    assert abs(Fraction(sample["share"]) - Fraction(1, 2)) < Fraction(1, 100)
    assert manifest["subsets"]["wiki-top10"]["tokens"] == tokens


def test_built_in_subsets_need_no_select(
    spark: SparkSession, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and texts are those that `select` would write: without removed pages, cleaned up and masked."""
    monkeypatch.setattr("swallow_spark.stages.export.step._LEAST_SHARD", 1 << 10)
    pages = {row["doc_id"]: row for row in rows(copy, "pages")}
    accepted = {row["doc_id"] for row in rows(copy, "verdicts/preset=swallow-v2") if row["accepted"]}
    gone = min(accepted)
    (tmp_path / "urls").write_text(f"{pages[gone]['url']}\n")
    assert call("remove", "--corpus", copy, "--urls", tmp_path / "urls").status == 0
    removed = {row["doc_id"] for row in rows(copy, "removed")}
    assert gone in removed
    assert call("discard", "--corpus", copy, "--stage", "decide").status == 0
    command = [
        *("export", "--corpus", copy, "--subset", "survivors", "--subset", "accepted", "--shard-size", "100K"),
        *("--set", "cleanup.mask=['mail']", "--set", "tokens.encoding=llama3", "--set", "subsets=[]"),
        *("--output", tmp_path / "out", "--json"),
    ]
    ran = call(*command)
    told = ran.json["export"]["subsets"]
    assert "Text out" not in ran.err
    assert json.loads(max((copy / "runs").iterdir()).read_text())["config"]["subsets"], "not those of an export"
    expected = {"survivors": {row["doc_id"] for row in rows(copy, "groups")}, "accepted": accepted}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["columns"] == ["doc_id", "url", "title", "text", "date", "num_chars", "num_tokens"]
    count = quicktok.get_encoding("llama3").count
    for name, doc_ids in expected.items():
        files = [shard["file"] for shard in manifest["subsets"][name]["shards"]]
        assert len(files) > 1
        found = [row for file in files for row in pq.read_table(tmp_path / "out" / file).to_pylist()]
        assert [row["doc_id"] for row in found] == sorted(doc_ids - removed)
        cleaned = cleanup.clean(pa.array([pages[row["doc_id"]]["text"] for row in found]), "careful").texts
        masked = personal.mask(cleaned, ("mail",))
        assert masked.counts.sum() > 0
        assert [row["text"] for row in found] == masked.texts.to_pylist()
        for row in found:
            assert all(row[key] == pages[row["doc_id"]][key] for key in ("url", "title", "date"))
            assert (row["num_chars"], row["num_tokens"]) == (len(row["text"]), count(row["text"]))
        assert told[name]["documents"] == len(found)
        assert told[name]["characters"] == sum(row["num_chars"] for row in found)
        assert told[name]["tokens"] == sum(row["num_tokens"] for row in found)
    before = snapshot(tmp_path / "out")
    assert call(*command).json["export"]["subsets"] == told
    assert snapshot(tmp_path / "out") == before
    assert "holds another export" in call(*command, "--set", "cleanup.mode=off").complaint
    assert not Corpus.open(str(copy)).root.directories("lookups")


def test_built_in_subsets_beside_configured_ones(copy: Path, tmp_path: Path) -> None:
    told = call(
        *("export", "--corpus", copy, "--subset", "accepted", "--subset", "wiki-top10", "--format", "jsonl.zst"),
        *("--output", tmp_path / "out", "--json"),
    ).json["export"]["subsets"]
    assert told["accepted"]["documents"] == sum(row["accepted"] for row in rows(copy, "verdicts/preset=swallow-v2"))
    lines = {}
    for name in ("accepted", "wiki-top10"):
        (shard,) = (tmp_path / "out" / name).iterdir()
        with pa.input_stream(shard) as stream:
            lines[name] = [json.loads(line) for line in stream.read().splitlines()]
    of_all = {row["doc_id"]: row for row in lines["accepted"]}
    for row in lines["wiki-top10"]:
        scores = {"score_wiki", "score_edu"}
        assert row.keys() - of_all[row["doc_id"]].keys() == scores
        assert {key: value for key, value in row.items() if key not in scores} == of_all[row["doc_id"]]


def test_a_plan_needs_no_corpus_where_tokens_are_told() -> None:
    ran = call("plan-mixture", "--target-tokens", "709.22B", "--subset", "top10:93.10B", "--proxy-tokens", "48.31B")
    assert ran.status == 0
    assert "7.62" in ran.err
    assert "6.34 B" in ran.err
    assert "Warning: top10: 7.62 epochs" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan-mixture", "--target-tokens", "1B"], "give --subset or --external"),
        (["plan-mixture", "--target-tokens", "x", "--subset", "a:1B"], "'x' is no number of tokens"),
        (
            ["plan-mixture", "--target-tokens", "1B", "--subset", "a"],
            "as a:93.1B; otherwise it needs --corpus",
        ),
        (["plan-mixture", "--target-tokens", "1B", "--subset", "a:1B", "--output", "o"], "--output: needs --corpus"),
        (
            ["plan-mixture", "--target-tokens", "1B", "--subset", "a:1B", "--proxy-tokens", "2B"],
            "must not be more",
        ),
        (
            ["export", "--corpus", "c", "--subset", "a", "--output", "o", "--format", "csv"],
            "--format csv: it is one of",
        ),
        (
            ["export", "--corpus", "c", "--subset", "a", "--subset", "a", "--output", "o"],
            "subset is given twice",
        ),
        *(
            (["export", "--corpus", "c", "--subset", "a", "--output", "o", "--shard-size", size], "--shard-size")
            for size in ("1", "100K", "2G", "x", "1T")
        ),
        (["export", "--corpus", "c", "--subset", "a", "--output", "o"], "no corpus there"),
        (["select", "--corpus", "c", "--thresholds", "nothing.json"], "nothing.json: can't be read"),
    ],
)
def test_refused(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in call(*arguments).complaint


def test_what_is_not_there(built: Path, tmp_path: Path) -> None:
    def export(*arguments: str) -> str:
        return call("export", "--corpus", built, "--output", tmp_path / "o", *arguments).complaint

    assert "--subset best: no such subset is configured (there is: wiki-top10," in export("--subset", "best")
    assert (
        "give them, as accepted:93.1B"
        in call(*("plan-mixture", "--corpus", built, "--target-tokens", "1B", "--subset", "accepted")).complaint
    )
    stale = export("--subset", "wiki-top10", "--set", "cleanup.mode=off")
    assert "first `swallow-spark select`" in stale
    (tmp_path / "t.json").write_text("[]")
    complaint = call("select", "--corpus", built, "--thresholds", tmp_path / "t.json").complaint
    assert "no thresholds.json of swallow-spark" in complaint
