"""Lines of what takes long."""

import time

import pytest

from swallow_spark.session import waiting as module
from swallow_spark.session.waiting import waiting


def test_what_takes_long_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LINES", 0.01)
    lines: list[str] = []
    until = time.monotonic() + 30
    with waiting(lines.append, "training"):
        while len(lines) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert lines[:2] == ["training: 0 s so far"] * 2
    said = len(lines)
    time.sleep(0.05)
    assert len(lines) == said


def test_what_is_short_says_nothing_and_errors_pass() -> None:
    lines: list[str] = []
    with pytest.raises(ValueError, match="wrong"), waiting(lines.append, "training"):
        raise ValueError("wrong")
    assert lines == []
