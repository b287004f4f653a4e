"""Signs of Japanese in bytes, against a slow and simple search, and which parts of a page are read."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.html import charset
from swallow_spark.kernels.html.signs import has_no_sign, may_be_japanese

KANA = re.compile("[ぁ-ゖァ-ヺーｦ-ﾟ]")
PIECES = [
    *(b"<html lang=ja>", b"<HTML class=jar>", b"<html", b" lang='ja'", b">", b"<h1>", b"</html>", b"ja", b"<p>"),
    *(b"<title>", b"</title>", b"\x00", b'\x1b$B$"\x1b(B', b"\x1b", b"&#", b"&#12354;", b"&#x3042;", b"&#65", b"&#38;"),
    *("あ".encode(), "の・".encode(), "ｱ".encode(), "。，".encode(), "中国語".encode(), "한국".encode(), "да".encode()),
    *(
        "あ".encode("cp932"),
        "かな".encode("cp932"),
        "漢字".encode("cp932"),
        "かな".encode("euc_jp"),
        "漢".encode("euc_jp"),
    ),
    *(
        "今天天氣".encode("big5"),
        "今天".encode("gb18030"),
        "오늘".encode("euc_kr"),
        "é".encode("cp1252"),
        b"\x80",
        b"\xff",
    ),
    *(b"plain text, and more of it; ", b"." * 61, b"." * 200, b"\xe3", b"\x82", b"\xef\xbd", b"\xa4"),
]
PAGES = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=12).map(b"".join)


def legacy_kana(html: bytes, charset: str) -> tuple[int, int, bool]:
    """(pairs of bytes that are kana, place of the first, whether this is certain), read from the left."""
    found, pairs, wrong, at = [], 0, 0, 0
    while at + 1 < len(html):
        a, b = html[at : at + 2]
        if charset == "shift_jis":
            single = a < 0x80 or 0xA1 <= a <= 0xDF
            double = a in [*range(0x81, 0xA0), *range(0xE0, 0xFD)] and b in [*range(0x40, 0x7F), *range(0x80, 0xFD)]
            kana = (a == 0x82 and 0x9F <= b <= 0xF1) or (a == 0x83 and 0x40 <= b <= 0x96)
        else:
            single = a < 0x80
            double = a in [0x8E, 0x8F, *range(0xA1, 0xFF)] and 0xA1 <= b <= 0xFE
            kana = a in (0xA4, 0xA5) and 0xA1 <= b <= 0xF6
        if single or not double:
            wrong += not single
            at += 1
            continue
        found += [at] * kana
        pairs += 1
        at += 3 if charset == "euc-jp" and a == 0x8F else 2
    if wrong > pairs / 4 or not found:
        return 0, 0, False
    return len(found), found[0], wrong == 0 and len(found) >= max(3, pairs / 5)


def malformed(html: bytes) -> bool:
    """Whether a lead byte isn't followed by a continuation byte, or a continuation byte follows no lead byte."""
    return any(
        (a >= 0xC0 and not 0x80 <= b <= 0xBF) or (a < 0x80 and 0x80 <= b <= 0xBF)
        for a, b in zip(b" " + html, html, strict=False)
    )


def slowly(html: bytes) -> bool:
    def has_kana(part: bytes) -> bool:
        return KANA.search(charset.decode(part).text) is not None

    head = html[:2048].lower()
    if any(re.search(rb"\blang\s*=\s*[\"']?\s*ja\b", tag) for tag in re.findall(rb"<html\b[^>]*", head)):
        return True
    if b"\0" in head:
        return has_kana(html)
    kana = len(re.findall(rb"\xe3(?=[\x81\x82][\x80-\xff]|\x83(?!\xbb)[\x80-\xff])", html))
    kana += len(re.findall(rb"\xef(?=\xbd[\xa6-\xff]|\xbe[\x00-\x9f])", html, re.DOTALL))
    for number in re.findall(rb"&#([0-9]+)", html):
        kana += 3 * (0x3040 <= int(number) <= 0x30FF or 0xFF66 <= int(number) <= 0xFF9F)
    for number in re.findall(rb"&#[xX]([0-9a-fA-F]+)", html):
        kana += 3 * (0x3040 <= int(number, 16) <= 0x30FF or 0xFF66 <= int(number, 16) <= 0xFF9F)
    if kana >= 3:
        return True
    if b"\x1b" in html[:-1] and charset.JIS_ESCAPE.search(html):
        return has_kana(html)
    legacy, first, certain = 0, 0, False
    if malformed(html):
        legacy, first, certain = legacy_kana(html, "shift_jis")
        if legacy < 3 and (euc := legacy_kana(html, "euc-jp"))[0] > legacy:
            legacy, first, certain = euc
    if certain:
        return True
    if legacy >= 3:
        return has_kana(html[:1024] + html[max(html.rfind(b">", 0, first), 0) : first + 4096])
    title = re.search(rb"<title\b[^>]{0,256}>(.{0,1024}?)</title", html, re.IGNORECASE | re.DOTALL)
    return kana + legacy > 0 and title is not None and has_kana(title[1])


@given(PAGES)
@settings(max_examples=1_000)
def test_equals_the_slow_way(html: bytes) -> None:
    assert may_be_japanese(html) == slowly(html)


@given(PAGES, st.binary(max_size=3), st.binary(max_size=3))
@settings(max_examples=500)
def test_no_sign_is_never_said_of_what_may_be_japanese(html: bytes, before: bytes, behind: bytes) -> None:
    data = np.frombuffer(before + html + behind, dtype=np.uint8)
    assert not (has_no_sign(data, len(before), len(before) + len(html)) and may_be_japanese(html))


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp1251", "cp1252"])
def test_no_sign_is_said_of_other_languages(codec: str) -> None:
    words = {
        "gb18030": "今天北京的天气很好",
        "big5": "我們一起去公園散步吧",
        "cp949": "오늘은 날씨가",
        "cp1251": "Сегодня",
        "cp1252": "déjà",
    }
    html = f"<html lang=x><h1>{words.get(codec, 'today')}</h1><!-- {'x' * 3000} -->{words.get(codec, 'x') * 99}</html>"
    assert has_no_sign(np.frombuffer(html.encode(codec), dtype=np.uint8), 0, len(html.encode(codec)))


@pytest.mark.parametrize("at", [0, 1, 63, 64, 65, 126, 127, 128, 1_000])
@pytest.mark.parametrize("sign", ["かなだ", "&#12354;", "ｶﾅﾀﾞ", '\x1b$B$"$"\x1b(B'])
def test_a_sign_is_seen_wherever_it_stands(at: int, sign: str) -> None:
    assert may_be_japanese(b"." * at + sign.encode())
    assert may_be_japanese(b"." * at + sign.encode() + b"." * 200)
    data = np.frombuffer(b"." * at + sign.encode(), dtype=np.uint8)
    assert not has_no_sign(data, 0, data.size)


@pytest.mark.parametrize("line", ["広告の字", "ア", "字コ字コ文字広告"])
@pytest.mark.parametrize("codec", ["utf-8", "cp932"])
def test_a_line_in_another_charset_hides_no_kana_of_euc_jp(line: str, codec: str) -> None:
    prose = "昨日は朝から雨が降っていたので、駅前の喫茶店でコーヒーを飲みながら本を読みました。とても面白かった。" * 3
    for html in (prose.encode("euc_jp") + line.encode(codec), line.encode(codec) + b"<p>" + prose.encode("euc_jp")):
        assert may_be_japanese(html)
        assert not has_no_sign(np.frombuffer(html, np.uint8), 0, len(html))
