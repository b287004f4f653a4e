import unicodedata
from collections.abc import Collection

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.text import ngwords
from swallow_spark.kernels.text.utf8 import code_points


def naive_matched_chars(expressions: list[str], text: str) -> int:
    at = matched = 0
    while at < len(text):
        longest = max((len(e) for e in expressions if text.startswith(e, at)), default=0)
        matched += longest
        at += longest or 1
    return matched


def matched_chars(matcher: ngwords.Matcher, texts: pa.Array) -> list[int]:
    return matcher.matched_chars(*code_points(texts)).tolist()


EXPRESSIONS = ["猫", "猫である", "ある。", "𠮷野", "ｶﾞ", "aa", "あ"]
TEXTS = ["", "吾輩は猫である。", "猫であった。", "aaaaa", "𠮷野家😀𠮷野", "ｶﾞｶﾞｶ", "犬", "あ" * 1000]


def test_matches_are_the_longest_from_left_to_right() -> None:
    matcher = ngwords.Matcher(EXPRESSIONS)
    expected = [naive_matched_chars(EXPRESSIONS, text) for text in TEXTS]
    assert expected[1] == 4  # not 猫 and ある。
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["猫", *TEXTS, None], kind).slice(1)
        assert matched_chars(matcher, array) == [*expected, 0]


@given(
    texts=st.lists(st.text("猫犬あ𠮷😀aＡ\0\n", max_size=30), max_size=4),
    expressions=st.lists(st.text("猫犬あ𠮷😀aＡ\0", min_size=1, max_size=5), min_size=1, max_size=30),
)
def test_matches_equal_the_naive_ones(texts: list[str], expressions: list[str]) -> None:
    expected = [naive_matched_chars(expressions, text) for text in texts]
    matcher = ngwords.Matcher(expressions)
    assert matched_chars(matcher, pa.array(texts, pa.string())) == expected


def test_a_match_does_not_reach_into_the_next_text() -> None:
    assert matched_chars(ngwords.Matcher(["ab"]), pa.array(["a", "b", "ab"])) == [0, 0, 2]


def fold_slowly(text: str, variants: Collection[str]) -> list[tuple[str, int]]:
    """(character, how many characters it was) of a text."""
    folded: list[tuple[str, int]] = []
    for character in text:
        if "width" in variants and unicodedata.decomposition(character)[:5] in ("<wide", "<narr"):
            character = chr(int(unicodedata.decomposition(character).split()[1], 16))
        if "kana" in variants and ("ぁ" <= character <= "ゖ" or character in "ゝゞ"):
            character = chr(ord(character) + 0x60)
        if character in "\u3099\u309a" and folded and "ぁ" <= folded[-1][0] <= "ヿ" and folded[-1][1] == 1:
            composed = unicodedata.normalize("NFC", folded[-1][0] + character)
            if len(composed) == 1:
                folded[-1] = composed, 2
                continue
        folded.append((character, 1))
    return folded


def naive_folded_chars(expressions: list[str], text: str, variants: Collection[str]) -> int:
    patterns = ["".join(c for c, _ in fold_slowly(e, variants)) for e in expressions]
    folded = fold_slowly(text, variants)
    plain = "".join(character for character, _ in folded)
    at = matched = 0
    while at < len(plain):
        longest = max((len(p) for p in patterns if plain.startswith(p, at)), default=0)
        matched += sum(width for _, width in folded[at : at + longest])
        at += longest or 1
    return matched


VARIANTS: list[tuple[ngwords.Variant, ...]] = [("width",), ("kana",), ("width", "kana")]


def test_variants_match_and_their_own_characters_count() -> None:
    texts = pa.array(["ガ", "ｶﾞ", "が", "か\u3099", "カ", "ＡＢ％", "AB%", "ab%", "ｶﾞｶﾞ猫ｶ"])
    expressions = ["ガ", "ＡB％"]

    def matched(variants: tuple[ngwords.Variant, ...]) -> list[int]:
        return matched_chars(ngwords.Matcher(expressions, variants), texts)

    assert matched(()) == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert matched(("width",)) == [1, 2, 0, 0, 0, 3, 3, 0, 4]
    assert matched(("kana",)) == [1, 0, 1, 2, 0, 0, 0, 0, 0]
    assert matched(("width", "kana")) == [1, 2, 1, 2, 0, 3, 3, 0, 4]


@given(
    texts=st.lists(st.text("aＡA¢￠かガｶﾞﾊﾟぱはﾞﾟ\u3099\u309aゝヽー。𠮷é\n"), max_size=5),
    expressions=st.lists(st.text("aＡA￠かガｶﾞﾊﾟぱは\u3099ゝ𠮷", min_size=1, max_size=3), min_size=1, max_size=4),
    variants=st.sampled_from(VARIANTS),
)
def test_variants_equal_folding_character_by_character(
    texts: list[str], expressions: list[str], variants: tuple[ngwords.Variant, ...]
) -> None:
    expected = [naive_folded_chars(expressions, text, variants) for text in texts]
    matcher = ngwords.Matcher(expressions, variants)
    assert matched_chars(matcher, pa.array(texts, pa.string())) == expected
    assert matched_chars(matcher, pa.array(["ｶﾞ", *texts], pa.large_string()).slice(1)) == expected


def test_an_empty_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="everywhere"):
        ngwords.Matcher(["a", ""])


@given(text=st.text("あいか\u3099", max_size=40), size=st.integers(1, 5))
def test_where_long_texts_are_cut_makes_no_difference(text: str, size: int) -> None:
    expressions = ["あ", "あいあ", "いああい", "が"]
    matcher, texts = ngwords.Matcher(expressions, ("kana",)), code_points(pa.array([text, text]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngwords, "_PIECE_CHARS", size)
        found = matcher.matched_chars(*texts).tolist()
    assert found == [naive_folded_chars(expressions, text, ("kana",))] * 2
