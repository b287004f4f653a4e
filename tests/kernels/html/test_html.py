import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swallow_spark.kernels.html.html import extract

FIRST = "昨日は朝から雨が降っていたので、駅前の喫茶店で本を読みました。とても面白い本でした。"
SECOND = "夕方には雨が上がり、西の空に虹が見えました。写真を撮っている人がたくさんいました。"
THIRD = "明日は晴れるそうですから、久しぶりに山へ登ろうと思います。皆さんもよい週末を。"
MENU = "".join(f'<li><a href="/{n}">{name}</a></li>' for n, name in enumerate(["ホーム", "会社案内", "製品", "採用"]))


def text_of(body: str, head: str = "") -> str:
    return extract(f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode()).text


def paragraphs(*texts: str) -> str:
    return "".join(f"<p>{text}</p>" for text in texts)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"<nav>{MENU}</nav>", "<footer>© 2025 例株式会社</footer>"),
        (
            f'<div id="header"><ul>{MENU}</ul></div>',
            '<div class="site-footer">所在地：東京都、電話：03-0000-0000。</div>',
        ),
        (f"<ul>{MENU}</ul>", f'<div class="related-posts"><h3>関連記事</h3><p>{SECOND[:30]}</p><ul>{MENU}</ul></div>'),
        (
            f"<aside>{MENU}</aside>",
            f'<div id="sidebar"><h2>新着</h2><p>サイドバーの文です。読んでください。</p>{MENU}</div>',
        ),
        ('<div class="breadcrumb"><a href="/">ホーム</a> &gt; 日記</div>', "<p>無断転載を禁じます。</p>"),
        ("<script>var 文 = '。';</script><style>p{}</style>", "<noscript>スクリプトを有効にしてください。</noscript>"),
        ("", '<p>この記事は会員限定です。ログインしてください。</p><ul class="sns"><li>ツイート</li></ul>'),
        ("", '<p hidden>隠された文です。見えません。</p><div style="display: none">隠された文です。</div>'),
    ],
)
def test_boilerplate_around_the_main_text(before: str, after: str) -> None:
    body = f'{before}<div class="box"><h1>雨の日</h1>{paragraphs(FIRST, SECOND, THIRD)}</div>{after}'
    assert text_of(body) == f"雨の日\n{FIRST}\n{SECOND}\n{THIRD}"


def test_a_short_article_beside_a_long_sidebar() -> None:
    teasers = "".join(f"<div><a href=/{n}>記事 {n}</a><p>{SECOND}</p></div>" for n in range(5))
    body = f'<div class="entry-content">{paragraphs(FIRST, THIRD)}</div><div id="box2">{teasers}</div>'
    assert text_of(body) == f"{FIRST}\n{THIRD}"


@pytest.mark.parametrize("name", ["sidebar", "menu", "related", "footer", "comment"])
def test_a_name_is_ignored_where_the_element_holds_the_text(name: str) -> None:
    assert text_of(f'<div class="{name}">{paragraphs(FIRST, SECOND)}</div>') == f"{FIRST}\n{SECOND}"


@pytest.mark.parametrize("tag", ["aside", "div class=sidebar"])
def test_a_box_of_prose_in_a_manual_stays(tag: str) -> None:
    box = f"<{tag}><p>基本に戻る</p><p>{SECOND}</p></{tag.split()[0]}>"
    body = f"<div><p>{FIRST}</p>{box}<p>{THIRD}{FIRST}{FIRST}</p></div>"
    assert text_of(body) == f"{FIRST}\n基本に戻る\n{SECOND}\n{THIRD}{FIRST}{FIRST}"


def test_forum_posts_are_all_kept() -> None:
    posts = "".join(f"<article><p>{text}</p></article>" for text in (FIRST, SECOND, THIRD))
    assert text_of(f"<div>{posts}</div><div>{MENU}</div>") == f"{FIRST}\n{SECOND}\n{THIRD}"


def teasers(*texts: str) -> str:
    return "".join(f"<div><a href=/{n}>記事 {n} の見出し</a><p>{text}</p></div>" for n, text in enumerate(texts))


