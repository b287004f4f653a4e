import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webencodings.labels import LABELS

from swallow_spark.kernels.html import charset

PROSE = "昨日は朝から雨が降っていたので、駅前の喫茶店でコーヒーを飲みながら本を読みました。とても面白かった。"
PAGE = f"<html><head><title>雨の日</title></head><body><p>{PROSE}</p></body></html>"
# What a charset's declaration says, right or wrong.
DECLARATIONS = [
    None,
    "text/html",
    "text/html; charset=utf-8",
    "text/html; charset=Shift_JIS",
    'text/html; charset="EUC-JP"',
    "text/html; charset=iso-8859-1",
    "text/html; charset=gb2312",
    "text/html; charset=no-such-thing",
    "text/html; charset=",
]
ENCODINGS = {
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-16-le": "utf-16-le",
    "cp932": "shift_jis",
    "euc_jp": "euc-jp",
    "iso2022_jp": "iso-2022-jp",
}


@pytest.mark.parametrize("content_type", DECLARATIONS)
@pytest.mark.parametrize("codec", ENCODINGS)
def test_the_same_page_in_every_charset_however_declared(codec: str, content_type: str | None) -> None:
    decoded = charset.decode(PAGE.encode(codec), content_type)
    assert decoded == (PAGE, ENCODINGS[codec], 0)


@pytest.mark.parametrize("codec", ENCODINGS)
@pytest.mark.parametrize("declared", ["utf-8", "Shift_JIS", "x-euc-jp", "ISO-2022-JP", "windows-1252"])
def test_a_wrong_meta_declaration(codec: str, declared: str) -> None:
    page = f'<meta charset="{declared}">' + PAGE
    assert charset.decode(page.encode(codec)) == (page, ENCODINGS[codec], 0)


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp"])
@pytest.mark.parametrize("cut", range(1, 7))
def test_a_page_cut_in_the_middle_of_a_character(codec: str, cut: int) -> None:
    html = (PAGE + PROSE).encode(codec)[:-cut]
    text, name, num_replaced = charset.decode(html)
    assert name == ENCODINGS[codec]
    assert num_replaced == 0
    assert (PAGE + PROSE).startswith(text)
    assert len(PAGE + PROSE) - len(text) <= cut


def test_vendor_extensions_are_the_same_in_all_japanese_charsets() -> None:
    # NEC row 13, NEC-selected IBM kanji, and what CP932 and JIS X 0208 map differently (wave dash, minus ...).
    text = PROSE + "①㈱㍻髙﨑纊～∥－￠￡￢―＼"
    sjis = text.encode("cp932")
    # EUC-JP of the same rows and cells, by the inverse arithmetic of JIS X 0208; 髙 and 﨑 in NEC's rows.
    sjis = sjis.replace("髙".encode("cp932"), b"\xee\xe0").replace("﨑".encode("cp932"), b"\xed\x95")
    sjis = sjis.replace("纊".encode("cp932"), b"\xed\x40").replace("￢".encode("cp932"), b"\x81\xca")
    euc, jis = bytearray(), bytearray(b"\x1b$B")
    for lead, trail in zip(sjis[::2], sjis[1::2], strict=True):
        row = (lead - (0x81 if lead < 0xA0 else 0xC1)) * 2 + (trail >= 0x9F)
        cell = trail - (0x9F if trail >= 0x9F else 0x41 if trail > 0x7F else 0x40)
        euc += bytes((row + 0xA1, cell + 0xA1))
        jis += bytes((row + 0x21, cell + 0x21))
    assert charset.decode(sjis) == (text, "shift_jis", 0)
    assert charset.decode(bytes(euc)) == (text, "euc-jp", 0)
    assert charset.decode(bytes(jis) + b"\x1b(B") == (text, "iso-2022-jp", 0)


def test_half_width_kana_in_iso_2022_jp() -> None:
    kanji = b"\x1b$B" + bytes(b & 0x7F for b in "日本".encode("euc_jp"))
    katakana = bytes(b & 0x7F for b in "ｶﾞｲﾄﾞ".encode("cp932"))
    by_escape = kanji + b"\x1b(I" + katakana + b"\x1b(B end"
    by_shift = kanji + b"\x1b(B\x0e" + katakana + b"\x0f end"
    assert charset.decode(by_escape) == ("日本ｶﾞｲﾄﾞ end", "iso-2022-jp", 0)
    assert charset.decode(by_shift) == ("日本ｶﾞｲﾄﾞ end", "iso-2022-jp", 0)
    eight_bit = kanji + b"\x1b(B" + "ｶﾞｲﾄﾞ".encode("cp932") + b" end"
    assert charset.decode(eight_bit, "text/html; charset=iso-2022-jp").text == "日本ｶﾞｲﾄﾞ end"


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("今天天气很好，我们去公园散步。北京是中国的首都。", "gb18030", "gb18030"),
        ("今天天氣很好，我們去公園散步。台北是臺灣的首都。", "big5", "big5"),
        ("오늘은 날씨가 좋아서 공원을 산책했습니다.", "euc_kr", "euc-kr"),
        ("Сегодня хорошая погода, мы гуляли в парке.", "cp1251", "windows-1251"),
        ("Il fait beau, nous nous sommes promenés à côté.", "latin-1", "windows-1252"),
    ],
)
def test_declared_charsets_of_other_languages(text: str, codec: str, name: str) -> None:
    html = text.encode(codec)
    assert charset.decode(html, f"text/html; charset={codec.replace('_', '-')}") == (text, name, 0)
    page = f'<meta http-equiv="Content-Type" content="text/html; charset={codec.replace("_", "-")}">' + text
    assert charset.decode(page.encode(codec)) == (page, name, 0)


