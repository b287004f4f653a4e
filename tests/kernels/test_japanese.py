import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.japanese import is_japanese, is_japanese_page, language_score, may_be_japanese

JAPANESE = "東京の天気は晴れです。明日は雨が降るでしょう。"
CHINESE = "今天北京的天气很好，我们一起去公园散步吧。明天会下雨。"
ENGLISH = "The weather in Tokyo is fine today, and it will rain tomorrow. "


def page(title: str, body: str, lang: str = "") -> str:
    return (
        f"<!DOCTYPE html><html{lang and f' lang={lang}'}><head><title>{title}</title></head><body>{body}</body></html>"
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp932", "euc_jp", "iso2022_jp"])
@pytest.mark.parametrize("lang", ["", "en", "zh"])
@pytest.mark.parametrize("content_type", [None, "text/html; charset=utf-8", "text/html; charset=iso-8859-1"])
def test_japanese_in_the_body_alone_is_seen_in_every_charset(codec: str, lang: str, content_type: str | None) -> None:
    assert may_be_japanese(page("", ENGLISH * 50 + JAPANESE, lang).encode(codec), content_type)


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp", "iso2022_jp"])
def test_kana_that_never_stand_together(codec: str) -> None:
    assert may_be_japanese(page("pause", "<p>10 秒間休止する</p><p>環境変数の値</p>").encode(codec))


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp", "iso2022_jp"])
def test_a_japanese_title_is_enough(codec: str) -> None:
    assert may_be_japanese(page("天気の話", ENGLISH).encode(codec))


@pytest.mark.parametrize("attribute", ['lang="ja"', "lang=ja-JP", "class=x\n LANG='JA'", 'xml:lang="ja"'])
def test_the_declared_language_is_enough(attribute: str) -> None:
    assert may_be_japanese(f"<!-- x --><HTML {attribute}><body>{ENGLISH}".encode())


@pytest.mark.parametrize("attribute", ["lang=en", "lang=jam", 'data-x="lang ja"', "hreflang-ja"])
def test_other_languages_are_not_declared_japanese(attribute: str) -> None:
    assert not may_be_japanese(f"<html {attribute}><body>{ENGLISH}".encode())


@pytest.mark.parametrize("character", "ぁあんァアヴーｱﾝ")
def test_character_references(character: str) -> None:
    for reference in (f"&#{ord(character)};", f"&#x{ord(character):x};", f"&#X{ord(character):X}"):
        assert may_be_japanese(page(reference, ENGLISH).encode())


def test_references_of_other_characters() -> None:
    assert not may_be_japanese(page("&#124; &#1234; &#12289; &#20013;&#x6587; &#x30;", ENGLISH).encode())


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (ENGLISH, "ascii"),
        (CHINESE + "史蒂夫・乔布斯", "utf-8"),
        (CHINESE, "gb18030"),
        ("今天天氣很好，我們去公園散步。", "big5"),
        ("오늘은 날씨가 좋아서 공원을 산책했습니다.", "utf-8"),
        ("오늘은 날씨가 좋아서 공원을 산책했습니다.", "euc_kr"),
        ("Сегодня хорошая погода, ттт", "utf-8"),
        ("Сегодня хорошая погода", "cp1251"),
        ("Il fait beau, à côté de l'école – déjà", "cp1252"),
        ("日本語", "utf-8"),
    ],
)
def test_other_languages_cost_no_parsing(text: str, codec: str) -> None:
    declared = f"text/html; charset={codec}"
    assert not may_be_japanese(page(text, text * 20).encode(codec), declared)


@given(st.binary(max_size=200))
def test_any_bytes_will_do(html: bytes) -> None:
    assert may_be_japanese(html) in (True, False)


def slow_language_score(text: str) -> float:
    letters = [c for c in text if c.isalpha()]
    kana = [
        c
        for c in letters
        if unicodedata.name(c, "").startswith(("HIRAGANA LETTER", "KATAKANA LETTER", "HALFWIDTH KATAKANA"))
        or unicodedata.name(c, "").startswith(
            ("KATAKANA-HIRAGANA PROLONGED", "HIRAGANA ITERATION", "KATAKANA ITERATION")
        )
        or unicodedata.name(c, "").startswith(("HIRAGANA VOICED ITERATION", "KATAKANA VOICED ITERATION"))
        or c in "ヿゟ"
    ]
    return len(kana) / len(letters) if letters else 0.0


@given(st.text(st.sampled_from("あンｶﾞーヽゞヿ・、漢々字ａaé9Ж가한𠮷😀 \n")))
def test_language_score_equals_the_slow_one(text: str) -> None:
    assert language_score(text) == pytest.approx(slow_language_score(text))
    assert language_score(text.encode("utf-8", "replace")) == language_score(text)


def test_language_score() -> None:
    assert language_score("") == 0.0
    assert language_score("123 !?") == 0.0
    assert language_score("ひらがな") == 1.0
    assert language_score("ｶﾀｶﾅ漢字ab") == 0.5
    assert language_score("\ud800あ") == 1.0


def test_is_japanese() -> None:
    assert is_japanese(JAPANESE)
    assert is_japanese("ﾃﾚﾋﾞ")
    assert is_japanese(JAPANESE + ENGLISH * 3)
    assert not is_japanese("")
    assert not is_japanese("2025 / 01 / 02")
    assert not is_japanese(ENGLISH * 20 + "すし")
    assert not is_japanese(CHINESE)
    assert not is_japanese(CHINESE + "の")
    assert not is_japanese(CHINESE * 30 + "ありがとう")
    assert not is_japanese("東京都千代田区一丁目")


def test_four_hundred_japanese_letters_are_japanese_whatever_english_there_is() -> None:
    lesson = JAPANESE * 20  # 20 letters each
    assert sum(c.isalpha() for c in lesson) >= 400
    assert is_japanese(lesson + ENGLISH * 500)
    assert not is_japanese(JAPANESE * 10 + ENGLISH * 500)


def test_an_untranslated_page_of_a_japanese_site_is_japanese() -> None:
    for lang in ("", "ja", "ja-JP"):
        assert is_japanese_page(JAPANESE, JAPANESE + ENGLISH, lang)
        assert is_japanese_page(ENGLISH, JAPANESE + ENGLISH * 3, lang)
        assert is_japanese_page("main()", JAPANESE + "main()", lang)
        assert not is_japanese_page(ENGLISH, ENGLISH + "日本語 English 中文", lang)
        assert not is_japanese_page(ENGLISH * 20, "日本語はこちら" + ENGLISH * 20, lang)
        assert not is_japanese_page(CHINESE * 5, "トップ" + CHINESE * 5, lang)
        assert not is_japanese_page("", "", lang)


def test_what_a_page_declares_counts_only_where_its_text_is_not_japanese() -> None:
    assert is_japanese_page(JAPANESE, JAPANESE, "en")
    assert not is_japanese_page(ENGLISH, JAPANESE + ENGLISH * 3, "en")  # 20 letters beside the text
    assert is_japanese_page(ENGLISH, JAPANESE * 3 + ENGLISH * 3, "en-US")  # 60
    assert not is_japanese_page(ENGLISH, ENGLISH, "ja")


def test_a_few_kana_among_chinese_characters_and_english() -> None:
    english = ENGLISH * 8  # 392 letters
    assert not is_japanese(english + "東京都千代田区霞が関、京都市上京区一条通り、大阪市北区梅田の")  # 3 kana
    assert is_japanese(english + "東京の霞が関、京都の一条通り、大阪の梅田、それに横浜の港町")
