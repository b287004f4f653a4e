from pathlib import Path

import pyarrow as pa
import pytest

from swallow_spark.errors import ConfigError
from swallow_spark.kernels import ngwords


def naive_matched_chars(expressions: list[str], text: str) -> int:
    at = matched = 0
    while at < len(text):
        longest = max((len(e) for e in expressions if text.startswith(e, at)), default=0)
        matched += longest
        at += longest or 1
    return matched


EXPRESSIONS = ["猫", "猫である", "ある。", "𠮷野", "ｶﾞ", "aa", "あ"]
TEXTS = ["", "吾輩は猫である。", "猫であった。", "aaaaa", "𠮷野家😀𠮷野", "ｶﾞｶﾞｶ", "犬", "あ" * 1000]


def test_matches_are_the_longest_from_left_to_right() -> None:
    matcher = ngwords.Matcher(EXPRESSIONS)
    expected = [naive_matched_chars(EXPRESSIONS, text) for text in TEXTS]
    assert expected[1] == 4  # not 猫 and ある。
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["猫", *TEXTS, None], kind).slice(1)
        assert matcher.matched_chars(array).tolist() == [*expected, 0]


def test_a_match_does_not_reach_into_the_next_text() -> None:
    assert ngwords.Matcher(["ab"]).matched_chars(pa.array(["a", "b", "ab"])).tolist() == [0, 0, 2]


def test_load_reads_lines_without_comments(tmp_path: Path) -> None:
    path = tmp_path / "ng.txt"
    path.write_text("\ufeff# a comment\n猫\r\n\n  猫である \n\u3000\n#猫\n猫\n", encoding="utf-8")
    matcher = ngwords.load(path)
    assert matcher.expressions == ("猫", "猫である")
    assert matcher.fingerprint == ngwords.Matcher(["猫である", "猫"]).fingerprint
    assert matcher.fingerprint != ngwords.Matcher(["猫"]).fingerprint


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe"])
def test_load_refuses_a_file_without_expressions(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ng.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ng\.txt"):
        ngwords.load(path)
    with pytest.raises(ConfigError, match="none"):
        ngwords.load(tmp_path / "none")


def test_an_empty_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="everywhere"):
        ngwords.Matcher(["a", ""])