# WHATWG names that are replaced, or are not charsets of text.
RENAMED = {
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "gbk": "gb18030",
    "iso-8859-8-i": "iso-8859-8",
    "replacement": None,
    "x-user-defined": None,
}


def test_all_labels_of_the_encoding_standard_are_known() -> None:
    assert len(LABELS) == 228
    for label, name in LABELS.items():
        charsets = [name] if (name := RENAMED.get(name, name)) else []
        assert charset.declared_charsets(b"", f"text/html; charset={label}") == charsets, label
        assert charset.declared_charsets(b"<meta charset=%s>" % label.upper().encode(), None) == charsets, label
        for known in charsets:
            assert charset._replacing(b"plain", known).text


@pytest.mark.parametrize(
    ("label", "html", "text"),
    [
        ("x-mac-ukrainian", b"\x80\xe0\xdf \xff", "Аая €"),
        ("dos-874", b"\xa1\xd2\xc3", "การ"),
        ("csmacintosh", b"caf\x8e", "café"),
        ("logical", b"\xf9\xec\xe5\xed", "שלום"),
        ("csisolatincyrillic", b"\xbf\xe0\xd8\xd2\xd5\xe2", "Привет"),
        ("koi8-ru", b"\xf0\xd2\xc9\xd7\xa6\xd4", "Привіт"),
        ("iso-ir-58", b"\xbd\xf1\xcc\xec", "今天"),
        ("csksc56011987", b"\xbf\xc0\xb4\xc3", "오늘"),
    ],
)
def test_pages_declared_by_rare_labels(label: str, html: bytes, text: str) -> None:
    assert charset.decode(html, f"text/html; charset={label}").text == text


# As they were before the labels came from the standard's list.
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("shift_jis", "x-shift-jis Shift_JIS sjis ms_kanji windows-31j cp932 MS932 shift_jis-2004 csshiftjis"),
        ("euc-jp", "x-euc-jp EUC_JP eucJP x-euc ujis eucjp-ms eucJP-win cseucpkdfmtjapanese"),
        ("iso-2022-jp", "iso2022jp csISO2022JP iso-2022-jp-2 iso-2022-jp-ms JIS cp50220 cp50221"),
        ("gb18030", "gb2312 GBK cp936 chinese"),
        ("big5", "big-5 Big5-HKSCS"),
        ("euc-kr", "euckr cp949 uhc ks_c_5601-1987"),
        ("windows-1252", "latin-1 iso-8859-1 us-ascii"),
        ("iso-8859-16", "iso8859-16"),
        ("utf-16-le", "utf-16 UTF-16-LE ucs-2"),
        ("utf-16-be", "utf-16be utf-16-be"),
    ],
)
def test_labels_that_only_pages_know(name: str, labels: str) -> None:
    for label in labels.split():
        assert charset.declared_charsets(b"", f"text/html; charset={label}") == [name], label


def test_undeclared_latin_text_is_windows_1252() -> None:
    assert charset.decode("naïve “café” – déjà vu".encode("cp1252")) == ("naïve “café” – déjà vu", "windows-1252", 0)


def test_ascii_is_utf8_and_an_escape_in_a_script_is_no_iso_2022_jp() -> None:
    assert charset.decode(b"plain", "text/html; charset=Shift_JIS").charset == "utf-8"
    assert charset.decode("<script>'\x1b$B'</script>あいう".encode()).charset == "utf-8"


def test_a_declaration_in_a_comment_does_not_count() -> None:
    html = b"<!-- <meta charset=big5> --><meta charset=windows-1251>\xcf\xf0\xe8\xe2\xe5\xf2"
    assert charset.decode(html).charset == "windows-1251"


