"""Lists that a configuration names: files and URLs, by content."""

from pathlib import Path

import pytest

from swallow_spark.config import lists
from swallow_spark.config import load as config
from swallow_spark.config.section import Listing
from swallow_spark.errors import ConfigError

URL = "https://example.org/lists/ng.txt"


def test_a_list_is_a_file_or_a_url_and_counts_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "ng.txt").write_bytes("猫\n".encode())
    conf = tmp_path / "own.toml"
    conf.write_text('extends = "swallow-v2"\n[features]\nng_words = "ng.txt"\n')
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return "猫\n".encode()

    from_file = config.load(conf)
    from_url = config.load(conf, [f"features.ng_words={URL}"], fetch)
    assert fetched == [URL]  # once
    assert from_file.features.meaning() == from_url.features.meaning()
    changed = config.load(conf, [f"features.ng_words={URL}"], lambda _: "犬\n".encode())
    assert changed.features.meaning() != from_url.features.meaning()
    # What a run writes down is where the list was: the next run reads it again.
    again = config.load(from_url.model_dump(mode="json"), fetch=fetch)
    assert again.features.ng_words == from_url.features.ng_words
    assert fetched == [URL, URL]


@pytest.mark.parametrize("value", ["none.txt", URL, "3"])
def test_a_list_that_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"features\.ng_words"):
        config.load("swallow-v2", [f"features.ng_words={value}"])


def test_a_list_has_an_expression_a_line_without_comments() -> None:
    content = "\ufeff# a comment\n猫\r\n\n  猫である \n\u3000\n#猫\n猫\n".encode()
    assert lists.expressions(Listing("ng.txt", content)) == ("猫", "猫である")


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe"])
def test_a_list_without_expressions_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"ng\.txt"):
        lists.expressions(Listing("ng.txt", content))
