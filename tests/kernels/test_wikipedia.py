import pytest

from swallow_spark.kernels.wikipedia import columns, parse_page, plain_text, rows

WIKITEXT = """{{基礎情報|名前=物理}}
'''物理学'''（ぶつりがく）は、[[自然科学]]の一分野<ref name="a">出典</ref>である。[[ファイル:a.jpg|thumb|[[力学]]の図]]
== 概要 ==
* [[力学|古典力学]]
{| class="wikitable"
! 表
|}
本文が続く。[[Category:物理学]][[en:Physics]]
== 脚注 ==
{{reflist}}
"""


def test_an_article_becomes_text() -> None:
    pytest.importorskip("mwparserfromhell")
    text = plain_text("物理学_(学問)", WIKITEXT)
    assert text == "物理学 (学問)\n物理学（ぶつりがく）は、自然科学の一分野である。\n概要\n古典力学\n本文が続く。"
    assert plain_text("空", "{{stub}}") == ""
    for broken in ("[[", "{{" * 2000, "<ref>", "{|\n|-\n", "'''" * 999, "[[ファイル:" * 50, "<table>" * 300):
        plain_text("壊", broken)


def test_pages_of_a_dump() -> None:
    element = (
        "\n  <page>\n<title>Category:物理 学</title><ns>14</ns><id>7</id><revision><id>9</id><text>&lt;b&gt;</text>"
    )
    page = parse_page(f"<mediawiki>{element}</revision>")
    assert page == (7, 14, "物理_学", False, "<b>")
    assert parse_page(f"{element}</revision></page>") == page
    redirect = parse_page('<page><title>A</title><ns>0</ns><id>1</id><redirect title="B"/><revision/></page>')
    assert redirect
    assert redirect.is_redirect
    assert parse_page("</mediawiki>") is None
    for broken in ("<page><title>", "<page><title>A</title></page>", "<page>&none;</page>"):
        with pytest.raises(ValueError, match="can't be read"):
            parse_page(broken)


def test_rows_of_an_sql_dump() -> None:
    line = rb"INSERT INTO `categorylinks` VALUES (1,'a\'b,(c)','x\\'),(2,'\xff''','NULL'),(3,NULL,-1.5);" + b"\n"
    line = line.replace(rb"\xff", b"\xff")
    assert list(rows(line)) == [[b"1", b"a'b,(c)", b"x\\"], [b"2", b"\xff'", b"NULL"], [b"3", b"NULL", b"-1.5"]]
    assert list(rows(b"-- Dump completed\n")) == []
    with pytest.raises(ValueError, match="can't be read"):
        list(rows(b"INSERT INTO `t` VALUES (1,'open"))


def test_columns_of_a_table() -> None:
    table = (
        b"-- x\nCREATE TABLE `t` (\n  `a` int(8),\n  `b` varchar(255) DEFAULT '',\n  KEY `k` (`a`)\n) ENGINE=InnoDB;\n"
    )
    assert columns(table) == ["a", "b"]
