"""Charsets are read as by the WHATWG Encoding Standard, damaged pages too."""

import re
from itertools import product
from typing import Final

import encoding_standard as standard
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from swallow_spark.kernels.html import charset

# Of the indexes that the standard publishes (jis0208, jis0212 and euc-kr of 2014-08-26, unchanged since).
DIGESTS: Final = {
    "JIS0208": "69776d631c55d73b5503eaba5128566735cfea675a43902108462a3cf030b152",
    "JIS0212": "a8d00fda5b88cc78083c60542623d2a2124942fb876c041638d4a18d3e19678c",
    "EUC_KR": "9e91e903dd8e04838b941d3ff851e225eb7eca052d0bc37e9d21e8ac1ebab923",
}
PROSE: Final = "店主は話す。コーヒーと豆腐、そして古い町並みが好きだ（平成元年）。駅前の喫茶店で、本を読みました。"
PAGE: Final = f"<html><body><p>{PROSE}</p>\n<p>ABC ～ {PROSE}</p></body></html>"
CODECS: Final = {
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
    "utf-8": "utf-8",
    "utf-16-le": "utf-16",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "euc-kr": "cp949",
}
# What our decoder reads beyond the standard.
EXTENSIONS: Final = re.compile(rb"\x0e[!-_]|[\xa1-\xdf]{2}|\x1b\(H|\x1b\$\([DOQ]")


def encoded(name: str) -> bytes:
    page = PAGE.replace("～", "〜") if name in ("euc-jp", "iso-2022-jp") else PAGE
    return page.encode(CODECS[name], "ignore")


@pytest.mark.parametrize("name", DIGESTS)
def test_the_tables_are_those_of_the_standard(name: str) -> None:
    assert standard.digest(getattr(standard, name)) == DIGESTS[name]


@pytest.mark.parametrize("name", ["shift_jis", "euc-jp", "gb18030", "big5", "euc-kr"])
@pytest.mark.parametrize("prefix", [b"", b"\x8f"])
def test_every_pair_of_bytes(name: str, prefix: bytes) -> None:
    data = b"".join(prefix + bytes(pair) + b" \n" for pair in product(range(256), repeat=2))
    read, expected = (text.split(" \n") for text in (charset._replacing(data, name).text, standard.decode(data, name)))
    assert [pair for pair in zip(expected, read, strict=True) if pair[0] != pair[1]] == []


def test_every_pair_of_bytes_in_every_mode_of_iso_2022_jp() -> None:
    for mode in (b"(B", b"(J", b"(I", b"$@", b"$B"):
        pairs = [bytes(pair) for pair in product(range(256), repeat=2)]
        data = b"".join(b"\x1b" + mode + pair + b"\x1b(B \n" for pair in pairs if not EXTENSIONS.search(pair))
        assert charset._replacing(data, "iso-2022-jp").text == standard.decode(data, "iso-2022-jp"), mode


@pytest.mark.parametrize("name", CODECS)
def test_pages_in_order(name: str) -> None:
    data = encoded(name)
    assert charset.decode(data, f"text/html; charset={name}") == (
        standard.decode(data, name).removeprefix("\ufeff"), name, 0
    )  # fmt: skip


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=300)
@given(data=st.data())
def test_damaged_pages(name: str, data: st.DataObject) -> None:
    page = encoded(name)
    for _ in range(data.draw(st.integers(1, 4))):
        at, kept = data.draw(st.integers(2, len(page))), data.draw(st.integers(0, 2))
        page = page[:at] + data.draw(st.binary(min_size=1, max_size=3)) + page[at + kept :]
    assume(name != "iso-2022-jp" or not EXTENSIONS.search(page))
    text, found, num_replaced = charset.decode(page, f"text/html; charset={name}")
    assert found == name
    expected = standard.decode(page, name).removeprefix("\ufeff")
    assert text == expected
    assert num_replaced == expected.count("\ufffd") - (page.count(b"\xef\xbf\xbd") if name == "utf-8" else 0)


@settings(max_examples=300)
@given(st.sampled_from(list(CODECS)), st.binary(max_size=40))
@example("iso-2022-jp", b"\x1b$B0l\x1b")
@example("gb18030", b"\x81\x30\x81")
def test_any_bytes(name: str, data: bytes) -> None:
    assume(name != "iso-2022-jp" or not EXTENSIONS.search(data))
    data += b"\n\n"  # what the end of a page cuts is dropped
    assert charset._replacing(data, name).text == standard.decode(data, name)
