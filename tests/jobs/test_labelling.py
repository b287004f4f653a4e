"""`sample` and `label` as users call them: with a corpus, and with a file."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import call
from llm_server import Answer, completion, serving


def answer(body: dict[str, Any], number: int) -> Answer:
    return completion(f"Educational score: {number % 4}")


def test_a_sample_is_labelled_once(built: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.parquet"
    with serving(answer) as server:
        arguments = ["label", "--corpus", built, "--endpoint", server.url, "--output", output]
        first = call(*arguments, "--sample", "4", "--json").json
        assert (first["texts"], first["labelled"], first["requests"]) == (4, 4, 4)
        assert call(*arguments, "--sample", "4", "--json").json["requests"] == 0
        more = call(*arguments, "--sample", "6", "--set", "label.max_requests=1", "--json").json
        assert (more["requests"], more["remaining"], more["stopped"]) == (1, 1, "max_requests")
        shown = call(*arguments, "--sample", "6")
        assert shown.status == 0
        assert "of the scored" in shown.err
        assert ">6</b>" in (tmp_path / "labels.parquet.html").read_text()
        assert len(server.asked) == 6

        rows = pq.read_table(output).to_pylist()
        (tmp_path / "chosen.jsonl").write_text(
            "".join(json.dumps({"doc_id": row["doc_id"]}) + "\n" for row in rows[:2])
        )
        arguments[-1] = tmp_path / "chosen-labels.jsonl"
        chosen = call(*arguments, "--from", tmp_path / "chosen.jsonl", "--json").json
        assert chosen["labelled"] == 2
        labelled = [json.loads(line) for line in (tmp_path / "chosen-labels.jsonl").read_text().splitlines()]
        assert [row["text"] for row in labelled] == [row["text"] for row in rows[:2]]
        # Texts of a file need no corpus.
        texts = call("label", "--endpoint", server.url, "--from", output, "--output", tmp_path / "t.jsonl", "--json")
        assert texts.json["labelled"] == 6


def test_a_sample_as_training_text(built: Path, tmp_path: Path) -> None:
    output = tmp_path / "negatives.parquet"
    options = ["--sample", "7", "--of", "survivors", "--label", "negative", "--output", output]
    assert call("sample", "--corpus", built, *options, "--json").json == {"pages": 7, "output": str(output)}
    assert pq.read_table(output)["label"].to_pylist() == ["negative"] * 7
    before = output.read_bytes()
    other = ["sample", "--corpus", built, *options, "--seed", "1"]
    assert f"{output}: exists already, and isn't this sample" in call(*other).complaint
    assert output.read_bytes() == before
    assert call(*other, "--replace").status == 0
    assert output.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sample", "3"], "--sample needs --corpus"),
        ([], "either --sample N or --from FILE"),
        (["--from", "absent.jsonl"], "absent.jsonl"),
        (["--from", "texts.csv"], "not a .parquet, .jsonl"),
        (["--from", "ids.jsonl"], "give --corpus DIR too"),
        (["--from", "mixed.jsonl"], "some rows have a text"),
        (["--from", "texts.jsonl", "--output", "labels.csv"], "must end in .parquet or .jsonl"),
        (["--from", "texts.jsonl", "--output", "mixed.jsonl"], "exists already, and not from this command"),
        (["--from", "texts.jsonl", "--output", "no/labels.jsonl"], "the directory must exist"),
        (["--from", "texts.jsonl", "--set", "label.constraint=magic"], "label.constraint"),
        (["--from", "texts.jsonl", "--endpoint", "http://127.0.0.1:9/v1"], "--endpoint http://127.0.0.1:9/v1"),
    ],
)
def test_wrong_calls_are_told_before_any_work(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts.jsonl").write_text('{"text": "本文"}\n')
    Path("ids.jsonl").write_text('{"doc_id": 1}\n')
    Path("mixed.jsonl").write_text('{"doc_id": 1}\n{"text": "本文"}\n')
    Path("texts.csv").write_text("text\n")
    given = ["label", "--endpoint", "http://127.0.0.1:9/v1", "--output", "labels.jsonl", *arguments]
    ended = call(*given)
    assert message in ended.complaint
    assert not list(tmp_path.glob("labels*"))


def test_the_name_of_a_model_is_no_markup(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "本文"}\n')
    with serving(answer) as server:
        arguments = ["--from", tmp_path / "texts.jsonl", "--output", tmp_path / "labels.jsonl"]
        shown = call("label", "--endpoint", server.url, *arguments, "--model", "/models/[x]/edu[/x]")
    assert shown.status == 0
    assert "/models/[x]/edu[/x]" in "".join(shown.err.split())
    assert "/models/[x]/edu[/x]" in (tmp_path / "labels.jsonl.html").read_text()


def test_a_server_that_dies_is_a_failed_run(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "本文"}\n')
    with serving(lambda *_: None) as server:
        arguments = ["--from", tmp_path / "texts.jsonl", "--output", tmp_path / "labels.jsonl"]
        ended = call("label", "--endpoint", server.url, *arguments, "--set", "label.attempts=1")
    assert ended.status == 1
    assert "no answer to any text" in ended.err
    assert "No text has an answer yet." in (tmp_path / "labels.jsonl.html").read_text()
