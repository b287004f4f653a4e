"""The command `capacity`: no corpus, no session."""

import json

import pytest

from swallow_spark.cli import main


def called(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["capacity", *arguments])
    return int(ended.value.code or 0)


def test_the_curve_and_the_bytes_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("--pages", "8300000000", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pages"] == 8_300_000_000
    assert found["probability"]["0.9"] == pytest.approx(0.9944, abs=1e-4)
    assert found["probability"]["0.8"] == pytest.approx(0.3711, abs=1e-4)
    assert found["bytes"]["lookups"] == 8 * 8_300_000_000
    assert set(found["memory_per_core"]) == {"python_worker", "jvm_heap"}


def test_the_setting_is_that_of_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    setting = ["--set", "sketch.bands=20", "--set", "sketch.rows_per_band=10", "--set", "execution.bands_per_pass=5"]
    assert called("--pages", "1000", "--json", *setting) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["bands"], found["rows_per_band"], found["bands_per_pass"]) == (20, 10, 5)
    assert found["probability"]["0.8"] == pytest.approx(1 - (1 - 0.8**10) ** 20)


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("--pages", "1000000", "--chars", "2000") == 0
    shown = capsys.readouterr().out
    assert "0.3711" in shown
    assert "1,000,000 pages of 2,000 characters" in shown


def test_wrong_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert called() == 2
    assert called("--pages", "0") == 2
    assert called("--pages", "10", "--config", "no-such-configuration") == 2
    assert capsys.readouterr().out == ""