def test_teasers_and_footers_without_names_are_told_from_a_short_article() -> None:
    article = f"<div><h2>雨の日</h2>{paragraphs(FIRST, SECOND)}</div>"
    around = f"<div>{teasers(THIRD[:30], SECOND[:25])}</div>"
    legal = "<div><p>当サイトではCookieを使用しています。</p><p>Copyright (C) 2025 例。無断転載を禁じます。</p></div>"
    assert text_of(f"<div><ul>{MENU}</ul></div><div>{article}{around}</div>{legal}") == f"雨の日\n{FIRST}\n{SECOND}"


def test_text_beside_the_longest_part_stays() -> None:
    lead = f"<div>{paragraphs(SECOND)}</div>"
    longest = f"<div>{paragraphs(FIRST, THIRD)}</div>"
    table = "<div><table><tr><td>定員</td><td>十名</td></tr></table></div>"
    body = f"<div>{lead}{longest}{table}{lead}</div><div><ul>{MENU}</ul></div>"
    assert text_of(body) == f"{SECOND}\n{FIRST}\n{THIRD}\n定員\n十名\n{SECOND}"


def test_all_parts_of_the_named_body_of_an_article_stay() -> None:
    news = f"<div>{teasers(THIRD[:30])}<p><a href=/news>一覧</a></p></div>"
    body = f"<div class=article-body><div>{paragraphs(FIRST, SECOND)}</div>{news}<div>{paragraphs(THIRD)}</div></div>"
    assert text_of(body).split("\n") == [FIRST, SECOND, "記事 0 の見出し", THIRD[:30], THIRD]


def test_short_sections_of_a_manual_stay() -> None:
    sections = "".join(
        f"<div class=sect><h3>{title}</h3><p>{text}</p></div>"
        for title, text in (("概観", FIRST * 6), ("呼び出し方", "フィルター → 汎用"), ("使用例", "図一"))
    )
    expected = f"概観\n{FIRST * 6}\n呼び出し方\nフィルター → 汎用\n使用例\n図一"
    assert text_of(f"<div>{sections}</div><div><ul>{MENU}</ul></div>") == expected


def test_an_article_on_copyright_or_cookies_is_text() -> None:
    texts = [f"Cookieを使用する理由、その{n}。無断転載とは何か。{FIRST}" for n in "一二三"]
    assert text_of(f"<div><ul>{MENU}</ul></div><div>{paragraphs(*texts)}</div>") == "\n".join(texts)


def test_an_anchors_words_are_no_hint() -> None:
    first = f'<section id="comments"><h2 id="footer">脚注</h2><p>{FIRST}</p></section>'
    assert text_of(f"{first}<section><p>{SECOND * 3}</p></section>") == f"脚注\n{FIRST}\n{SECOND * 3}"


def test_a_table_of_contents_is_text() -> None:
    chapters = "".join(
        f"<li><a href={n}.html>第{n}章 {name}</a></li>" for n, name in enumerate(("旅立ち", "嵐", "帰郷"))
    )
    assert text_of(f"<h1>目次</h1><ul>{chapters}</ul>") == "目次\n第0章 旅立ち\n第1章 嵐\n第2章 帰郷"


def test_the_labels_of_a_form_are_no_text() -> None:
    form = "<form>名前：<input> 本文：<textarea></textarea><input type=submit value=書き込む></form>"
    assert text_of(f"<h1>雨の日</h1>{paragraphs(FIRST, SECOND)}{form}") == f"雨の日\n{FIRST}\n{SECOND}"


def test_ruby_keeps_its_base() -> None:
    ruby = "<ruby><rb>薔薇</rb><rp>（</rp><rt>ばら</rt><rp>）</rp></ruby>の花が"
    ruby += "<ruby>咲<rt>さ</rt><rtc>x</rtc></ruby>いた。"
    assert text_of(paragraphs(ruby + FIRST)) == "薔薇の花が咲いた。" + FIRST


def test_an_anchor_without_href_is_no_link() -> None:
    assert text_of(f"<a name=top><p>{FIRST}</p><p>{SECOND}</p>") == f"{FIRST}\n{SECOND}"


def test_line_breaks_and_layout_tables_of_old_pages() -> None:
    body = (
        f'<table><tr><td><a href="1">日記</a><br><a href="2">写真</a><br><a href="3">掲示板</a></td>'
        f"<td><font size=4>{FIRST}<br><br>{SECOND}<br>\n<br>　{THIRD}<br></font></td></tr></table>"
    )
    assert text_of(body) == f"{FIRST}\n{SECOND}\n　{THIRD}"