def test_a_few_broken_bytes_are_replaced_and_counted() -> None:
    html = PAGE.encode().replace("雨".encode(), b"\xe9\x9b", 1)
    assert charset.decode(html).charset == "utf-8"
    assert charset.decode(html).num_replaced == 1
    sjis = (PAGE * 3).encode("cp932") + b"\x82\x01" + PAGE.encode("cp932")
    text, name, num_replaced = charset.decode(sjis)
    assert (name, num_replaced) == ("shift_jis", text.count("\ufffd"))
    assert 0 < num_replaced <= 2
    euc = (PAGE * 3).encode("euc_jp") + b"\xa4\x20" + PAGE.encode("euc_jp")
    assert charset.decode(euc)[1:] == ("euc-jp", 1)


def test_pairs_in_no_table_leave_what_is_behind_them() -> None:
    page = b"<meta charset=shift_jis>" + PAGE.encode("cp932")
    for pair, text in ((b"\x81\xe9", "\ufffd"), (b"\xeb\x9f", "\ufffd"), (b"\x81\x2e", "\ufffd."), (b"\xa0", "\ufffd")):
        html = page + "「".encode("cp932") + pair + "漢字」と<b>書く</b>".encode("cp932")
        assert charset.decode(html) == (f"<meta charset=shift_jis>{PAGE}「{text}漢字」と<b>書く</b>", "shift_jis", 1)


def test_a_stray_byte_costs_that_byte() -> None:
    for declared in ("", "<meta charset=euc-jp>"):
        for stray in (b"\xff", b"\x80", b"\xa0"):
            html = (declared + PAGE).encode("euc_jp") + stray + PROSE.encode("euc_jp")
            assert charset.decode(html) == (f"{declared}{PAGE}\ufffd{PROSE}", "euc-jp", 1), stray


@pytest.mark.parametrize(
    ("codec", "of_line"),  # what is UTF-8 or EUC-JP is most often valid in Shift_JIS too
    [("utf-8", "cp932"), ("utf-8", "euc_jp"), ("euc_jp", "utf-8"), ("euc_jp", "cp932"), ("iso2022_jp", "utf-8")],
)
@pytest.mark.parametrize("declared", ["", "<meta charset=utf-8>", "<meta charset=iso-8859-1>", "<meta charset=x-none>"])
def test_a_line_in_another_charset(codec: str, of_line: str, declared: str) -> None:
    line = "他の文字コードの広告です。"
    html = f"{declared}{PAGE}<p>".encode(codec)
    text, name, num_replaced = charset.decode(html + line.encode(of_line) + "</p>\n終わり".encode(codec))
    assert (text, name, num_replaced) == (f"{declared}{PAGE}<p>{line}</p>\n終わり", ENCODINGS[codec], 0)


def test_a_few_broken_bytes_behind_a_long_head() -> None:
    head = "<script>" + "var a = 1;\n" * 10_000 + "</script>"
    text, name, num_replaced = charset.decode((head + PAGE).encode("euc_jp") + b"\xff")
    assert (text, name, num_replaced) == (head + PAGE, "euc-jp", 0)
    assert charset.decode((head + PAGE).encode("euc_jp") + b"\xff.") == (f"{head}{PAGE}\ufffd.", "euc-jp", 1)


@pytest.mark.parametrize(
    "metas",
    [
        "<meta charset=none><meta charset=windows-1251>",
        "<meta charset='x'>\n<META http-equiv=content-type content='text/html; charset=cp1251'>",
        "<meta content='text/html; charset=unknown' charset=windows-1251>",
        "<?xml version='1.0' encoding='none'?><meta charset=windows-1251>",
        "<meta name=description content='charset = what'><meta charset=windows-1251>",
    ],
)
def test_an_unknown_charset_hides_no_other(metas: str) -> None:
    html = metas.encode() + "Сегодня".encode("cp1251")
    assert charset.decode(html, "text/html; charset=none") == (f"{metas}Сегодня", "windows-1251", 0)
    assert charset.declared_charsets(b"", "text/html; charset=none; charset=koi8-r") == ["koi8-r"]


def test_a_replacement_character_of_the_author_is_not_counted() -> None:
    assert charset.decode("あ\ufffdい".encode()) == ("あ\ufffdい", "utf-8", 0)


def test_a_bom_wins_and_is_removed() -> None:
    html = codecs.BOM_UTF8 + "あ".encode() + b"\xff"
    assert charset.decode(html, "text/html; charset=shift_jis") == ("あ\ufffd", "utf-8", 1)


@given(st.binary(max_size=300), st.none() | st.text(max_size=40))
def test_any_bytes_decode(html: bytes, content_type: str | None) -> None:
    text, name, num_replaced = charset.decode(html, content_type)
    assert codecs.lookup(charset._CODECS.get(name, name))
    assert 0 <= num_replaced <= text.count("\ufffd")
    text.encode("utf-8")


def test_a_label_behind_very_many_blanks_is_looked_for_in_linear_time() -> None:
    """No clock: by the square of their number this would take hours."""
    blanks = " " * 1_000_000
    assert charset.declared_charsets(b"", f"text/html; charset={blanks};") == []
