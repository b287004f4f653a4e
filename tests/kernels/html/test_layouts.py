"""Whole pages, laid out as blogs, newspapers, wikis, town halls and home pages are, in every charset.

`tests/data/layouts` holds pages written for this test, and beside each the lines of its main text in order; lines that
begin with `? ` may be there or not (titles, dates, cells of data tables).
"""

import pytest
from places import LAYOUTS

from swallow_spark.kernels.html.html import Extracted, extract
from swallow_spark.kernels.japanese import is_japanese, may_be_japanese

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(LAYOUTS.glob("*.html"))}
META = "<meta charset=utf-8>"
CODECS = {
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "cp932": "shift_jis",
    "euc_jp": "euc-jp",
    "iso2022_jp": "iso-2022-jp",
}
LABELS = {"cp932": "Shift_JIS", "euc_jp": "EUC-JP", "iso2022_jp": "ISO-2022-JP", "utf-16-be": "UTF-16BE"}


def test_there_are_pages() -> None:
    assert len(PAGES) >= 40


@pytest.mark.parametrize("name", PAGES)
def test_main_text(name: str) -> None:
    expected = (LAYOUTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    optional = {line[2:] for line in expected if line.startswith("? ")}
    required = [line for line in expected if not line.startswith("? ")]
    text = extract(PAGES[name].encode()).text
    assert [line for line in text.split("\n") if line not in optional - set(required)] == required
    assert is_japanese(text)


def content(page: Extracted) -> tuple[str, str]:
    return page.title, page.text


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_text_from_every_charset_declared_in_http_in_meta_nowhere_or_wrongly(codec: str) -> None:
    label = LABELS.get(codec, codec)
    wrong = "EUC-JP" if codec == "cp932" else "Shift_JIS"
    for name, page in PAGES.items():
        expected = content(extract(page.encode()))
        in_meta = page.replace(META, f'<meta http-equiv="Content-Type" content="text/html; charset={label}">')
        wrongly = page.replace(META, f"<meta charset={wrong}>")
        for source, content_type in (
            (page.replace(META, ""), f"text/html; charset={label}"),
            (in_meta, None),
            (page.replace(META, ""), "text/html"),
            (wrongly, "text/html; charset=ISO-8859-1"),
        ):
            html = source.encode(codec, "xmlcharrefreplace")
            assert may_be_japanese(html, content_type), (name, content_type)
            extracted = extract(html, content_type)
            assert content(extracted) == expected, (name, content_type)
            assert (extracted.charset, extracted.num_replaced) == (CODECS[codec], 0), (name, content_type)


@pytest.mark.parametrize("codec", CODECS)
def test_half_width_kana_and_vendor_characters(codec: str) -> None:
    """NEC's and IBM's extensions, the wave dash as CP932 has it, half-width kana: each where the charset has it."""
    kana = "ﾊﾝｶｸｶﾅもあるｶﾞ、" if codec != "iso2022_jp" else "全角のかなだけ、"
    vendor = "①㈱髙﨑～Ⅳ" if codec in ("cp932", "utf-8", "utf-8-sig", "utf-16", "utf-16-be") else "東京"
    page = f"<title>{vendor}</title><p>{kana}この文章はどの文字コードでも同じように読めるはずです。{vendor}</p>"
    extracted = extract(page.encode(codec))
    assert content(extracted) == (vendor, f"{kana}この文章はどの文字コードでも同じように読めるはずです。{vendor}")
    assert extracted.charset == CODECS[codec]
