import sys
from dataclasses import replace
from pathlib import Path

import naive_features
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.config.annotate import LISTS, Features
from swallow_spark.config.load import load
from swallow_spark.kernels import features
from swallow_spark.kernels.features import letters, ng, repetition
from swallow_spark.kernels.features.texts import is_space, without_blank_lines
from swallow_spark.kernels.text.ngwords import Matcher

# From 夏目漱石「吾輩は猫である」(1905), in the public domain.
CAT = (
    "吾輩は猫である。名前はまだ無い。\nどこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは"
    "記憶している。吾輩はここで始めて人間というものを見た。しかもあとで聞くとそれは書生という人間中で一番獰悪な種族であったそうだ。\n"
    "この書生というのは時々我々を捕えて煮て食うという話である。しかしその当時は何という考もなかったから別段恐しいとも思わなかった。"
)
EDGES = [
    "",
    "\n",
    "\n\n\n",
    "\r\n\r\n",
    " \u3000\t\n\u3000",
    "。",
    "。。！？!?．",
    "。\n。\nあ。。い！？う",
    "あ",
    "あい",
    "😀👨‍👩‍👧‍👦 絵文字🇯🇵。😀👨‍👩‍👧‍👦",
    "ｶﾞｷﾞｸﾞ半角ｶﾅ｡､",
    "ー・ゝゞヽヾゟヿ゠㍿",
    "々〇〻𠮷野家\U0002ffff\U00030000豈龎㐀鿿ꀀ",
    "ぁゖ゗ァヺ・ー",
    "そして…\nそれから・・・\u3000\nまた…\u200b\nああ…。\n… \x1f\x85\n",
    "続く…！終わり…",
    "一行目。\r\n二行目。\r\n一行目。\r\n",
    "ａｂｃ，ｄｅｆ．１２．３，４、",
    "同じ行。\n同じ行。\n同じ。行。\n行。同じ。\n\n同じ行。！\n",
    "あ" * 3000,
    "あいうえお" * 200,
    "a\0b\0a\0b\0" * 9,
    CAT,
    CAT + "\n\n" + CAT,
    (CAT + "\n") * 20,
    "・一つ\n- 二つ...\n　※ 三つ…\n四つ・・\n# 五つ....#\n「六つ」\n六つ.\n・\n...\n・・・・",
    ("短い行。\n" + "長" * 30 + "\n" + "長" * 31 + "\n\n") * 3,
    "\ufeff\ufffd\U0010ffff\u0301e\u0301",
]


NO_GROUPS = dict.fromkeys(naive_features.measure_groups(""))


def assert_equal_to_naive(texts: list[str], batch: pa.RecordBatch, groups: bool = False) -> None:
    assert batch.schema == features.SCHEMA
    assert batch.num_rows == len(texts)
    batch.validate(full=True)
    for text, row in zip(texts, batch.to_pylist(), strict=True):
        assert {row.pop(column) for column in features.LISTS} == {None}
        expected = {**naive_features.measure(text), **(naive_features.measure_groups(text) if groups else NO_GROUPS)}
        assert row.keys() == expected.keys()
        for name, value in row.items():
            lowest, highest = features.range_of(name)
            assert value is None or lowest <= value <= highest, (name, text)
        for name, value in expected.items():
            assert row[name] == value, (name, text)  # to the last digit


@pytest.mark.parametrize("text", EDGES, ids=lambda t: repr(t[:6]))
def test_features_equal_the_naive_ones(text: str) -> None:
    assert_equal_to_naive([text], features.measure(pa.array([text])))
    assert_equal_to_naive([text], features.measure(pa.array([text]), groups=features.GROUPS), groups=True)


ALPHABET = st.one_of(
    st.sampled_from("あいアイ亜々〇ーｱA1 、，。．！？!?・・…..#-」\n\n\r\t\u3000\u200b\x1c\x85\u2028😀𠮷"),
    st.characters(codec="utf-8"),
)


@settings(max_examples=300)
@given(texts=st.lists(st.text(ALPHABET, max_size=50), max_size=4))
def test_features_equal_the_naive_ones_for_any_text(texts: list[str]) -> None:
    assert_equal_to_naive(texts, features.measure(pa.array(texts, pa.string()), groups=features.GROUPS), groups=True)
    dropped = [naive_features.drop_blank_lines(text) for text in texts]
    assert without_blank_lines(pa.array(texts, pa.string())).to_pylist() == dropped
    assert_equal_to_naive(dropped, features.measure(pa.array(texts, pa.string()), blank_lines="drop"))


@settings(max_examples=100)
@given(text=st.text("あい。\n", max_size=400))
def test_features_equal_the_naive_ones_for_repetitive_text(text: str) -> None:
    assert_equal_to_naive([text], features.measure(pa.array([text])))


