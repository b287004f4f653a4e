"""Clean-up of texts, against a reference that follows the words of its definition character by character."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.text import cleanup

KANJI = {*map(chr, range(0x3400, 0xA000)), *map(chr, range(0xF900, 0xFB00))}
JAPANESE = {*map(chr, range(0x3041, 0x3097)), *map(chr, range(0x30A1, 0x30FB)), *"々〇〻）」』］〕】〉》", *KANJI}
KEEP = set("０１２３４５６７８９^") | {chr(0xFF21 + i) for i in range(26)} | {chr(0xFF41 + i) for i in range(26)}


def naive_punctuation(text: str) -> str:
    for western, japanese in ("，、", "．。"):
        counts = {western: 0, japanese: 0}
        for before, mark in pairwise(text):
            if mark in counts and before in JAPANESE:
                counts[mark] += 1
        if counts[western] <= counts[japanese]:
            continue
        result = list(text)
        for at in range(1, len(text)):
            if text[at] == western and text[at - 1] not in KEEP:
                result[at] = japanese
        text = "".join(result)
    return text


def naive_trim(text: str) -> str:
    lines = text.split("\n")
    for number in range(max(0, len(lines) - 10), len(lines)):
        rest = lines[number]
        for word in sorted(set(cleanup.footer_words()), key=lambda word: (-len(word), word)):
            rest = "".join(rest.split(word))
        matched = len(lines[number]) - len(rest)
        if matched and matched / len(lines[number]) > 0.3:
            return "\n".join(lines[:number])
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("雨が降り、風が吹く。", "雨が降り、風が吹く。"),
        ("雨が降り，風が吹く．", "雨が降り、風が吹く。"),
        ("雨が降り，風が吹く。", "雨が降り、風が吹く。"),
        ("雨、風，雪", "雨、風，雪"),  # as often: stays
        ("雨、、、風，雪，霧", "雨、、、風、雪、霧"),  # a run counts once
        ("Ｈｉ，と３．１４は，残る．", "Ｈｉ，と３．１４は、残る。"),
        ("Hi，と3，は，残らない", "Hi、と3、は、残らない"),
        ("待って．．．", "待って。。。"),
        ("，初めは，残る", "，初めは、残る"),
        ("Ａ，，あ，い", "Ａ，、あ、い"),  # the second follows a comma, as in the original
        ("", ""),
    ],
)
def test_punctuation(text: str, expected: str) -> None:
    assert cleanup.normalise_punctuation(text) == expected
    assert naive_punctuation(text) == expected


@given(st.text("あア漢、，。．Ａａ９x^\n𠮷）、，", max_size=40))
def test_punctuation_equals_the_reference(text: str) -> None:
    assert cleanup.normalise_punctuation(text) == naive_punctuation(text)


BODY = "\n".join(f"これは本文の{number}行目で、記事について書いてある長い文である。" for number in range(12))


@pytest.mark.parametrize(
    "footer",
    [
        "Copyright © 2024 Example Inc. All rights reserved",
        "この記事へのトラックバック一覧",
        "無断転載を禁じます",
        "プライバシーポリシー",
        "お知らせ\nほか",
    ],
)
def test_a_footer_and_what_follows_it_are_trimmed(footer: str) -> None:
    for mode in ("careful", "swallow"):
        assert cleanup.trim_footer(f"{BODY}\n{footer}\n後", mode) == BODY
        assert cleanup.trim_footer(BODY, mode) == BODY
        before_the_last_ten = f"{footer.partition(chr(10))[0]}\n{BODY}"
        assert cleanup.trim_footer(before_the_last_ten, mode) == before_the_last_ten


def test_exactly_30_percent_is_no_footer() -> None:
    assert not cleanup.is_footer("記事の本文を書いた人")  # 記事 is a fifth
    assert not cleanup.is_footer("コメントを書いた人は十三文字")  # 4 of 14
    assert not cleanup.is_footer("いいね一二三四五六七")  # 3 of 10
    assert cleanup.is_footer("いいね一二三四五六")
    assert not cleanup.is_footer("")


def test_words_that_meet_when_one_is_taken_out_count_too() -> None:
    assert cleanup.is_footer("リン会社概要ク" + "他" * 10)  # 会社概要, then リンク: 7 of 17; the former alone 4


def test_careful_spares_the_first_line_and_half_of_the_text() -> None:
    short = "お知らせ\n来週の月曜日は休みます"
    assert cleanup.trim_footer(short, "swallow") == ""
    assert cleanup.trim_footer(short, "careful") == short
    early = "短い前置き\nコメント\n" + "本文が続く。" * 20
    assert cleanup.trim_footer(early, "swallow") == "短い前置き"
    assert cleanup.trim_footer(early, "careful") == early
    late = f"{early}\nCopyright"
    assert cleanup.trim_footer(late, "careful") == early


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(["お知らせ", "本文", "Copyright", "リン", "ク", "", "長い本文である", "\n"]), max_size=30)
)
def test_trimming_equals_the_reference(parts: list[str]) -> None:
    text = "".join(parts)
    assert cleanup.trim_footer(text, "swallow") == naive_trim(text)
    careful = cleanup.trim_footer(text, "careful")
    assert text.startswith(careful)
    assert 2 * len(careful) >= len(text)
    assert careful.split("\n")[0] == text.split("\n")[0]


def test_lengths_and_what_was_trimmed() -> None:
    texts = ["お知らせ", "雨，風，雪．", f"{BODY}\nCopyright", "𠮷"]
    for kind in (pa.string(), pa.large_string()):
        cleaned = cleanup.clean(pa.array(texts, kind), "swallow")
        assert cleaned.texts.to_pylist() == ["", "雨、風、雪。", BODY, "𠮷"]
        assert cleaned.texts.type == kind
        assert cleaned.num_chars.tolist() == [0, 6, len(BODY), 1]
        assert cleaned.trimmed.tolist() == [True, False, True, False]


def test_the_words_are_those_of_the_original() -> None:
    words = cleanup.footer_words()
    assert len(words) == len(set(words)) == 71 - 1
    assert words[0] == "All rights reserved"
