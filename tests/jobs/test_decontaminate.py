"""Pages that hold questions of benchmarks are rejected, and what is redone for that."""

import json
from pathlib import Path

from commands import call
from corpora import ids, rows
from pyspark.sql import SparkSession


def test_pages_with_a_question_are_rejected(spark: SparkSession, copy: Path, tmp_path: Path) -> None:
    verdicts = {row["doc_id"]: row for row in rows(copy, "verdicts/preset=swallow-v2")}
    texts = {row["doc_id"]: row["text"] for row in rows(copy, "pages")}
    accepted = sorted(doc_id for doc_id, row in verdicts.items() if row["accepted"])
    whole, part = accepted[0], accepted[-1]
    # One stands in its page in other dress, of the other only the first half does.
    dressed = texts[whole][100:200].replace("、", "， ").replace("\n", "").replace("ー", " ー")
    questions = [{"text": dressed}, {"question": texts[part][100:160] + "".join(map(chr, range(0x5000, 0x5050)))}]
    against = tmp_path / "benchmark.jsonl"
    against.write_text("\n".join(json.dumps(question) for question in questions) + '\n{"text": "短い"}\n')

    before = ids(copy, "ingest", "measure", "deduplicate", "decide")
    summary = call("decontaminate", "--corpus", copy, "--against", against, "--json").json
    found = {row["doc_id"]: row for row in rows(copy, "contamination")}
    assert found[whole] == {"doc_id": whole, "fraction": 1.0, "question": 0}
    assert 0 < found[part]["fraction"] < 0.7
    assert set(found) <= set(verdicts)
    after = {row["doc_id"]: row for row in rows(copy, "verdicts/preset=swallow-v2")}
    contaminated = {doc_id for doc_id, row in found.items() if row["fraction"] >= 0.7}
    assert {doc_id for doc_id, row in after.items() if "contaminated" in row["reasons"]} == contaminated
    for doc_id, row in after.items():
        assert row["reasons"] == verdicts[doc_id]["reasons"] + ["contaminated"] * (doc_id in contaminated)
    assert summary["rejected"]["contaminated"] == len(contaminated)

    now = ids(copy, "ingest", "measure", "deduplicate", "decide", "decontaminate")
    assert {name for name in before if before[name] != now[name]} == {"decide/preset=swallow-v2/crawl=c"}
    assert call("decontaminate", "--corpus", copy).status == 0  # as in the last run
    assert ids(copy, "ingest", "measure", "deduplicate", "decide", "decontaminate") == now
    # Another bound reads no text.
    lower = ["--set", f"decontamination.rejected_from={found[part]['fraction'] / 2}"]
    assert call("decide", "--corpus", copy, *lower).status == 0
    again = ids(copy, "decontaminate", "decide")
    assert {name for name in again if again[name] != now[name]} == {"decide/preset=swallow-v2/crawl=c"}
    reasons = {row["doc_id"]: row["reasons"] for row in rows(copy, "verdicts/preset=swallow-v2")}
    assert reasons[part] == ["contaminated"]
    assert call("decide", "--corpus", copy, "--config", "demo").status == 0
    assert {row["doc_id"]: row for row in rows(copy, "verdicts/preset=swallow-v2")} == verdicts


def test_wrong_usage(built: Path, tmp_path: Path) -> None:
    assert "--against" in call("decontaminate", "--corpus", built).complaint
    (tmp_path / "x.jsonl").write_text("no JSON")
    assert "line 1" in call("decontaminate", "--corpus", built, "--against", tmp_path / "x.jsonl").complaint