def test_rows_do_not_depend_on_their_neighbours_slices_or_types() -> None:
    whole = features.measure(pa.array(EDGES))
    assert_equal_to_naive(EDGES, whole)
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["前", *EDGES, "後"], kind).slice(1, len(EDGES))
        assert features.measure(array).equals(whole)
        parts = [features.measure(array.slice(i, 4)) for i in range(0, len(EDGES), 4)]
        assert pa.Table.from_batches(parts).combine_chunks().to_batches()[0].equals(whole)
    for keep_or_drop in ("keep", "drop"):
        nulls = features.measure(pa.array([None, "あ", None], pa.string()), blank_lines=keep_or_drop)
        assert nulls.equals(features.measure(pa.array(["", "あ", ""])))
        assert features.measure(pa.array([], pa.string()), blank_lines=keep_or_drop).num_rows == 0


def test_every_code_point_is_decoded_and_sorted_into_its_kind() -> None:
    chars = [chr(c) for c in range(1, sys.maxunicode + 1, 7) if not 0xD800 <= c < 0xE000]
    chars += [chr(c) for c in [*range(0x3000, 0x3100), *range(0xFF00, 0xFF70), 0x1FFFF, 0x20000, 0x2FFFF, 0x30000]]
    batch = features.measure(pa.array(chars))
    assert set(batch.column("num_letters").to_pylist()) == {1}
    for kind in ("hiragana_letters", "katakana_letters", "kanji_letters", "kuten", "toten"):
        is_kind = getattr(naive_features, f"is_{kind.split('_')[0]}")
        assert batch.column(f"num_{kind}").to_pylist() == [int(is_kind(c)) for c in chars]


def test_blanks_are_those_of_str_isspace() -> None:
    for code in range(sys.maxunicode + 1):
        if code < 0x3100 or code % 251 == 0:
            assert is_space(code) == chr(code).isspace(), hex(code)


class HashedAsZero(int):
    """A code point that compares as it is, but counts as 0 in a hash."""

    def __int__(self) -> int:
        return 0


def test_pieces_whose_hashes_are_equal_are_told_apart() -> None:
    pieces = ["いろは", "いろに", "いろは", "ほへ", ""]
    codes = [HashedAsZero(ord(c)) for piece in pieces for c in piece]
    bounds = np.cumsum([0, *map(len, pieces)])
    with np.errstate(over="ignore"):
        found = repetition.repeats.py_func(codes, bounds, 5, np.empty(32, np.int64), hashes := np.empty(5, np.int64))
    assert found == (1, 3)
    assert hashes[0] == hashes[1]


def test_ng_fraction_is_of_japanese_letters() -> None:
    words = Matcher(["猫", "猫である", "abc"])
    texts = pa.array(["吾輩は猫である。名前はabc", "abc", "", "猫猫猫"])
    assert features.measure(texts, ng_words=words).column("ng_fraction").to_pylist() == [7 / 11, 0.0, 0.0, 1.0]
    blank_line_inside = pa.array(["\u3000\n猫\n\nで"])
    assert (
        features.measure(blank_line_inside, ng_words=words, blank_lines="drop").column("ng_fraction")[0].as_py() == 0.5
    )


def test_phrases_are_counted_without_overlaps() -> None:
    phrases = Matcher(["TODO: implement", "ください", "ださい。"])
    texts = pa.array(["TODO: implement\n読んでください。TODO: implement", "todo: implement", "", None])
    assert features.measure(texts, phrases=phrases).column("num_phrases").to_pylist() == [3, 0, 0, 0]


def test_each_list_of_a_feature_is_a_key_of_the_configuration() -> None:
    assert set(features.LISTS.values()) == set(LISTS)
    with pytest.raises(ValueError, match=r"no such list of expressions: words \(there are: ng_words, phrases"):
        features.measure(pa.array(["a"]), words=Matcher(["a"]))


def test_fractions_are_columns() -> None:
    for feature in features.FEATURES:
        assert set(feature.fractions) <= set(feature.schema.names)
        assert {n for n in feature.schema.names if n.endswith("_fraction")} - {"ng_fraction"} <= set(feature.fractions)


def test_names_that_come_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="num_letters"):
        features._schema((letters.FEATURE, replace(letters.FEATURE, name="other")))
    with pytest.raises(ValueError, match="ng"):
        features._schema((ng.FEATURE, replace(ng.FEATURE, schema=pa.schema([]))))


def test_versions_name_every_feature() -> None:
    assert features.versions(features.GROUPS).keys() == {"features", *(f"features.{f.name}" for f in features.FEATURES)}
    assert features.versions(features.GROUPS).keys() - features.versions() == {f"features.{g}" for g in features.GROUPS}
    modules = {p.stem for p in Path(features.__file__).parent.glob("*.py")} - {"__init__", "texts"}
    assert modules == {f.name for f in features.FEATURES}


def test_groups_are_those_of_the_configuration() -> None:
    assert Features(groups=features.GROUPS).groups == features.GROUPS
    with pytest.raises(ValueError, match="no such group of features: x"):
        features.measure(pa.array(["あ"]), groups=["x"])
    for preset in ("swallow-v1", "swallow-v2"):
        assert {features.group_of(column) for column in load(preset).rules.bounds} == {None}


def test_a_long_text() -> None:
    text = CAT * 300 + CAT[::-1]
    assert_equal_to_naive([text], features.measure(pa.array([text])))