def test_lists_headings_quotes_and_code_stay_in_order() -> None:
    body = (
        f"<h2>手順</h2><p>{FIRST}</p><ul><li>一つ目</li><li>二つ目</li></ul><blockquote>{SECOND}</blockquote>"
        f"<pre>if x:\n    y\n\n\tz</pre><p>{THIRD}</p><h2>見出しだけ</h2>"
    )
    assert text_of(body) == f"手順\n{FIRST}\n一つ目\n二つ目\n{SECOND}\nif x:\n    y\n\tz\n{THIRD}"


def test_an_authors_list_of_links_stays_and_a_list_of_related_pages_goes() -> None:
    links = "".join(f'<li><a href="{n}">参考になる資料その{n}</a></li>' for n in "甲乙丙")
    kept = "\n".join(f"参考になる資料その{n}" for n in "甲乙丙")
    prose = paragraphs(FIRST, SECOND)
    assert text_of(f"<div>{prose}<ul>{links}</ul>{paragraphs(THIRD)}</div>") == f"{FIRST}\n{SECOND}\n{kept}\n{THIRD}"
    assert text_of(f"<div>{prose}<h3>おすすめの記事</h3><ul>{links}</ul></div>") == f"{FIRST}\n{SECOND}"


def test_buttons_are_no_text_but_where_they_are_headings() -> None:
    body = f"<p>{FIRST}</p><button>送信する</button><h3><button>送料はいくらですか</button></h3><div>{SECOND}</div>"
    assert text_of(body) == f"{FIRST}\n送料はいくらですか\n{SECOND}"


def test_white_space() -> None:
    assert text_of("<p>  a \n\t b&nbsp;&#x200b; c  </p>") == "a b c"
    assert text_of("<p>日本\r\n   語の\n文</p>") == "日本語の文"  # CSS Text 3: no space between wide characters
    assert text_of("<p>日本\nJapan の\n文</p>") == "日本 Japan の文"
    assert text_of("<p>　字下げ</p><p>　</p><p> <br> </p><p>次</p>") == "　字下げ\n次"
    assert text_of("<p>a&#1;&#11;b&#xD800;c\x00</p>").replace("\ufffd", "").replace(" ", "") == "abc"


@pytest.mark.parametrize(
    "body",
    [
        f"<nav>{MENU}</nav>",
        f"<ul>{MENU}</ul>",
        "<h1>工事中</h1>",
        "<div hidden>あ</div>",
        "<footer>© 2025</footer>",
        "<span style='display:none'>あ</span>",
        "あ",
    ],
)
def test_never_empty_where_there_is_text(body: str) -> None:
    assert text_of(body) != ""


@pytest.mark.parametrize(
    "html", [b"", b" ", b"<html></html>", b"<script>x</script>", b"<p> <br></p>", b"\x00", b"<!-- a -->"]
)
def test_no_text(html: bytes) -> None:
    assert extract(html).text == ""


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title> 雨の\n 日 </title>", "", "雨の 日"),
        ("<title>雨の日 | 例のブログ</title>", "<h1>雨の日</h1>", "雨の日"),
        ("<title>例のブログ：雨の日</title><meta property=og:title content=雨の日>", "", "雨の日"),
        ("<title>雨の日 | 例のブログ</title><meta property=og:site_name content=例のブログ>", "<h1>例</h1>", "雨の日"),
        ("<title>雨の日 - 例</title><meta property=og:site_name content=例>", "<h1>例</h1>", "雨の日"),
        ("<title>雨の日のブログ</title><meta property=og:site_name content=ブログ>", "", "雨の日のブログ"),
        ("<title>例のブログ</title><meta property=og:site_name content=例のブログ>", "", "例のブログ"),
        ("<title>雨の日記</title>", "<h1>雨</h1>", "雨の日記"),
        ("<title>雨の日 - 例</title>", "<h1>例</h1>", "例"),
        ("<meta property='og:title' content='雨の日'>", "<h1>例のブログ</h1>", "雨の日"),
        ("", "<h1>雨の日</h1>", "雨の日"),
        ("<noscript><link></noscript><title>雨の日</title>", "", "雨の日"),
        ("", "", ""),
    ],
)
def test_titles(head: str, body: str, title: str) -> None:
    html = f"<html><head>{head}</head><body>{body}<p>{FIRST}</p></body></html>"
    assert extract(html.encode()).title == title


