"""Tables for people lose nothing, however narrow the terminal."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from swallow_spark.commands.tables import print_table, show_comparison, show_text_out, show_trial, show_values
from swallow_spark.config.load import load
from swallow_spark.corpus.corpus import Corpus
from swallow_spark.stages.decide.rules import try_rules

NAME = "duplicate_paragraph_fraction_in_character_of_a_very_long_name"
ROWS = [(NAME, 1_234_567_890, 0.123456789, "12.5%"), ("短い\x1b[31m名前", 5, None, "")]


def printed(width: int) -> str:
    shown = io.StringIO()
    print_table(Console(file=shown, width=width), ("[b]feature", "documents", "value", "share"), ROWS, "A [title]")
    return shown.getvalue()


def columns(text: str, width: int) -> str:
    """The first column's cells of the rows, put together again."""
    return "".join(line[:width].strip() for line in text.splitlines()[4:])


@pytest.mark.parametrize("width", [50, 80, 140])
def test_text_is_folded_and_numbers_stay_whole(width: int) -> None:
    text = printed(width)
    assert "…" not in text
    assert max(map(cell_len, text.splitlines())) <= width
    for cell in ("1,234,567,890", "0.123457", "12.5%", "A [title]"):
        assert cell in text
    assert "[b]feature" in "".join(text.split())
    letters = text.replace(" ", "").replace("\n", "")
    assert "\x1b" not in letters
    assert "\\x1b[31m" in letters
    assert NAME in columns(text, text.index("1,234,567,890") - text.rindex("\n", 0, text.index("1,234,567,890")) - 1)


def test_numbers_are_aligned_to_the_right() -> None:
    lines = printed(140).splitlines()
    ends = [
        cell_len(line[: line.index(number) + len(number)])
        for number in ("documents", "1,234,567,890", " 5")
        for line in lines
        if number in line
    ]
    assert len(ends) == 3
    assert len(set(ends)) == 1


def test_numbers_are_never_cut() -> None:
    """Even where the terminal has not the room: its own wrapping is better than another number."""
    assert "1,234,567,890" in printed(20)


def test_what_pages_hold_does_no_harm() -> None:
    page = {"value": 0.5, "doc_id": 4_503_599_627_370_497, "url": "https://a/\x1b[2J[/red]", "text": "a\nb\x07" * 50}
    bounds = [{"rejected_if": "x > 1", "below": page, "above": None}]
    counts = {"a": 1, "b": 1, "both": 1, "only a": 0, "only b": 0, "neither": 0}
    shown = io.StringIO()
    compared = {"pages": 1, "accepted": counts, "reasons": [], "overlap": [], "bounds": bounds}
    show_comparison(Console(file=shown, width=80), compared)
    last = shown.getvalue().splitlines()[-1]
    assert last.startswith("    0.5  4503599627370497  https://a/\\x1b[2J[/red]  a b\\x07a b")


@pytest.mark.parametrize(
    ("summary", "subset"),
    [
        ({"survivors": 5}, "survivors"),
        ({"survivors": 5, "accepted": 3}, "accepted"),
        ({"pages": 5}, None),
        ({"accepted": 3, "subsets": {"a": {}}}, None),
    ],
)
def test_where_there_are_no_subsets_the_command_that_gives_text(
    summary: dict[str, Any], subset: str | None, tmp_path: Path
) -> None:
    shown = io.StringIO()
    corpus = Corpus.open_or_create(str(tmp_path / "my corpus"))
    show_text_out(Console(file=shown, width=40), summary, corpus)
    command = f"swallow-spark export --corpus '{tmp_path}/my corpus' --subset {subset} --output OUT"
    assert shown.getvalue() == (f"Text out  {command}\n" if subset else "")


def test_a_trial_of_the_rules_fits_into_80_columns() -> None:
    config = load("swallow-v2")
    trial = try_rules(config, "あいうえおかきくけこ。\n" * 30)
    shown = io.StringIO()
    show_trial(Console(file=shown, width=80), trial, config.rules.bounds)
    lines = shown.getvalue().splitlines()
    for feature, bound in config.rules.bounds.items():
        (line,) = (line for line in lines if line.split()[:1] == [feature])
        limits = [f"{key} {value:g}" for key, value in bound if key != "source" and value is not None]
        assert all(limit in line for limit in limits)
        ends = [reason.partition(":")[2] for reason in trial["reasons"] if reason.startswith(f"{feature}:")]
        assert not ends or line.split()[-1] == ends[0]
    assert "…" not in shown.getvalue()


def test_values_of_a_page_are_shown_as_they_are() -> None:
    shown = io.StringIO()
    values = {"title": "猫\u3000犬", "robots": None, "verdict": {"accepted": False, "reasons": ["a:low", "b:high"]}}
    show_values(Console(file=shown, width=20), values)
    assert shown.getvalue().splitlines() == [
        "title: 猫\u3000犬",
        "robots: null",
        "verdict:",
        "  accepted: no",
        "  reasons: a:low, b:high",
    ]
