"""The command `capacity`: no corpus, no session."""

import json

import pytest

from swallow_spark.cli import main
from swallow_spark.kernels.order.numbers import whole


def called(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["capacity", *arguments])
    return int(ended.value.code or 0)


def test_the_curve_and_the_bytes_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("8.3B", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pages"] == 8_300_000_000
    assert found["probability"]["0.9"] == pytest.approx(0.9944, abs=1e-4)
    assert found["probability"]["0.8"] == pytest.approx(0.3711, abs=1e-4)
    assert found["bytes"]["lookups"] == 8 * 8_300_000_000
    assert set(found["memory_per_core"]) == {"python_worker", "jvm_heap"}


def test_the_setting_is_that_of_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    setting = ["--set", "sketch.bands=20", "--set", "sketch.rows_per_band=10", "--set", "execution.bands_per_pass=5"]
    assert called("1_000", "--json", *setting) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["bands"], found["rows_per_band"], found["bands_per_pass"]) == (20, 10, 5)
    assert found["probability"]["0.8"] == pytest.approx(1 - (1 - 0.8**10) ** 20)


def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("1M", "--chars", "2000") == 0
    shown = capsys.readouterr().out
    assert "0.3711" in shown
    assert "1,000,000 pages of 2,000 characters" in shown


def test_wrong_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert called() == 2
    assert called("0") == 2
    assert called("10", "--config", "no-such-configuration") == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [("8.3B", 8_300_000_000), ("254.7G", 254_700_000_000), ("1.9e9", 1_900_000_000), ("45M", 45_000_000), ("2k", 2000)],
)
def test_numbers_as_people_write_them(text: str, number: int) -> None:
    assert whole(text) == number
    assert whole(text.lower()) == number


@pytest.mark.parametrize("text", ["", "B", "8.3X", "-5", "1e-3", "0.4", "many", "1e999", "1.5.2M"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as 8\.3B"):
        whole(text)