def test_robots() -> None:
    assert extract(b'<meta name="ROBOTS" content="NoIndex, NOAI"><p>a</p>').robots == "noindex, noai"
    assert extract(b'<meta name="description" content="x"><p>a</p>').robots is None


def test_page_text_has_the_navigation_as_well() -> None:
    page = extract(f"<title>題</title><nav>{MENU}</nav><div>{paragraphs(FIRST, SECOND)}</div>".encode())
    assert page.text == f"{FIRST}\n{SECOND}"
    assert page.page_text == f"題\nホーム\n会社案内\n製品\n採用\n{FIRST}\n{SECOND}"


def test_charset_and_replaced_bytes() -> None:
    page = f"<title>題</title><p>{FIRST}</p>"
    for codec, name in (
        ("cp932", "shift_jis"),
        ("euc_jp", "euc-jp"),
        ("iso2022_jp", "iso-2022-jp"),
        ("utf-16", "utf-16-le"),
    ):
        assert extract(page.encode(codec), "text/html; charset=utf-8")[:5] == ("題", FIRST, name, 0, None)
    assert extract(page.encode() + b"\xff\xfe").num_replaced == 2


HOSTILE = {
    "nested div": b"<div>" * 100_000 + b"x",
    "nested inline": b"<b>" * 100_000 + b"x",
    "nested lists": b"<ul><li>" * 50_000 + b"x",
    "nested tables": b"<table><tr><td>" * 30_000 + b"x",
    "misnested": b"<b><i></b></i>" * 30_000 + b"x",
    "unclosed paragraphs": b"<p><b><i><u>" * 20_000 + b"x",
    "attributes": b"<p " + b" ".join(b"a%d=1" % n for n in range(200_000)) + b">x",
    "one attribute": b'<p title="' + b"a" * 5_000_000 + b'">x',
    "one line": b"<p>" + b"x" * 5_000_000,
    "open tags": b"<a" * 200_000 + b"><p>x",
    "fine print": b"<p>x " + b"of the use of " * 100_000 + b"ookie",
    "forms and headings": b"<form><h2>x</h2></form>" * 20_000,
    "dropped at depth": b"<div>" * 4_000 + b"<nav>x</nav>" * 20_000,
    "teasers": b"<div><div><a href=x>x</a><p>x, y, z and the rest of it.</p></div></div>" * 10_000,
    "entities": b"<p>x" + b"&amp;&#xD800;" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_cost_seconds_at_most(name: str) -> None:
    started = time.process_time()
    assert "x" in extract(HOSTILE[name]).text
    assert time.process_time() - started < 5


def test_binary_and_json_are_text_as_they_stand() -> None:
    json = '{"q": "' + FIRST * 400 + ' <b>"}'
    assert extract(json.encode()).text.startswith('{"q": "' + FIRST)
    extract(bytes(range(256)) * 100)


TAGS = [
    f"<{slash}{tag}>"
    for tag in (
        "div",
        "p",
        "a",
        "b",
        "pre",
        "table",
        "tr",
        "td",
        "ul",
        "li",
        "h1",
        "article",
        "nav",
        "br",
        "ruby",
        "rt",
    )
    for slash in ("", "/")
]
SOUP = st.lists(
    st.sampled_from([*TAGS, '<a href="x">', '<div class="menu">', "<p hidden>", FIRST, "x", "\n", " ", "&#0;", "　"])
)


@given(SOUP.map("".join))
def test_tag_soup(soup: str) -> None:
    extracted = extract(soup.encode())
    assert all(line.strip() for line in extracted.text.split("\n")) or extracted.text == ""
    if FIRST in soup and "<rt>" not in soup:
        assert extracted.text
    assert extract(soup.encode("utf-16")).text == extracted.text


@given(st.binary(max_size=400))
def test_any_bytes(html: bytes) -> None:
    extracted = extract(html)
    (extracted.title + extracted.text).encode("utf-8")
    assert "\n\n" not in extracted.text
    assert "\x00" not in extracted.title + extracted.text
