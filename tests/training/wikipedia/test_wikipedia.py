import contextlib
import random

import mwparserfromhell
import pytest

from swallow_spark.training.wikipedia.dump import columns, parse_page, plain_text, rows

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
    text = plain_text("物理学_(学問)", WIKITEXT)
    assert text == "物理学 (学問)\n物理学（ぶつりがく）は、自然科学の一分野である。\n概要\n古典力学\n本文が続く。"
    assert plain_text("空", "{{stub}}") == ""
    for broken in ("[[", "{{" * 2000, "<ref>", "{|\n|-\n", "'''" * 999, "[[ファイル:" * 50, "<table>" * 300):
        plain_text("壊", broken)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("[[Re:ゼロから始める異世界生活]]は小説", "Re:ゼロから始める異世界生活は小説"),
        ("[[CSI:科学捜査班]]はドラマ", "CSI:科学捜査班はドラマ"),
        ("[[ID:INVADED]]と[[IS：学園]]と[[re:PLAY|再演]]", "ID:INVADEDとIS：学園と再演"),
        (
            "[[Wikipedia:井戸端]]、[[Help:目次|目次]]、[[プロジェクト:鉄道]]",
            "Wikipedia:井戸端、目次、プロジェクト:鉄道",
        ),
        ("猫[[en:Cat]][[zh-min-nan:Niau]][[simple:Cat]][[ko :고양이]][[be-x-old:Кот]]", "猫"),
        ("猫[[category:猫]][[ カテゴリ : 猫]][[FILE:a.jpg|thumb|図]][[画像:a.jpg]]", "猫"),
        ("[[:en:Cat|猫]]と[[:Category:猫]]と[[:ファイル:a.jpg]]", "猫とCategory:猫とファイル:a.jpg"),
        ("[[2001:宇宙の旅]]と[[時刻|12:30]]と[[a:b:c]]", "2001:宇宙の旅と12:30とa:b:c"),
    ],
)
def test_links_with_a_colon(wikitext: str, text: str) -> None:
    assert plain_text("題", wikitext) == f"題\n{text}"


def stripped(wikitext: str) -> list[str]:
    """The lines that mwparserfromhell itself leaves, when what nobody reads was taken out node by node."""
    code = mwparserfromhell.parse(wikitext, skip_style_tags=True)
    unread = {"table", "gallery", "ref", "timeline", "math", "score"}
    tags = code.filter_tags(matches=lambda tag: str(tag.tag).strip().lower() in unread)
    files = code.filter_wikilinks(matches=lambda link: str(link.title).startswith(("ファイル:", "Category:", "en:")))
    for node in [*tags, *files]:
        with contextlib.suppress(ValueError):  # it went with what it stood in
            code.remove(node)
    lines = code.strip_code().replace("'''", "").replace("''", "").splitlines()
    return [line.strip() for line in lines if line.strip()]


PIECES = """\
本文は
。⏎
[[力学]]
[[力学|古典[[力学]]]]
'''太字'''
&nbsp;
&#x3a3;
{{Lang|en|A}}
{{Cite|著={{仮リンク|A|en|B}}|年=1999}}
{{{1|引数}}}
{{基礎情報|項={{{a}}}|b=[[c]]⏎|d={{e}}<ref>f</ref>}}
<ref name="a">{{Cite book|和書}}出典</ref>
<ref name="a" />
<!--{{注-->
<br />
<small>小</small>
<math>x^{2}</math>
[http://a.b 題]
http://a.b
[[ファイル:a.jpg|thumb|[[力学]]の{{図}}]]
[[Category:物理学]]
[[en:Physics]]
<nowiki>[[x]]</nowiki>
<div>囲み</div>
<gallery>a.jpg|図</gallery>
⏎*項目
⏎#番号
⏎;語:説明
⏎==見出し==⏎
⏎==節<ref>脚注</ref>==⏎
⏎==[[ファイル:a.png]]図==⏎
[http://a.b [[ファイル:a.png|thumb]]題]
[http://a.b]
<!-- {{ -->
<!-- }} -->
<nowiki>{{x}}</nowiki>
<nowiki><!-- y --></nowiki>
⏎{|⏎!表{{a}}⏎|-⏎|b⏎|}⏎
""".splitlines()


def test_what_is_left_of_an_article_is_what_its_parser_would_leave() -> None:
    for seed in range(200):
        wikitext = "".join(random.Random(seed).choices(PIECES, k=40)).replace("⏎", "\n")
        assert plain_text("題", wikitext).splitlines()[1:] == stripped(wikitext), wikitext


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
        with pytest.raises(ValueError, match="can't be parsed"):
            parse_page(broken)


def test_rows_of_an_sql_dump() -> None:
    line = rb"INSERT INTO `categorylinks` VALUES (1,'a\'b,(c)','x\\'),(2,'\xff''','NULL'),(3,NULL,-1.5);" + b"\n"
    line = line.replace(rb"\xff", b"\xff")
    assert list(rows(line)) == [[b"1", b"a'b,(c)", b"x\\"], [b"2", b"\xff'", b"NULL"], [b"3", b"NULL", b"-1.5"]]
    assert list(rows(b"-- Dump completed\n")) == []
    with pytest.raises(ValueError, match="can't be parsed"):
        list(rows(b"INSERT INTO `t` VALUES (1,'open"))


def test_columns_of_a_table() -> None:
    table = (
        b"-- x\nCREATE TABLE `t` (\n  `a` int(8),\n  `b` varchar(255) DEFAULT '',\n  KEY `k` (`a`)\n) ENGINE=InnoDB;\n"
    )
    assert columns(table) == ["a", "b"]
