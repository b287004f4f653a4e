"""Swallow's clean-up of texts (swallow-corpus, phase 4): Japanese commas and full stops, footers trimmed.

`swallow` is the original. `careful` trims less: never the first line, and never more than half of a text, since the
original empties short pages whose first line is お知らせ.
"""

import re
from importlib import resources
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VERSION: Final = 1
Mode: TypeAlias = Literal["careful", "swallow"]

_LAST_LINES: Final = 10
_FOOTER_SHARE: Final = 0.3  # of a line's characters: a footer has more

# Commas and full stops count after these. The original means ideographs beyond U+FFFF too, but misses them.
_JAPANESE: Final = "[）」』］〕】〉》\u3041-\u3096\u30a1-\u30fa々〇〻\u3400-\u9fff\uf900-\ufaff]"
# After these ， and ． stay; the ^ is an accident of the original. At the beginning of a text they stay too.
_STAYS_AFTER: Final = "０-９Ａ-Ｚａ-ｚ^"


# The Western and the Japanese mark, patterns that count each, and the pattern of what is replaced.
_MARKS: Final = [
    (
        western,
        japanese,
        re.compile(f"{_JAPANESE}{western}+"),
        re.compile(f"{_JAPANESE}{japanese}+"),
        re.compile(f"(?<=[^{_STAYS_AFTER}]){western}"),
    )
    for western, japanese in ("，、", "．。")
]


def footer_words() -> tuple[str, ...]:
    """The words of footers, in the order of removal: the longest first."""
    text = resources.files("swallow_spark.kernels.text").joinpath("footers.txt").read_text(encoding="utf-8")
    words = {line for line in text.splitlines() if line and not line.startswith("#")}
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


_FOOTER_WORDS: Final = footer_words()
_ANY_FOOTER_WORD: Final = re.compile("|".join(map(re.escape, _FOOTER_WORDS)))


class Cleaned(NamedTuple):
    """Cleaned texts, their lengths in code points, and whether a footer was trimmed."""

    texts: pa.Array
    num_chars: npt.NDArray[np.int32]
    trimmed: npt.NDArray[np.bool_]


def clean(texts: Any, mode: Mode) -> Cleaned:
    """Cleans a (large_)string array without nulls."""
    cleaned = [normalise_punctuation(text) for text in texts.to_pylist()]
    kept = [trim_footer(text, mode) for text in cleaned]
    trimmed = [len(after) < len(before) for after, before in zip(kept, cleaned, strict=True)]
    lengths = np.fromiter(map(len, kept), np.int32, len(kept))
    return Cleaned(pa.array(kept, texts.type), lengths, np.array(trimmed, np.bool_))


def normalise_punctuation(text: str) -> str:
    """If ， is more frequent than 、 after Japanese characters, replaces it by 、, except after full-width digits or
    Latin letters; the same for ． and 。. A run of marks counts once."""
    for western, japanese, as_western, as_japanese, replaced in _MARKS:
        if western in text and len(as_western.findall(text)) > len(as_japanese.findall(text)):
            text = replaced.sub(japanese, text)
    return text


def trim_footer(text: str, mode: Mode) -> str:
    """The text before the first footer among its last 10 lines."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for start in starts[-_LAST_LINES:]:
        if mode == "careful" and (start == 0 or 2 * (start - 1) < len(text)):
            continue
        end = text.find("\n", start)
        if is_footer(text[start:] if end < 0 else text[start:end]):
            return text[: max(0, start - 1)]
    return text


def is_footer(line: str) -> bool:
    """Whether more than 30 % of a line's characters are footer words, removed one word after the other."""
    if not _ANY_FOOTER_WORD.search(line):
        return False
    rest = line
    for word in _FOOTER_WORDS:
        rest = rest.replace(word, "")
    return (len(line) - len(rest)) / len(line) > _FOOTER_SHARE
