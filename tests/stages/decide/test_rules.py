"""`rules try`: features and verdict of one text without a JVM."""

import json
from pathlib import Path

import pytest

from swallow_spark import cli
from swallow_spark.config.decide import Bound
from swallow_spark.config.load import load
from swallow_spark.kernels import features
from swallow_spark.stages.decide.rules import try_rules

GOOD = "".join(f"吾輩は猫である、名前はまだ無いのだが{n}番目の文はこうして続いてゆく。\n" for n in range(12))


def test_a_text_and_its_reasons(tmp_path: Path) -> None:
    short = try_rules(load("swallow-v2"), "これは短い文です。")
    assert not short["accepted"]
    assert short["reasons"][:2] == ["num_japanese_letters:low", "avg_sentence_length:low"]
    assert list(short["features"]) == features.SCHEMA.names
    assert short["features"]["ng_fraction"] is None
    (tmp_path / "ng.txt").write_text("猫\n")
    config = load("swallow-v2", [f"features.ng_words={tmp_path}/ng.txt", "rules.bounds.ng_fraction.below=0.01"])
    assert "ng_fraction:high" in try_rules(config, GOOD)["reasons"]


def test_hosts_and_urls_count_where_a_url_is_given() -> None:
    config = load("swallow-v2", ["rules.bounds={}", 'rules.url_prefixes=["ok.example/bad"]'])
    assert try_rules(config, "")["reasons"] == []
    assert try_rules(config, "", "https://ja.wikipedia.org/wiki/x")["reasons"] == ["host:blocked"]
    assert try_rules(config, "", "https://ok.example/bad?x")["reasons"] == ["url:blocked"]
    assert try_rules(config, "", "https://ok.example/")["accepted"]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--json"], []):
        with pytest.raises(SystemExit) as ended:
            cli.main(["rules", "try", "短い。", "--config", "swallow-v1", *arguments])
        assert not ended.value.code
    as_json, _, for_people = capsys.readouterr().out.partition("\n")
    assert json.loads(as_json)["preset"] == "swallow-v1"
    assert "num_letters:low" in for_people
    with pytest.raises(SystemExit) as ended:
        cli.main(["rules", "try", "短い。", "--config", "none"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.9, []), (1.0, []), (3.0, []), (0.5, ["f:low"]), (3.5, ["f:high"]), (None, [])],
)
def test_bounds_are_strict(value: float | None, expected: list[str]) -> None:
    assert Bound(min=0.9, max=3.0, source="s").reasons("f", value) == expected


def test_below_is_not_strict() -> None:
    assert [bool(Bound(below=0.5, source="s").reasons("f", value)) for value in (0.49, 0.5)] == [False, True]
