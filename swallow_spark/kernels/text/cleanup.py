"""Clean-up of texts as Swallow does it (swallow-corpus, phase 4): commas and full stops made Japanese, footers trimmed.

`swallow` does what the original does. `careful` trims less: never the first line, and never more than half of a text,
for the original empties short pages whose first line says お知らせ.
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
_FOOTER_SHARE: Final = 0.3  # of a line's characters, strictly more

# What a comma or full stop counts behind. The original means ideographs beyond U+FFFF as well, but misses them.
_JAPANESE: Final = "[）」』］〕】〉》\u3041-\u3096\u30a1-\u30fa々〇〻\u3400-\u9fff\uf900-\ufaff]"
# What ， and ． stay behind; ^ slipped into the original's class. Nothing is replaced at a text's very beginning.
_STAYS_BEHIND: Final = "０-９Ａ-Ｚａ-ｚ^"


class _Mark(NamedTuple):
    western: str
    japanese: str
    as_japanese: re.Pattern[str]
    as_western: re.Pattern[str]
    replaced: re.Pattern[str]


def _mark(western: str, japanese: str) -> _Mark:
    return _Mark(
        western,
        japanese,
        re.compile(f"{_JAPANESE}{japanese}+"),
        re.compile(f"{_JAPANESE}{western}+"),
        re.compile(f"(?<=[^{_STAYS_BEHIND}]){western}"),
    )


_MARKS: Final = (_mark("，", "、"), _mark("．", "。"))


def footer_words() -> tuple[str, ...]:
    """The words of footers, in the order in which they are looked for: the longest first."""
    text = resources.files("swallow_spark.kernels.text").joinpath("footers.txt").read_text(encoding="utf-8")
    words = {line for line in text.splitlines() if line and not line.startswith("#")}
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


_FOOTER_WORDS: Final = footer_words()
_ANY_FOOTER_WORD: Final = re.compile("|".join(map(re.escape, _FOOTER_WORDS)))


class Cleaned(NamedTuple):
    """Texts after clean-up, their lengths in code points, and whether a footer was trimmed."""

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
    """A text that writes ， more often than 、 behind Japanese characters gets 、 for it, unless behind full-width
    digits or Latin letters; so with ． and 。. A run of marks counts once."""
    for mark in _MARKS:
        if mark.western not in text:
            continue
        western = sum(1 for _ in mark.as_western.finditer(text))
        if western and western > sum(1 for _ in mark.as_japanese.finditer(text)):
            text = mark.replaced.sub(mark.japanese, text)
    return text


def trim_footer(text: str, mode: Mode) -> str:
    """The text up to the first of its last 10 lines that is a footer."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for start in starts[-_LAST_LINES:]:
        if mode == "careful" and (start == 0 or 2 * (start - 1) < len(text)):
            continue
        end = text.find("\n", start)
        if is_footer(text[start:] if end < 0 else text[start:end]):
            return text[: max(0, start - 1)]
    return text


def is_footer(line: str) -> bool:
    """Whether more than 30 % of a line's characters are footer words, taken out one word after the other."""
    if not _ANY_FOOTER_WORD.search(line):
        return False
    rest = line
    for word in _FOOTER_WORDS:
        rest = rest.replace(word, "")
    return (len(line) - len(rest)) / len(line) > _FOOTER_SHARE
