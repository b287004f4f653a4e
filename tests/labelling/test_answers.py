import json
from pathlib import Path

import pytest

from swallow_spark.errors import ConfigError, UsageError
from swallow_spark.labelling.answers import Answer, AnswerLog, parse_score
from swallow_spark.labelling.prompt import read_prompt


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Educational score: 2", 2),
        ("基準1: 満たす。\n基準2: 満たさない。\n\nEducational score: 0\n\n", 0),
        ("  Educational score:3  ", 3),
        ("Educational score: 1\n理由…\nEducational score: 1", 1),
        ("Educational score: 1\n理由…\nEducational score: 2", None),
        ("Educational score: 1\n以上です。", None),
        ("Educational score: 4", None),
        ("Educational score: 12", None),
        ("Educational score: -1", None),
        ("Educational score: ２", None),
        ("**Educational score: 2**", None),
        ("合計は Educational score: 2", None),
        ("2", None),
        ("", None),
        ('{"Reasons": "…", "Educational score": 3}', 3),
        ('{"Reasons": "…", "Educational score": 4}', None),
        ('{"Reasons": "…", "Educational score": "3"}', None),
        ('{"Reasons": "…", "Educational score": true}', None),
        ('{"Educational score": 3', None),
        ("{" * 100_000, None),
        ('{"a":' * 100_000, None),
    ],
)
def test_a_score_is_read_from_the_form_asked_for_and_from_nothing_else(answer: str, score: int | None) -> None:
    assert parse_score(answer) == score


def answer(key: str) -> Answer:
    return Answer(key, "scored", 2, f"理由 \ud800 {key}\nEducational score: 2", 10, 5)


def test_a_log_keeps_answers_and_drops_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with AnswerLog(path) as log:
        for key in "abc":
            log.add(answer(key))
        assert log["b"].answer.endswith("b\nEducational score: 2")
        with pytest.raises(UsageError, match="another run"), AnswerLog(path):
            pass
    whole = path.read_bytes()
    path.write_bytes(whole + json.dumps({"key": "d"}).encode())
    for torn in (whole + whole[:40], whole + b"\0" * 50, whole + b'{"key": "d"}\n'):
        path.write_bytes(torn)
        with AnswerLog(path) as log:
            assert [key in log for key in "abcd"] == [True, True, True, False]
            log.add(answer("d"))
        with AnswerLog(path) as log:
            assert log["d"].key == "d"
            assert log["a"].score == 2


def test_a_damaged_line_takes_no_answer_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with AnswerLog(path) as log:
        for key in "abc":
            log.add(answer(key))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\0" * 30 + b"\n" + lines[1][:40] + b"\n" + lines[2])
    with AnswerLog(path) as log:
        assert [key in log for key in "abc"] == [True, False, True]
        assert log["c"].key == "c"
        log.add(answer("b"))
        assert log["b"].key == "b"


def test_a_prompt_is_named_by_its_content(tmp_path: Path) -> None:
    packaged = read_prompt(None)
    assert packaged.version.startswith("edu-1-")
    assert packaged.about("本文").count("本文") == 1
    assert packaged.template.rstrip().endswith("Educational score: N")
    own = tmp_path / "own.txt"
    own.write_text("採点: {text}")
    first = read_prompt(own)
    own.write_text("採点して: {text}")
    assert first.version != read_prompt(own).version
    assert first.about("a{text}b") == "採点: a{text}b"
    own.write_text("採点して")
    with pytest.raises(ConfigError, match=r"must contain \{text\} once"):
        read_prompt(own)
